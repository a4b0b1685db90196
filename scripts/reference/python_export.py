"""Writes exported.pt2 with its card and masked.pt2 to tests/fixtures/graphs with the Python package, along with PyTorch's outputs, for
tests/numbers/onnx.rs.

    PYTHONPATH=python python3 scripts/reference/python_export.py tests/fixtures/graphs

torch 2.15.0. The first network is in training mode, in float64, and returns an object with logits; the package handles all three.
The second has attention with a Boolean mask, built as in transformers.
"""

import sys
from pathlib import Path

import torch
from exported_graphs import strip_program, write_answers
from torch import nn

import gradscope


class Answer:
    def __init__(self, logits):
        self.logits = logits


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)

    def forward(self, picture):
        return Answer(self.head(self.drop(self.stem(picture).mean((2, 3)))))


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 3)

    def forward(self, picture):
        x = self.patch(picture).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).chunk(3, -1)
        places = torch.arange(x.shape[1])
        mask = (places[:, None] >= places[None, :])[None].expand(x.shape[0], -1, -1)
        return self.head(nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).mean(1))


def main(folder):
    torch.manual_seed(7)
    model = Net().double().train()
    for _ in range(20):
        model(torch.rand(4, 3, 8, 8, dtype=torch.float64))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    labels = {"cat": 0, "dog": 1, "emu": 2}
    path = gradscope.export(model, (1, 3, 8, 8), folder / "exported.pt2", labels=labels, mean=mean, std=std, crop=0.9, interpolation="bicubic")
    strip_program(path)
    answer(model.eval(), mean, std, folder / "exported.json")
    model = Masked()
    strip_program(gradscope.export(model, (3, 8, 8), folder / "masked.pt2", mean=mean, std=std))
    answer(model.double(), mean, std, folder / "masked.json")


def answer(model, mean, std, path):
    """Writes the logits and the gradient of the second logit with respect to the pixels."""
    pixels = ((torch.arange(3 * 8 * 8) * 37) % 101).double().reshape(1, 3, 8, 8) / 101
    x = pixels.clone().requires_grad_()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (mean, std))
    scores = model((x - mean) / std)
    logits = getattr(scores, "logits", scores)
    logits[0, 1].backward()
    write_answers(path, pixels=pixels, logits=logits, gradient=x.grad)


main(Path(sys.argv[1]))
