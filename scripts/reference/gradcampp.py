"""Grad-CAM++ of SqueezeNet by definition, in float64, with the head scaled by several factors: tests/fixtures/gradcampp.json.
torch 2.15, torchvision 0.29, pillow 13.

    python3 scripts/reference/gradcampp.py WEIGHTS.safetensors PICTURE.png > tests/fixtures/gradcampp.json
"""

import json
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import squeezenet1_0

CLASS = 258
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).reshape(1, 3, 1, 1)
pixels = np.asarray(Image.open(sys.argv[2]).convert("RGB")).astype(np.float64) / 255
x = (torch.from_numpy(pixels).permute(2, 0, 1)[None] - MEAN) / STD
maps = {}
for scale in [1.0, 0.1, 0.01, 1e-6]:
    weights = {k: v * scale if k.startswith("classifier.1.") else v for k, v in load_file(sys.argv[1]).items()}
    network = squeezenet1_0()
    network.load_state_dict(weights)
    network = network.double().eval()
    a = network.features(x).detach().requires_grad_()
    (g,) = torch.autograd.grad(network.classifier(a).flatten(1)[0, CLASS], a)
    # α = g² / (2g² + g³ ΣA), which is 1 / (2 + g ΣA) where g is not 0.
    alpha = torch.where(g > 0, 1 / (2 + g * a.sum((2, 3), keepdim=True)), 0.0)
    maps[str(scale)] = ((g.relu() * alpha).sum((2, 3), keepdim=True) * a).sum(1).flatten().tolist()
json.dump(dict(torch=torch.__version__, maps=maps), sys.stdout)
