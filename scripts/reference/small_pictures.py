"""SqueezeNet and ResNet-20 on pictures of sizes other than their training size, in PyTorch: tests/fixtures/small_pictures.json.
torch 2.15, torchvision 0.29.

    python3 scripts/reference/small_pictures.py FOLDER_OF_WEIGHTS > tests/fixtures/small_pictures.json
"""

import json
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file
from torchvision.models import squeezenet1_0

FOLDER = sys.argv[1]
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).reshape(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).reshape(1, 3, 1, 1)


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.more = stride, (channels - channels_in) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return F.relu(x + y)


class ResNet20(nn.Module):
    """ResNet-20 as in akamaster/pytorch_resnet_cifar10, with option-A shortcuts."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        stage = lambda a, b, s: nn.Sequential(Block(a, b, s), Block(b, b, 1), Block(b, b, 1))
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def picture(h, w):
    x = torch.tensor([(i * 53 + 7) % 97 / 97 for i in range(3 * h * w)], dtype=torch.float64)
    return (x.reshape(1, 3, h, w) - MEAN) / STD


cases = []
for name, file, network, sizes in [
    ("squeezenet1_0", "squeezenet1_0_imagenet", squeezenet1_0(), [(21, 21), (22, 30), (35, 21), (64, 47), (225, 223)]),
    ("resnet20", "resnet20_cifar10", ResNet20(), [(24, 24), (40, 40), (33, 17), (5, 6), (1, 1)]),
]:
    network.load_state_dict(load_file(f"{FOLDER}/{file}.safetensors"), strict=False)
    network = network.double().eval()
    for h, w in sizes:
        with torch.no_grad():
            best = network(picture(h, w))[0].topk(5)
        cases.append(dict(network=name, file=f"{file}.safetensors", size=[h, w], classes=best.indices.tolist(),
                          logits=best.values.tolist()))
json.dump(dict(torch=torch.__version__, cases=cases), sys.stdout, indent=1)
