"""The result of a run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Result:
    """The result of running a method on a picture. Jupyter shows its first figure."""

    document: dict[str, Any] = field(repr=False)
    """The contents of `result.json`."""
    arrays: dict[str, Array] = field(repr=False)
    """All arrays written by the run, by file name without extension."""
    pictures: dict[str, bytes] = field(repr=False)
    """The figures as PNG, by title."""
    folder: Optional[Path] = None
    """The folder with all files of the result; `None` unless `out` was given."""

    @property
    def map(self) -> Array:
        """The values of the first figure that has raw values, such as the heatmap `(H, W)` over the picture.

        Raises:
            KeyError: if the method has no such figure.
        """
        for figure in self.document["figures"]:
            if figure["raw"]:
                array = self.arrays[Path(figure["raw"][0] if isinstance(figure["raw"], list) else figure["raw"]).stem]
                return array[0, 0] if array.ndim == 4 and array.shape[:2] == (1, 1) else array
        raise KeyError(f"{self.method} has no figure with raw values; see Result.arrays")

    @property
    def logits(self) -> Array:
        """The class scores, `(N, classes)`, before a final softmax or sigmoid."""
        return self.arrays["logits"]

    @property
    def gradient(self) -> Array:
        """The gradient with respect to the pixels, `(1, C, H, W)`; only for methods that write it, such as `saliency`."""
        return self.arrays["gradient"]

    @property
    def cam_raw(self) -> Array:
        """The class activation map at its layer's size, before the ReLU; only for CAM methods such as `gradcam`."""
        return self.arrays["cam_raw"]

    @property
    def method(self) -> str:
        """The name of the method."""
        return str(self.document["method"])

    @property
    def target(self) -> Optional[int]:
        """The index of the class that was explained; `None` for networks without classes."""
        target = self.document["target"]
        return None if target is None else int(target["class"])

    @property
    def label(self) -> Optional[str]:
        """The name of the class that was explained, or its index."""
        target = self.document["target"]
        return None if target is None else str(target["label"])

    @property
    def layer(self) -> Optional[str]:
        """The layer used by the method, if any."""
        return self.document["parameters"].get("layer")  # type: ignore[no-any-return]

    @property
    def card(self) -> dict[str, Any]:
        """The preprocessing and class names used, with the source of each value."""
        return self.document["card"]  # type: ignore[no-any-return]

    @property
    def top5(self) -> list[dict[str, Any]]:
        """The most probable classes: index, label, probability and logit."""
        return self.document["top5"]  # type: ignore[no-any-return]

    @property
    def png(self) -> bytes:
        """The first figure as PNG data."""
        return next(iter(self.pictures.values()))

    def save(self, path: Union[str, "os.PathLike[str]"]) -> Path:
        """Writes the first figure to a PNG file."""
        Path(path).write_bytes(self.png)
        return Path(path)

    def _repr_png_(self) -> Optional[bytes]:
        return next(iter(self.pictures.values()), None)

    def __repr__(self) -> str:
        layer = f", layer {self.layer!r}" if self.layer else ""
        return f"<gradscope {self.method} of {self.document['model']}: target {self.label!r} ({self.target}){layer}>"


def read(folder: Path, keep: bool) -> Result:
    """Reads the folder written by the program. `keep` means that the folder is not deleted afterwards."""
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    arrays = {file.stem: np.load(file) for file in sorted(folder.glob("*.npy"))}
    shown = {figure["title"]: figure["file"] for figure in document["figures"] if figure["file"]}
    pictures = {title: (folder / file).read_bytes() for title, file in shown.items() if file.endswith(".png")}
    return Result(document, arrays, pictures, folder if keep else None)
