"""Applies PyTorch's affine_grid and grid_sample to a small picture: tests/fixtures/grid.json.

    python3 scripts/reference/grid.py > tests/fixtures/grid.json
"""

import json
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.rand(2, 3, 5, 7, dtype=torch.float64)
theta = torch.tensor([[[0.9, -0.6, 0.1], [0.5, 1.2, -0.3]], [[-1.0, 0.0, 0.0], [0.0, 0.4, 0.7]]], dtype=torch.float64)
cases = []
for align in [False, True]:
    grid = F.affine_grid(theta, (2, 3, 4, 6), align_corners=align)
    for mode in ["bilinear", "nearest"]:
        for padding in ["zeros", "border"]:
            y = F.grid_sample(x, grid, mode=mode, padding_mode=padding, align_corners=align)
            cases.append(dict(align_corners=align, mode=mode, padding_mode=padding, grid=grid.flatten().tolist(),
                              y=y.flatten().tolist()))
json.dump(dict(torch=torch.__version__, x=x.flatten().tolist(), theta=theta.flatten().tolist(), cases=cases), sys.stdout)
