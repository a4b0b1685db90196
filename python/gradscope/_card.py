"""The card of a network: class names and preprocessing, in the format of `NAME.card.json` (docs/card.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

import torch
from torch import nn

from gradscope._errors import ExportError

Labels = Union[Sequence[str], Mapping[int, str], Mapping[str, int]]
"""Class names: a list, a dict from index to name such as `{0: "cat"}`, or `ImageFolder.class_to_idx`, such as `{"cat": 0}`."""

Numbers = Union[float, Sequence[float], torch.Tensor]
"""One value for all channels, or one per channel."""

Size = Union[int, Sequence[int]]
"""Side length in pixels, or height and width."""


def path_beside(path: Path) -> Path:
    """The path of the card for the network's file `path`."""
    return path.with_name(path.name.rpartition(".")[0] + ".card.json")


def names(labels: Labels) -> list[str]:
    """Class names by index.

    Raises:
        ExportError: if names are missing or are not strings.
    """
    if isinstance(labels, str):
        raise ExportError(f'labels is the string "{labels}"; expected a list of class names')
    if not isinstance(labels, Mapping):
        found: Sequence[Any] = list(labels)
    else:
        pairs = [(v, k) if isinstance(v, int) else (k, v) for k, v in labels.items()]
        by_index = {int(index): name for index, name in pairs}
        if sorted(by_index) != list(range(len(pairs))):
            raise ExportError(f"labels has the indices {sorted(by_index)}; expected 0 to {len(pairs) - 1}, each once")
        found = [by_index[index] for index in range(len(by_index))]
    wrong = [name for name in found if not isinstance(name, str)]
    if wrong:
        raise ExportError(f"labels contains {wrong[0]!r}; expected class names")
    return list(found)


def numbers(name: str, given: Numbers, channels: int) -> list[float]:
    """The values of the mean or standard deviation `name`: one per channel, or a single one.

    Raises:
        ExportError: if the number of values is neither 1 nor `channels`, if a value looks like one for pixels in 0–255, or if a
            standard deviation is not positive.
    """
    values = torch.as_tensor(given, dtype=torch.float64).flatten().tolist()
    if len(values) not in (1, channels):
        raise ExportError(f"{name} has {len(values)} values for {channels} channels; expected one value, or one per channel")
    large = [v for v in values if abs(v) > 2]
    if large:
        raise ExportError(f"{name} is {large[0]:g}, which looks like a value for pixels in 0–255; divide it by 255")
    if name == "std" and min(values) <= 0:
        raise ExportError("std must be positive")
    # The shortest decimals with the same float32 value: 0.485 instead of 0.48500001430511475.
    short = [float(f"{v:.7g}") for v in values]
    return [s if torch.tensor(s) == torch.tensor(v).float() else v for s, v in zip(short, values)]


def sides(size: Size) -> tuple[int, int]:
    """Height and width of an input size."""
    both = [size, size] if isinstance(size, int) else list(size)
    if len(both) == 3:
        both = both[1:]
    if len(both) != 2 or min(both) < 1:
        raise ExportError(f"size is {size}; expected a side length in pixels, or (height, width)")
    return both[0], both[1]


def own(model: nn.Module) -> dict[str, Any]:
    """The preprocessing and classes recorded in a network from timm or transformers."""
    card: dict[str, Any] = {}
    timm = getattr(model, "pretrained_cfg", None)
    if isinstance(timm, Mapping):
        for key, ours in [("mean", "mean"), ("std", "std"), ("interpolation", "interpolation"), ("crop_pct", "crop")]:
            if timm.get(key) is not None:
                card[ours] = list(timm[key]) if isinstance(timm[key], (tuple, list)) else timm[key]
    id2label = getattr(getattr(model, "config", None), "id2label", None)
    if isinstance(id2label, Mapping) and id2label and not str(next(iter(id2label.values()))).startswith("LABEL_"):
        card["labels"] = names({int(i): str(name) for i, name in id2label.items()})
    return card


def write(path: Path, card: Mapping[str, Any]) -> None:
    """Writes a card atomically."""
    keys = ["size", "crop", "interpolation", "mean", "std", "labels"]
    lines = [f"  {json.dumps(key)}: {json.dumps(card[key], ensure_ascii=False)}" for key in keys if key in card]
    partial = path.with_name(path.name + ".tmp")
    partial.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(partial, path)
