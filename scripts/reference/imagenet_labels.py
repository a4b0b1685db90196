"""Writes models/labels/imagenet.txt: the 1000 class names that torchvision gives, in the standard order.

python3 scripts/reference/imagenet_labels.py
"""
from pathlib import Path

from torchvision.models._meta import _IMAGENET_CATEGORIES

assert len(_IMAGENET_CATEGORIES) == 1000
target = Path(__file__).parents[2] / "models/labels/imagenet.txt"
target.write_text("\n".join(_IMAGENET_CATEGORIES) + "\n", encoding="utf-8")
