"""Scaled pictures by torchvision and Pillow: tests/fixtures/interpolation.json. torch 2.15, torchvision 0.29, Pillow 13.

    python3 scripts/reference/interpolation.py > tests/fixtures/interpolation.json

Floats: torch's interpolate with antialias=True, which torchvision's Resize calls for tensors, in float64 for bilinear and bicubic.
Bytes: torchvision's Resize and CenterCrop of PIL pictures, for all four filters. A case is [h, w] of the source, the filter, the
short side (null: the whole picture) and the size of the crop. Pillow 13 scales the columns of tall pictures first, which rounds
bytes differently; no case is that tall.
"""

import json
import sys

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

FILTERS = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
    "nearest": InterpolationMode.NEAREST,
}
CASES = [
    ([37, 53], None, [16, 24]),
    ([37, 53], 20, [16, 16]),
    ([9, 7], 20, [16, 18]),
    ([64, 48], 16, [16, 16]),
    ([21, 90], 11, [10, 11]),
    ([5, 5], None, [13, 8]),
]


def noise(h, w):
    """Bytes with sharp edges, so that the cubic overshoots: value i of (h, w, 3) is (i² · 37 + 11 i) mod 256, and 0 or 255 in a band."""
    i = np.arange(h * w * 3, dtype=np.int64)
    values = ((i * i * 37 + 11 * i) % 256).astype(np.uint8).reshape(h, w, 3)
    values[h // 3 : h // 2, :, 0] = 255
    values[:, w // 3 : w // 2, 1] = 0
    return values


def floats(values, mode, short, size):
    x = torch.from_numpy(values).permute(2, 0, 1)[None].double() / 255
    h, w = values.shape[:2]
    whole = size if short is None else ([short, short * w // h] if h <= w else [short * h // w, short])
    y = torch.nn.functional.interpolate(x, size=whole, mode=mode, antialias=True, align_corners=False)
    return CenterCrop(size)(y)[0].clamp(0, 1)


def bytes_(values, mode, short, size):
    resize = Resize(size if short is None else short, interpolation=mode)
    picture = Compose([resize, CenterCrop(size)])(Image.fromarray(values))
    return np.asarray(picture).transpose(2, 0, 1)


cases = []
for shape, short, size in CASES:
    values = noise(*shape)
    for name, mode in FILTERS.items():
        case = dict(shape=shape, filter=name, short=short, size=size)
        case["bytes"] = bytes_(values, mode, short, size).flatten().tolist()
        if name in ("bilinear", "bicubic"):
            case["floats"] = [round(v, 8) for v in floats(values, name, short, size).flatten().tolist()]
        cases.append(case)
json.dump(dict(torch=torch.__version__, torchvision=torchvision.__version__, pillow=PIL.__version__, cases=cases), sys.stdout)
