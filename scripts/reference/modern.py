"""Writes tests/fixtures/modern.json: PyTorch's results for the networks in tests/fixtures/modern.

A vision transformer with torchvision's names, and a residual network with SiLU, squeeze-and-excitation and depthwise
convolutions: logits, the gradients of their weighted sum with respect to the input and every parameter, and the same in
training mode with the updated running statistics, in f64. Weights and pictures come from the formula in zoo.py.

python3 scripts/reference/modern.py         PyTorch 2.15
"""
import json
from pathlib import Path

import torch
from torch import nn

from zoo import Normalized, uniform, value

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/modern.json"
MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.3]


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Identity(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=True)[0]
        return x + self.mlp(self.ln_2(x))


class Vit(nn.Module):
    def __init__(self, dim=12, heads=3):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, dim, 4, 4)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.zeros(1, 17, dim))
        self.encoder.layers = nn.ModuleDict({f"encoder_layer_{i}": Block(dim, heads) for i in range(2)})
        self.encoder.ln = nn.LayerNorm(dim, eps=1e-6)
        self.heads = nn.Module()
        self.heads.head = nn.Linear(dim, 5)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.encoder.pos_embedding
        for block in self.encoder.layers.values():
            x = block(x)
        return self.heads.head(self.encoder.ln(x)[:, 0])


class Gate(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        y = nn.functional.silu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.fc2(y))


class Residual(nn.Module):
    def __init__(self, read, channels, stride):
        super().__init__()
        wide = 2 * channels
        self.expand, self.bn1 = nn.Conv2d(read, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.bn2, self.se = nn.BatchNorm2d(wide), Gate(wide, 4)
        self.project, self.bn3 = nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)
        same = stride == 1 and read == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(read, channels, 1, stride)

    def forward(self, x):
        y = nn.functional.silu(self.bn1(self.expand(x)))
        y = self.se(nn.functional.silu(self.bn2(self.depthwise(y))))
        return self.shortcut(x) + self.bn3(self.project(y))


class SeResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.layer1, self.layer2 = Residual(8, 8, 1), Residual(8, 12, 2)
        self.norm, self.fc = nn.GroupNorm(3, 12), nn.Linear(12, 6)

    def forward(self, x):
        x = nn.functional.hardswish(self.stem_bn(self.stem(x)))
        x = self.norm(self.layer2(self.layer1(x)))
        return self.fc(nn.functional.gelu(x, approximate="tanh").mean((2, 3)))


def numbers(t):
    return [float(f"{v:.15g}") for v in t.detach().flatten().tolist()]


def case(name, network, size):
    network = network.double().eval()
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    network.load_state_dict({k: value(k, v.shape) for k, v in state.items()}, strict=False)
    x = torch.from_numpy(uniform(f"{name}.x", 2 * 3 * size[0] * size[1])).reshape(2, 3, *size) / 2 + 0.5
    x.requires_grad_()
    logits = Normalized(network, MEAN, STD)(x)
    seed = torch.from_numpy(uniform(f"{name}.seed", logits.numel())).reshape(logits.shape)
    (logits * seed).sum().backward()
    gradients = {k: numbers(p.grad) for k, p in network.named_parameters()}
    network.train()
    network.zero_grad()
    trained = Normalized(network, MEAN, STD)(x.detach())
    (trained * seed).sum().backward()
    training = {
        "logits": numbers(trained),
        "parameters": {k: numbers(p.grad) for k, p in network.named_parameters()},
        "statistics": {k: numbers(b) for k, b in network.named_buffers() if "running" in k},
    }
    return {
        "size": list(size), "logits": numbers(logits), "input": numbers(x.grad), "parameters": gradients, "training": training,
    }


if __name__ == "__main__":
    torch.manual_seed(0)
    cases = {"vit_tiny": case("vit_tiny", Vit(), (16, 16)), "se_resnet_tiny": case("se_resnet_tiny", SeResNet(), (20, 18))}
    FIXTURE.write_text(json.dumps({"pytorch": torch.__version__, **cases}) + "\n")
