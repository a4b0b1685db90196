"""The networks being compared, in PyTorch."""

import copy

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

IMAGENET = (3, 224, 224)
ROWS = [
    ("lenet", (1, 28, 28), (64, 256)),
    ("resnet20", (3, 32, 32), (1, 64)),
    ("squeezenet1_0", IMAGENET, (1, 8)),
    ("resnet18", IMAGENET, (1, 8)),
    ("resnet50", IMAGENET, (1, 8)),
    ("vgg16", IMAGENET, (1, 8)),
]

# Depthwise convolutions, gates, layer norms and attention.
TODAY = [(name, IMAGENET, (1, 8)) for name in (
    "mobilenet_v3_large", "efficientnet_b0", "densenet121", "convnext_tiny", "swin_t", "deit_small_patch16_224", "vit_b_16",
)]

# Networks and batch sizes for training.
TRAINED = [("lenet", (1, 28, 28), (64, 128)), ("shapes", (3, 128, 128), (64, 128)), ("resnet20", (3, 32, 32), (64, 128))]


def budget(name):
    """Number of runs at batch size one; larger batches get proportionally fewer."""
    return {"lenet": 1000, "resnet20": 300, "squeezenet1_0": 16, "resnet18": 16}.get(name, 4)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 32, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(32 * 7 * 7, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    def __init__(self, before, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.zeros = (channels - before) // 2 if stride != 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.zeros is not None:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.zeros, self.zeros))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        for stage, (before, channels) in enumerate([(16, 16), (16, 32), (32, 64)], 1):
            blocks = [Block(before if i == 0 else channels, channels, 2 if i == 0 and stage > 1 else 1) for i in range(3)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Shapes(nn.Module):
    """The embedded network `shapes`."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 5, 2, 2), nn.Conv2d(16, 32, 3, padding=1)
        self.conv3, self.conv4 = nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 96, 3, padding=2, dilation=2)
        self.fc = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv4(F.max_pool2d(F.relu(self.conv3(x)), 3, 1, 1)))
        return self.fc(x.mean((2, 3)))


def build(name):
    own = {"lenet": LeNet, "resnet20": ResNet20, "shapes": Shapes}
    if name in own:
        network = own[name]()
    elif hasattr(torchvision.models, name):
        network = getattr(torchvision.models, name)(weights=None)
    else:
        import timm
        network = timm.create_model(name)
    return network.eval().requires_grad_(False)


def copied(network):
    return copy.deepcopy(network)


def call(network, x, back):
    """A callable: the forward pass, or with `back` the input gradient of one logit per picture as well."""
    if not back:
        def forward():
            with torch.inference_mode():
                return network(x)
        return forward

    def gradient():
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(network(leaf)[:, 1].sum(), leaf)[0]
    return gradient


def training(network, x, layout):
    """A callable: one step of SGD with momentum."""
    network = copied(network).to(memory_format=layout).train().requires_grad_(True)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    x, labels = x.to(memory_format=layout), torch.arange(len(x)) % 10

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(x), labels).backward()
        optimizer.step()
    return step
