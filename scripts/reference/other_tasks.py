"""Networks for speech, segmentation and faces, with folded batch norms: PyTorch counterparts of models/small and models/maps, for families.py."""

import torch
from torch import nn
from torch.nn import functional as F


class Numbered(nn.Module):
    """Convolutions `conv1`, `dw2`, … by number."""

    def conv(self, name, inputs, outputs, kernel, groups=1):
        setattr(self, name, nn.Conv2d(inputs, outputs, kernel, groups=groups))

    def run(self, name, x, padding=0, stride=1, dilation=1):
        layer = getattr(self, name)
        return F.conv2d(x, layer.weight, layer.bias, stride, padding, dilation, layer.groups)


class DsCnn(Numbered):
    def __init__(self, classes):
        super().__init__()
        self.conv("conv1", 1, 64, (10, 4))
        for i in (2, 4, 6, 8):
            self.conv(f"dw{i}", 64, 64, 3, 64)
            self.conv(f"conv{i + 1}", 64, 64, 1)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.run("conv1", F.pad(x, (1, 1, 4, 5)), stride=2).relu()
        for i in (2, 4, 6, 8):
            x = self.run(f"conv{i + 1}", self.run(f"dw{i}", x, padding=1).relu()).relu()
        return self.fc(x.mean((2, 3)))


class DeepLab(Numbered):
    BLOCKS = "48 12 2 1, 72 12 1 1, 72 16 2 1, 96 16 1 1, 96 16 1 1, 96 32 1 1, 192 32 1 2, 192 32 1 2, 192 32 1 2, 192 48 1 2, \
        288 48 1 2, 288 48 1 2, 288 80 1 2, 480 80 1 4, 480 80 1 4, 480 160 1 4"

    def __init__(self, classes):
        super().__init__()
        self.blocks = [[int(n) for n in block.split()] for block in self.BLOCKS.split(",")]
        self.conv("conv1", 3, 16, 3)
        self.conv("dw2", 16, 16, 3, 16)
        self.conv("conv3", 16, 8, 1)
        before = 8
        for i, (wide, after, _, _) in enumerate(self.blocks):
            self.conv(f"conv{3 * i + 4}", before, wide, 1)
            self.conv(f"dw{3 * i + 5}", wide, wide, 3, wide)
            self.conv(f"conv{3 * i + 6}", wide, after, 1)
            before = after
        for i, inputs, outputs in ((52, 160, 256), (53, 160, 256), (54, 512, 256), (55, 256, 21)):
            self.conv(f"conv{i}", inputs, outputs, 1)

    def forward(self, x):
        size = x.shape[2:]
        x = F.relu6(self.run("conv1", x, 1, 2))
        x = self.run("conv3", F.relu6(self.run("dw2", x, 1)))
        for i, (_, after, stride, dilation) in enumerate(self.blocks):
            y = F.relu6(self.run(f"conv{3 * i + 4}", x))
            y = self.run(f"conv{3 * i + 6}", F.relu6(self.run(f"dw{3 * i + 5}", y, dilation, stride, dilation)))
            x = x + y if stride == 1 and after == x.shape[1] else y
        pooled = self.run("conv52", x.mean((2, 3), keepdim=True)).relu()
        pooled = F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True)
        x = torch.cat([pooled, self.run("conv53", x).relu()], 1)
        return F.interpolate(self.run("conv55", self.run("conv54", x).relu()), size, mode="bilinear", align_corners=True)


class Selfie(Numbered):
    def __init__(self, classes):
        super().__init__()
        rows = """conv1 3 16 3, conv2 16 16 1, dw3 16 16 3, conv4 16 8 1, conv5 8 16 1, conv6 16 16 1, conv7 16 72 1, dw8 72 72 3, conv9 72 24 1,
            conv10 24 88 1, dw11 88 88 3, conv12 88 24 1, conv13 24 96 1, dw14 96 96 5, conv15 96 24 1, conv16 24 96 1, conv17 96 32 1,
            conv18 32 128 1, dw19 128 128 5, conv20 128 32 1, conv21 32 128 1, conv22 128 32 1, conv23 32 128 1, dw24 128 128 5,
            conv25 128 32 1, conv26 32 128 1, conv27 128 32 1, conv28 32 96 1, dw29 96 96 5, conv30 96 24 1, conv31 24 96 1, conv32 96 32 1,
            conv33 32 96 1, dw34 96 96 5, conv35 96 24 1, conv36 24 96 1, conv37 96 32 1, conv38 32 128 1, conv39 32 128 1, conv40 128 24 1,
            conv41 24 24 1, conv42 24 24 1, conv43 24 24 1, dw44 24 24 3, conv45 24 16 1, conv46 16 16 1, conv47 16 16 1, conv48 16 16 1,
            dw49 16 16 3, conv50 16 16 1, conv51 16 16 1, conv52 16 16 1, conv53 16 16 1, dw54 16 16 3"""
        for row in rows.split(","):
            name, inputs, outputs, kernel = row.split()
            self.conv(name, int(inputs), int(outputs), int(kernel), int(inputs) if name.startswith("dw") else 1)
        self.deconv = nn.ConvTranspose2d(16, 1, 2, 2)

    def half(self, name, x):
        return self.run(name, F.pad(x, (0, 1, 0, 1) if getattr(self, name).kernel_size[0] == 3 else (1, 2, 1, 2)), stride=2)

    def gate(self, i, x):
        return self.run(f"conv{i + 1}", self.run(f"conv{i}", x.mean((2, 3), keepdim=True)).relu()).sigmoid()

    def block(self, i, x, stride=1):
        y = F.hardswish(self.run(f"conv{i}", x))
        y = F.hardswish(self.half(f"dw{i + 1}", y) if stride == 2 else self.run(f"dw{i + 1}", y, 2))
        y = self.run(f"conv{i + 4}", y * self.gate(i + 2, y))
        return y if stride == 2 else x + y

    def up(self, i, x, skip):
        x = self.run(f"conv{i}", F.interpolate(x, skip.shape[2:], mode="bilinear"))
        x = skip * self.gate(i + 1, skip + x) + x
        x = self.run(f"conv{i + 3}", x).relu()
        return x + self.run(f"dw{i + 4}", x, 1).relu()

    def forward(self, x):
        half = F.hardswish(self.half("conv1", x))
        x = self.half("dw3", self.run("conv2", half).relu()).relu()
        quarter = self.run("conv6", x * self.gate(4, x))
        x = self.run("conv9", self.half("dw8", self.run("conv7", quarter).relu()).relu())
        eighth = x + self.run("conv12", self.run("dw11", self.run("conv10", x).relu(), 1).relu())
        x = self.block(13, eighth, 2)
        for i in (18, 23, 28, 33):
            x = self.block(i, x)
        x = self.run("conv38", x).relu() * self.run("conv39", x.mean((2, 3), keepdim=True)).sigmoid()
        for i, skip in ((40, eighth), (45, quarter), (50, half)):
            x = self.up(i, x, skip)
        return self.deconv(x)


class YuNet(Numbered):
    def __init__(self, classes):
        super().__init__()
        self.conv("conv1", 3, 16, 3)
        pairs = [(2, 16, 16), (4, 16, 16), (6, 16, 64)] + [(i, 64, 64) for i in range(8, 36, 2)]
        for first, outputs in ((36, 1), (42, 4), (48, 1), (54, 10)):
            pairs += [(i, 64, outputs) for i in (first, first + 2, first + 4)]
        for i, inputs, outputs in pairs:
            self.conv(f"conv{i}", inputs, outputs, 1)
            self.conv(f"conv{i + 1}", outputs, outputs, 3, outputs)

    def pair(self, i, x):
        return self.run(f"conv{i + 1}", self.run(f"conv{i}", x), 1)

    def forward(self, x):
        x = self.run("conv1", x.flip(1), 1, 2).relu()
        x = F.max_pool2d(self.pair(2, x).relu(), 2)
        for i in (4, 6, 8, 10):
            x = self.pair(i, x).relu()
        levels = []
        for i in (12, 16, 20):
            x = self.pair(i + 2, self.pair(i, F.max_pool2d(x, 2)).relu()).relu()
            levels.append(x)
        levels[2] = self.pair(24, levels[2]).relu()
        for level, i in ((1, 26), (0, 28)):
            levels[level] = self.pair(i, levels[level] + F.interpolate(levels[level + 1], levels[level].shape[2:])).relu()
        levels = [self.pair(30 + 2 * n, x).relu() for n, x in enumerate(levels)]
        head = lambda i: torch.cat([self.pair(i + 2 * n, x).flatten(2) for n, x in enumerate(levels)], 2)
        return torch.cat([head(36).sigmoid(), head(48).sigmoid(), head(42), head(54)], 1)
