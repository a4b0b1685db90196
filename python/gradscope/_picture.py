"""Converts pictures to files for the program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt
import torch

from gradscope._errors import GradscopeError

Picture = Union[str, "os.PathLike[str]", torch.Tensor, npt.NDArray[Any], Any]
"""A path, an array or tensor `(C, H, W)` or `(1, C, H, W)` in [0, 1] (or integers from 0 to 255), or a PIL image."""


def shape(picture: Any) -> Optional[tuple[int, ...]]:
    """`(C, H, W)` of an array; `None` for pictures that the program scales to the network's size."""
    return None if _is_path(picture) or _is_pil(picture) else _pixels(picture).shape[1:]


def stored(picture: Any, folder: Path) -> str:
    """A picture as an argument of the program: its path, or the path of a file written to `folder`.

    Raises:
        GradscopeError: if `picture` is not a picture.
    """
    if _is_path(picture):
        return str(os.fspath(picture))
    if _is_pil(picture):
        path = folder / "picture.png"
        picture.convert("L" if picture.mode in ("1", "L") else "RGB").save(path)
        return str(path)
    path = folder / "picture.npy"
    np.save(path, _pixels(picture))
    return str(path)


def _is_path(picture: Any) -> bool:
    return isinstance(picture, (str, os.PathLike))


def _is_pil(picture: Any) -> bool:
    return hasattr(picture, "convert") and hasattr(picture, "mode") and hasattr(picture, "save")


def _pixels(picture: Any) -> npt.NDArray[Any]:
    """An array or tensor as `(1, C, H, W)`, float32 in [0, 1] or uint8."""
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu()
        array: npt.NDArray[Any] = (picture.float() if picture.is_floating_point() else picture).numpy()
    elif isinstance(picture, np.ndarray):
        array = picture
    else:
        raise GradscopeError(
            f"the picture is a {type(picture).__name__}; expected a path, a tensor or array (C, H, W) in [0, 1], or a PIL image"
        )
    if array.ndim == 4 and array.shape[0] != 1:
        raise GradscopeError(f"got a batch of {array.shape[0]} pictures; pass them one by one, as in batch[0]")
    if array.ndim == 2:
        array = array[None]
    elif array.ndim == 4:
        array = array[0]
    if array.ndim != 3:
        raise GradscopeError(f"the picture has shape {array.shape}; expected (C, H, W) or (1, C, H, W)")
    if array.shape[2] in (1, 3) and array.shape[0] not in (1, 3):
        array = array.transpose(2, 0, 1)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -0.001 and high <= 1.001):
            raise GradscopeError(
                f"the picture has values from {low:.3g} to {high:.3g}; expected pixels in [0, 1];"
                " pass the picture before normalization, and the normalization as mean=..., std=..."
            )
        array = array.astype(np.float32)
    elif array.dtype == np.bool_:
        array = array.astype(np.float32)
    elif array.min() < 0 or array.max() > 255:
        raise GradscopeError(f"the picture has integers from {array.min()} to {array.max()}; expected 0 to 255")
    else:
        array = array.astype(np.uint8)
    return np.ascontiguousarray(array[None])
