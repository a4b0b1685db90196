"""Networks like those that users write."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Tiny(nn.Module):
    """A convolutional network for pictures of any size."""

    def __init__(self, classes: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.drop(self.stem(x).mean((2, 3))))
        return scores


class Returning(Tiny):
    """A network that wraps its scores in another value."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: torch.Tensor) -> Any:
        return self.wrap(super().forward(x))


class OnePicture(Tiny):
    """A network whose forward pass accepts only batches of one picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.stem(x).mean((2, 3)).reshape(1, 6))
        return scores


class Fixed(nn.Module):
    """A network for pictures of one size."""

    def __init__(self, side: int, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 5, 3, padding=1)
        self.head = nn.Linear(5 * side * side, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.conv(x).relu().flatten(1))
        return scores


class Deciding(Tiny):
    """A network with control flow that depends on the picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if x.sum() > 0 else -x)


class TwoInputs(Tiny):
    """A network that also takes a mask."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x * mask)


class NotCopyable(Tiny):
    """A network that `copy.deepcopy` cannot copy."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("cannot be copied")
