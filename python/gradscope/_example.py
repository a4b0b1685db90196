"""Finds the shape of the pictures that a network takes, where the user gives none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Optional

import torch
from torch import nn

from gradscope import _card, _export, _picture

SIDES = (224, 32, 28, 64, 96, 128, 160, 192, 256, 288, 299, 320, 336, 384, 448, 512)
"""Usual sides of pictures. The first is ImageNet's, since networks that take any size are most often trained on it."""


def of(model: nn.Module, picture: Any) -> tuple[int, ...]:
    """The shape `(1, C, H, W)`: that of `picture` if it is an array, or what the network declares, or the first usual one that it takes."""
    own = _picture.shape(picture) if picture is not None else None
    if own is not None:
        return (1, *own)
    declared = _declared(model)
    if declared is not None:
        return declared
    guessed = _guessed(model)
    print(f"gradscope: no example given: the network gets pictures of {guessed}; example=(1, C, H, W) sets another size", file=sys.stderr)
    return guessed


def _declared(model: nn.Module) -> Optional[tuple[int, ...]]:
    """The shape that networks of timm, transformers and torchvision declare."""
    timm = getattr(model, "pretrained_cfg", None)
    if isinstance(timm, Mapping) and len(timm.get("input_size") or ()) == 3:
        return (1, *timm["input_size"])
    side = getattr(getattr(model, "config", None), "image_size", None) or getattr(model, "image_size", None)
    return (1, _channels(model), *_card.sides(side)) if isinstance(side, (int, tuple, list)) else None


def _channels(model: nn.Module) -> int:
    """The number of channels that the first convolution takes."""
    return next((int(m.in_channels) for m in model.modules() if isinstance(m, nn.Conv2d)), 3)


def _guessed(model: nn.Module) -> tuple[int, ...]:
    """The first usual shape that a network takes; ImageNet's if it takes none."""
    channels = _channels(model)
    with _export.prepared(model) as network, torch.no_grad():
        for side in SIDES:
            try:
                network(torch.rand(1, channels, side, side))
            except Exception:  # whatever the network raises
                continue
            return 1, channels, side, side
    return 1, channels, SIDES[0], SIDES[0]
