"""Determines the input shape of a network if the user does not specify one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Optional

import torch
from torch import nn

from gradscope import _card, _export, _picture

SIDES = (224, 32, 28, 64, 96, 128, 160, 192, 256, 288, 299, 320, 336, 384, 448, 512)
"""Common side lengths of pictures. ImageNet's comes first, since most networks that accept any size were trained on it."""


def of(model: nn.Module, picture: Any) -> tuple[int, ...]:
    """The shape `(1, C, H, W)` of `picture` if it is an array, else the one the network declares, else the first common one that works."""
    own = _picture.shape(picture) if picture is not None else None
    if own is not None:
        return (1, *own)
    declared = _declared(model)
    if declared is not None:
        return declared
    guessed = _guessed(model)
    note = f"no example given: the network gets pictures of shape {guessed}; set another size with example=(1, C, H, W)"
    print(f"gradscope: {note}", file=sys.stderr)
    return guessed


def _declared(model: nn.Module) -> Optional[tuple[int, ...]]:
    """The shape declared by networks from timm, transformers and torchvision."""
    timm = getattr(model, "pretrained_cfg", None)
    if isinstance(timm, Mapping) and len(timm.get("input_size") or ()) == 3:
        return (1, *timm["input_size"])
    side = getattr(getattr(model, "config", None), "image_size", None) or getattr(model, "image_size", None)
    return (1, _channels(model), *_card.sides(side)) if isinstance(side, (int, tuple, list)) else None


def _channels(model: nn.Module) -> int:
    """The number of input channels of the first convolution; 3 if there is none."""
    return next((int(m.in_channels) for m in model.modules() if isinstance(m, nn.Conv2d)), 3)


def _guessed(model: nn.Module) -> tuple[int, ...]:
    """The first common shape that a network accepts; ImageNet's if it accepts none."""
    channels = _channels(model)
    with _export.prepared(model) as network, torch.no_grad():
        for side in SIDES:
            try:
                network(torch.rand(1, channels, side, side))
            except Exception:  # whatever the network raises
                continue
            return 1, channels, side, side
    return 1, channels, SIDES[0], SIDES[0]
