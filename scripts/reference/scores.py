"""Networks with one logit, with independent classes and with a final softmax, in PyTorch: the reference for
tests/scripts/scores.rs.

    python3 scripts/reference/scores.py > tests/fixtures/scores.json

Written with torch 2.15.0 in float64. Weights and picture come from the generator in tests/common/mod.rs.
"""

import json

import torch
from torch import nn
from torch.nn import functional as F

MASK = (1 << 64) - 1


def uniform(seed, count):
    def number(i):
        z = (seed * 0xA24BAED4963EE407 + i * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 52) - 1.0

    return torch.tensor([number(i) for i in range(1, count + 1)], dtype=torch.float64).float().double()


class Net(nn.Module):
    """conv, relu, flatten, linear."""

    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, classes)
        for i, p in enumerate(self.parameters()):
            scale = min((6.0 / max(p[0].numel(), 1)) ** 0.5, 1.0)
            p.data = scale * uniform(i + 1, p.numel()).reshape(p.shape)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


def gradient(y, x):
    return torch.autograd.grad(y, x)[0]


def told(g):
    return {"l2": g.norm().item(), "first": g.flatten()[:12].tolist()}


def main():
    torch.set_default_dtype(torch.float64)
    x = (0.5 + 0.4 * uniform(99, 3 * 8 * 8)).float().double().reshape(1, 3, 8, 8).requires_grad_()
    one, many = Net(1), Net(4)

    z = one(x)[:, 0]
    binary = {
        "z": z.item(),
        "probabilities": [torch.sigmoid(-z).item(), torch.sigmoid(z).item()],
        "gradient": told(gradient(one(x).sum(), x)),
        "loss": [F.binary_cross_entropy_with_logits(z, torch.tensor([t])).item() for t in (0.0, 1.0)],
        "loss_gradient": [
            told(gradient(F.binary_cross_entropy_with_logits(one(x)[:, 0], torch.tensor([t])), x)) for t in (0.0, 1.0)
        ],
    }
    # FGSM: one step of 8/255 that increases the loss of the predicted class.
    named = float(z.item() > 0)
    g = gradient(F.binary_cross_entropy_with_logits(one(x)[:, 0], torch.tensor([named])), x)
    binary["fgsm_z"] = one((x + 8 / 255 * g.sign()).clamp(0, 1))[0, 0].item()
    # DeepFool: within one linear region the distance to the boundary is |z| / |w|.
    w = gradient(one(x).sum(), x)
    binary["first_deepfool_l2"] = (1.02 * (z.abs() + 1e-4) / w.norm()).item()

    y = many(x)
    target = 2
    independent = {
        "logits": y[0].tolist(),
        "probabilities": torch.sigmoid(y)[0].tolist(),
        "loss": [F.binary_cross_entropy_with_logits(y[0, c], torch.tensor(1.0)).item() for c in range(4)],
        "loss_gradient": told(
            gradient(F.binary_cross_entropy_with_logits(many(x)[0, target], torch.tensor(1.0)), x)
        ),
    }
    hot = F.one_hot(torch.tensor([target]), 4).double()
    loss = F.binary_cross_entropy_with_logits(many(x), hot)
    independent["training_loss"] = loss.item()
    independent["training_gradient"] = torch.autograd.grad(loss, many.fc.bias)[0].tolist()
    print(json.dumps({"binary": binary, "independent": independent, "softmax": F.softmax(y, 1)[0].tolist()}, indent=1))


if __name__ == "__main__":
    main()
