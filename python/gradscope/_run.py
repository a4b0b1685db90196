"""Runs the program's methods on networks in memory or in files."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import nn

from gradscope import _card, _example, _export, _picture, _program, _result
from gradscope._card import Labels, Numbers
from gradscope._errors import GradscopeError
from gradscope._export import Example, Output
from gradscope._picture import Picture
from gradscope._result import Result

Setting = Union[str, float, bool, Sequence[Any], nn.Module, None]
"""A parameter value. For a layer, a module of the network may be given instead of its name."""


def run(
    method: str,
    model: Union[nn.Module, str, "os.PathLike[str]"],
    picture: Optional[Picture] = None,
    /,
    *,
    target: Union[int, str, None] = None,
    labels: Optional[Labels] = None,
    mean: Optional[Numbers] = None,
    std: Optional[Numbers] = None,
    example: Optional[Example] = None,
    output: Optional[Output] = None,
    weights: Union[str, "os.PathLike[str]", None] = None,
    data: Optional[str] = None,
    seed: int = 0,
    out: Union[str, "os.PathLike[str]", None] = None,
    options: Sequence[str] = (),
    **settings: Setting,
) -> Result:
    """Runs a method of gradscope on a network and a picture.

        result = gradscope.run("gradcam", model, "cat.jpg", target=281, layer=model.layer4)
        result.map, result.logits, result.layer

    Args:
        method: Name of the method, such as `gradcam` (`gradscope methods` lists all), or a `.rhai` file.
        model: A network, which is exported to a temporary folder, or a file or architecture that gradscope can open.
        picture: A path, a PIL image, or a tensor or array `(C, H, W)` in [0, 1]. Files and PIL images are resized to the network's
            input size; arrays are used as is. Defaults to gradscope's built-in picture.
        target: Index or name of the class to explain. Defaults to the predicted class.
        labels: Class names, as for `export`.
        mean: Mean for normalization, for pixels in [0, 1].
        std: Standard deviation for normalization.
        example: Example input pictures for a network in memory, or their shape. Defaults to the picture's shape if it is an array,
            else the size that the network declares, else the first common size that it accepts, with a note on stderr.
        output: The location of the class scores in the network's return value, as for `export`.
        weights: Weights for an architecture, as with `-w`.
        data: Data set, for methods that need one, as with `--data`.
        seed: Random seed.
        out: Folder to write all files to; another result in it is replaced. Defaults to a temporary folder.
        options: Additional arguments for `gradscope run`, such as `["--precision", "f64"]`.
        **settings: Parameters of the method. A layer may be given as a module, as in `layer=model.layer4`.

    Returns:
        The result, with arrays and figures.

    Raises:
        ProgramError: if the program is missing or fails, with its message.
        ExportError: if the network cannot be exported.
    """
    _program.program()  # report a missing program before a slow export
    with tempfile.TemporaryDirectory(prefix="gradscope-") as temporary:
        folder = Path(temporary)
        arguments = ["run", method, "--seed", str(seed)]
        if isinstance(model, nn.Module):
            path = folder / f"{_file_name(_export._unwrapped(model))}.pt2"
            shape = example if example is not None else _example.of(_export._unwrapped(model), picture)
            _export.export(model, shape, path, labels=labels, mean=mean, std=std, output=output)
            arguments += ["-m", str(path)]
        else:
            arguments += ["-m", os.fspath(model), *_flags(labels, mean, std, output, folder)]
        if weights is not None:
            arguments += ["-w", os.fspath(weights)]
        if picture is not None:
            arguments += ["-i", _picture.stored(picture, folder)]
        if target is not None:
            arguments += [f"--target={target}"]
        if data is not None:
            arguments += ["--data", data]
        for name, value in settings.items():
            if value is not None:
                arguments += ["--set", f"{name}={_text(name, value, model)}"]
        results = Path(out) if out is not None else folder / "out"
        _program.call([*arguments, *options, "--force", "--out", str(results)])
        return _result.read(results, out is not None)


def _file_name(model: nn.Module) -> str:
    """The class name of a network, as a file name."""
    name = getattr(model, "original_name", None) or type(model).__name__
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in str(name))[:80] or "network"


def _flags(
    labels: Optional[Labels], mean: Optional[Numbers], std: Optional[Numbers], output: Optional[Output], folder: Path
) -> list[str]:
    """The flags that override the card of a network in a file."""
    flags = []
    for name, value in [("mean", mean), ("std", std)]:
        if value is not None:
            numbers = torch.as_tensor(value, dtype=torch.float64).flatten()
            flags.append(f"--{name}=" + ",".join(f"{v:.9g}" for v in numbers.tolist()))
    if output is not None:
        flags.append(f"--output={output}")
    if labels is not None:
        file = folder / "labels.json"
        file.write_text(json.dumps(_card.names(labels)), encoding="utf-8")
        flags += ["--labels", str(file)]
    return flags


def _text(name: str, value: Setting, model: Union[nn.Module, str, "os.PathLike[str]"]) -> str:
    """Formats a parameter value for the program."""
    if isinstance(value, nn.Module):
        modules = _export._unwrapped(model).named_modules() if isinstance(model, nn.Module) else iter(())
        found = next((path for path, module in modules if module is value), None)
        if not found:
            raise GradscopeError(f"{name} is a {type(value).__name__} that is not part of the network")
        return str(found)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(str(part) for part in value)
    return str(value)
