"""Convolutional networks of torchvision, timm and Hugging Face, to check that their weights open by names and shapes alone.

    families.py fixture                   writes tests/fixtures/families.json: a hash of the names and shapes of every network's parameters,
                                          and for one network of each family reference values as in zoo.py
    families.py check PROGRAM [NAME...]   draws random weights, compares gradscope's logits and input gradients with PyTorch's, and records
                                          the results in docs/models.md
    families.py table                     rewrites docs/models.md from these results

In a check, weights are drawn with fixed seeds; batch norm statistics are computed from a random picture, so that activations stay in range,
and then perturbed. Every network has 5 classes in a check, so that the program must read this number from the weights.
PyTorch computes in float64. Written for torch 2.15, torchvision 0.29, timm 1.0.31, transformers 5.
"""

import hashlib
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
import transformers
from torch import nn
from torch.nn import functional as F

import other_tasks
import zoo

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests/fixtures/families.json"
TABLE = ROOT / "docs/models.md"
CLASSES = 5

# Names as in gradscope. Names from timm and Hugging Face that torchvision has too begin with `timm_` and `hf_`.
FAMILIES = {
    ("AlexNet", "torchvision"): "alexnet",
    ("VGG", "torchvision"): "vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn",
    ("SqueezeNet", "torchvision"): "squeezenet1_0 squeezenet1_1",
    ("GoogLeNet", "torchvision"): "googlenet",
    ("Inception", "torchvision"): "inception_v3",
    ("ResNet", "torchvision, timm"): "resnet18 resnet34 resnet50 resnet101 resnet152",
    ("ResNeXt", "torchvision, timm"): "resnext50_32x4d resnext101_32x8d resnext101_64x4d",
    ("Wide ResNet", "torchvision, timm"): "wide_resnet50_2 wide_resnet101_2",
    ("ResNet-26", "timm"): "resnet26",
    ("ResNet-D", "timm"): "resnet18d resnet26d resnet34d resnet50d resnet101d resnet152d",
    ("ResNeXt", "timm"): "resnext101_32x4d",
    ("SE-ResNet", "timm"): "seresnet18 seresnet34 seresnet50 seresnet101 seresnet152",
    ("SE-ResNeXt", "timm"): "seresnext50_32x4d seresnext101_32x4d seresnext101_32x8d seresnext101_64x4d",
    ("ResNet v2", "timm"): " ".join(f"resnetv2_{n}{d}" for d in ("", "d") for n in (18, 34, 50, 101, 152)),
    ("BiT", "timm"): " ".join(f"resnetv2_{n}_bit" for n in ("50x1", "50x3", "101x1", "101x3", "152x2", "152x4")),
    ("ResNet", "Hugging Face"): "hf_resnet18 hf_resnet34 hf_resnet50 hf_resnet101 hf_resnet152",
    ("RegNet", "torchvision"): " ".join(
        [f"regnet_y_{s}" for s in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf 128gf".split()]
        + [f"regnet_x_{s}" for s in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf".split()]
    ),
    ("RegNet", "timm"): " ".join(
        [f"regnety_{s}" for s in "002 004 006 008 008_tv 016 032 040 064 080 080_tv 120 160 320 1280".split()]
        + [f"regnetx_{s}" for s in "002 004 004_tv 006 008 016 032 040 064 080 120 160 320".split()]
    ),
    ("ConvNeXt", "torchvision"): "convnext_tiny convnext_small convnext_base convnext_large",
    ("ConvNeXt", "timm"): "timm_convnext_atto timm_convnext_femto timm_convnext_pico timm_convnext_nano timm_convnext_tiny "
    "timm_convnext_small timm_convnext_base timm_convnext_large timm_convnext_xlarge",
    ("ConvNeXt V2", "timm"): " ".join(f"convnextv2_{n}" for n in "atto femto pico nano tiny small base large huge".split()),
    ("ConvNeXt", "Hugging Face"): "hf_convnext_tiny hf_convnext_small hf_convnext_base hf_convnext_large",
    ("DenseNet", "torchvision, timm"): "densenet121 densenet161 densenet169 densenet201",
    ("DenseNet-BC for CIFAR", "torchvision"): "densenet_bc_40_12",
    ("ResNet-8 for CIFAR", "MLPerf Tiny"): "resnet8_cifar10",
    ("cifar10-tiniest", "xvel"): "tiniest_cifar10",
    ("MobileNetV1", "timm"): "mobilenetv1_025 mobilenetv1_100",
    ("MobileNetV2", "torchvision"): "mobilenet_v2",
    ("MobileNetV2", "timm"): "mobilenetv2_050 mobilenetv2_100 mobilenetv2_110d mobilenetv2_120d mobilenetv2_140",
    ("MobileNetV3", "torchvision"): "mobilenet_v3_large mobilenet_v3_small",
    ("MobileNetV3", "timm"): "mobilenetv3_small_050 mobilenetv3_small_075 mobilenetv3_small_100 mobilenetv3_large_100 "
    "tf_mobilenetv3_small_100 tf_mobilenetv3_large_100",
    ("MNASNet", "torchvision"): "mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3",
    ("ShuffleNetV2", "torchvision"): "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
    ("EfficientNet", "torchvision"): " ".join(f"efficientnet_b{i}" for i in range(8)),
    ("EfficientNet", "timm"): " ".join(
        [f"timm_efficientnet_b{i}" for i in range(5)] + [f"tf_efficientnet_b{i}" for i in range(8)]
    ),
    ("EfficientNet-Lite", "timm"): " ".join(f"tf_efficientnet_lite{i}" for i in range(5)),
    ("EfficientNetV2", "torchvision"): "efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l",
    ("EfficientNetV2", "timm"): "tf_efficientnetv2_b0 tf_efficientnetv2_b1 tf_efficientnetv2_b2 tf_efficientnetv2_b3 "
    "tf_efficientnetv2_s tf_efficientnetv2_m tf_efficientnetv2_l",
}

# Auxiliary heads, which the program ignores.
UNUSED = re.compile(r"^(aux1|aux2|AuxLogits)\.|num_batches_tracked$")

# Picture sizes for the check, if not 64: sizes that divide evenly through all strides, or that a network requires.
SIZES = {"inception_v3": 107, "alexnet": 96, "tf_efficientnet_b3": 75}

# For larger networks, only names and shapes are checked.
MOST = 120_000_000


# One network of each family, with reference values in the fixture.
NUMBERS = """seresnet18 seresnext50_32x4d resnetv2_50x1_bit convnextv2_atto convnextv2_tiny
resnetv2_18 resnetv2_50 resnetv2_18d resnetv2_50d googlenet inception_v3 resnext50_32x4d resnet26 resnet18d resnet26d hf_resnet18 hf_resnet50 regnet_x_400mf regnet_y_400mf regnetx_002
regnety_002 convnext_tiny timm_convnext_atto hf_convnext_tiny densenet121 densenet_bc_40_12 resnet8_cifar10 tiniest_cifar10 mobilenetv1_025
mobilenet_v2 mobilenetv2_050 mobilenet_v3_small mobilenetv3_small_050 tf_mobilenetv3_small_100 mnasnet0_5 shufflenet_v2_x0_5 efficientnet_b0
timm_efficientnet_b0 tf_efficientnet_b0 tf_efficientnet_lite0 efficientnet_v2_s tf_efficientnetv2_b0""".split()


# Networks for tasks other than image classification: their counterparts in PyTorch, input shapes and numbers of outputs.
OTHER_TASKS = {
    "dscnn_speech_commands": (other_tasks.DsCnn, [1, 49, 10], 12),
    "deeplabv3_mnv2_voc": (other_tasks.DeepLab, [3, 257, 257], 21),
    "selfie_segmentation": (other_tasks.Selfie, [3, 256, 256], 1),
    "yunet_n_face": (other_tasks.YuNet, [3, 320, 320], 16),
}


def names():
    return [name for line in FAMILIES.values() for name in line.split()]


def make(name, classes):
    if name in OTHER_TASKS:
        return OTHER_TASKS[name][0](OTHER_TASKS[name][2])
    if name in OWN:
        return OWN[name](classes)
    if name == "mobilenetv1_025":
        return timm.models.efficientnet._gen_mobilenet_v1("mobilenetv1_100", 0.25, num_classes=classes)
    if name.startswith("hf_"):
        return hugging_face(name.removeprefix("hf_"), classes)
    if name.startswith("timm_") or name not in torchvision.models.list_models():
        return timm.create_model(name.removeprefix("timm_"), num_classes=classes)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, num_classes=classes, **extra)


class DenseNetBc(nn.Sequential):
    """torchvision's DenseNet with a smaller stem."""

    def __init__(self, classes):
        super().__init__()
        net = torchvision.models.DenseNet(12, (6, 6, 6), 24, num_classes=classes)
        net.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
        for name in ("norm0", "relu0", "pool0"):
            delattr(net.features, name)
        self.features, self.classifier = net.features, net.classifier

    def forward(self, x):
        return self.classifier(self.features(x).relu().mean((2, 3)))


class ResNet8(nn.Module):
    def __init__(self, classes):
        super().__init__()
        sizes = [(3, 16, 3), (16, 16, 3), (16, 16, 3), (16, 32, 3), (32, 32, 3), (16, 32, 1), (32, 64, 3), (64, 64, 3), (32, 64, 1)]
        for i, (inputs, outputs, kernel) in enumerate(sizes):
            stride = 2 if i in (3, 5, 6, 8) else 1
            conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0)
            setattr(self, f"conv{i + 1}", conv)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        same = lambda x: F.pad(x, (0, 1, 0, 1))
        x = self.conv1(x).relu()
        x = (x + self.conv3(self.conv2(x).relu())).relu()
        x = (self.conv6(x) + self.conv5(self.conv4(same(x)).relu())).relu()
        x = (self.conv9(x) + self.conv8(self.conv7(same(x)).relu())).relu()
        return self.fc(x.mean((2, 3)))


class ChannelNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.ln = nn.LayerNorm(channels)

    def forward(self, x):
        return self.ln(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TiniestBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        part = channels // 4
        self.dwconv1 = nn.Conv2d(part, part, 3, padding=1, groups=part)
        self.dwconv2 = nn.Conv2d(part, part, 7, padding=3, groups=part)
        self.dwconv3 = nn.Conv2d(part, part, 7, padding=9, dilation=3, groups=part)
        self.ln = ChannelNorm(channels)
        self.fc1, self.fc2 = nn.Conv2d(channels, 2 * channels, 1), nn.Conv2d(channels, channels, 1)
        self.rs = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        a, b, c, d = x.chunk(4, 1)
        d = F.avg_pool2d(d, 3, 1, 1)
        y = torch.cat([a, self.dwconv1(b), self.dwconv2(c), self.dwconv3(d)], 1)
        u, v = self.fc1(self.ln(y)).chunk(2, 1)
        return self.fc2(torch.tanh(u.exp()) * u * v) + x * self.rs


class Tiniest(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1, self.ln1 = nn.Conv2d(3, 48, 3, padding=1), ChannelNorm(48)
        self.l1, self.l2, self.l3 = (TiniestBlock(48) for _ in range(3))
        self.dsconv, self.ln2 = nn.Conv2d(48, 80, 4, 2, 1, groups=16), ChannelNorm(80)
        self.l4, self.l5, self.l6 = (TiniestBlock(80) for _ in range(3))
        self.fc = nn.Linear(80, classes)

    def forward(self, x):
        x = self.l3(self.l2(self.l1(self.ln1(self.conv1(x)))))
        x = self.l6(self.l5(self.l4(self.ln2(self.dsconv(x)))))
        return self.fc(x.mean((2, 3)))


OWN_NORMS = {
    "densenet_bc_40_12": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "resnet8_cifar10": ((0, 0, 0), (1 / 255, 1 / 255, 1 / 255)),
    "tiniest_cifar10": ((0.5, 0.5, 0.5), (1, 1, 1)),
    "dscnn_speech_commands": ((0,), (1,)),
    "deeplabv3_mnv2_voc": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "selfie_segmentation": ((0, 0, 0), (1, 1, 1)),
    "yunet_n_face": ((0, 0, 0), (1 / 255, 1 / 255, 1 / 255)),
}
OWN = {"densenet_bc_40_12": DenseNetBc, "resnet8_cifar10": ResNet8, "tiniest_cifar10": Tiniest}


def hugging_face(name, classes):
    from transformers import ConvNextConfig, ConvNextForImageClassification, ResNetConfig, ResNetForImageClassification

    if name.startswith("resnet"):
        depths = {"18": [2, 2, 2, 2], "34": [3, 4, 6, 3], "50": [3, 4, 6, 3], "101": [3, 4, 23, 3], "152": [3, 8, 36, 3]}
        basic = name in ("resnet18", "resnet34")
        config = ResNetConfig(
            depths=depths[name[6:]],
            layer_type="basic" if basic else "bottleneck",
            hidden_sizes=[64, 128, 256, 512] if basic else [256, 512, 1024, 2048],
            num_labels=classes,
        )
        return ResNetForImageClassification(config)
    depths = [3, 3, 9, 3] if name == "convnext_tiny" else [3, 3, 27, 3]
    width = {"convnext_tiny": 96, "convnext_small": 96, "convnext_base": 128, "convnext_large": 192}[name]
    config = ConvNextConfig(depths=depths, hidden_sizes=[width << i for i in range(4)], num_labels=classes)
    return ConvNextForImageClassification(config)


def parameters(net):
    return {k: v for k, v in net.state_dict().items() if not UNUSED.search(k)}


def shapes_of(name, classes):
    try:
        with torch.device("meta"):
            net = make(name, classes)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        net = make(name, classes)
    return {k: list(v.shape) for k, v in parameters(net).items()}


def numbers(name):
    """The reference values of one network in float64, with weights from zoo.py's formula."""
    net = make(name, 1000 if name not in OWN else 10).double().eval()
    for k, v in parameters(net).items():
        v.copy_(zoo.value(k, list(v.shape)))
    size = OTHER_TASKS[name][1] if name in OTHER_TASKS else [3, *[SIZES.get(name, 32 if name in OWN else 64)] * 2]
    x = torch.from_numpy(zoo.uniform("picture", math.prod(size)) * 0.5 + 0.5).reshape(1, *size).requires_grad_()
    y = net(normalized(x, name))
    y = y if torch.is_tensor(y) else y.logits
    (gradient,) = torch.autograd.grad((y * torch.from_numpy(zoo.uniform("seed", y.numel())).reshape(y.shape)).sum(), x)
    return {"input": size, "output": zoo.numbers(y), "gradient": zoo.numbers(gradient)}


def write_fixture():
    rows = []
    for name in [*names(), *OTHER_TASKS]:
        if name in zoo.torchvisions():
            continue
        shapes = sorted(shapes_of(name, 10 if name in OWN else 1000).items())
        lines = "".join(f"{k} {'x'.join(map(str, shape))}\n" for k, shape in shapes)
        row = {"tensors": len(shapes), "parameters": sum(math.prod(shape) for _, shape in shapes)}
        row["parameters_sha256"] = hashlib.sha256(lines.encode()).hexdigest()
        row |= numbers(name) if name in NUMBERS or name in OTHER_TASKS else {}
        rows.append(f"{json.dumps(name)}: {json.dumps(row)}")
        print(name, row.get("output", {}).get("norm", ""), flush=True)
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, timm, transformers)}
    FIXTURE.write_text(f'{{"versions": {json.dumps(versions)}, "networks": {{\n' + ",\n".join(rows) + "\n}}\n")


def draw(net, x, name, seed):
    """Draws all parameters that are initialized to 0 or 1, and the batch norm statistics. Gains below 1 keep the blocks' contributions
    small; otherwise rounding errors would grow through deep networks."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda like, scale: torch.randn(like.shape, generator=g, dtype=like.dtype) * scale
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for key, p in net.named_parameters():
            if p.ndim == 1:
                p.copy_((0.3 if key.endswith("weight") else 0) + normal(p, 0.05))
            if key.endswith(("layer_scale", "layer_scale_parameter", ".gamma")):
                p.copy_(0.5 + normal(p, 0.1))
            if ".grn." in key or "gain" in key:
                p.copy_(1 + normal(p, 0.1))
        net.eval()
        for m in norms:
            m.train()
            m.momentum = None
        net(normalized(torch.cat([x, pictures(7, x.shape[-1], g)]), name))
        net.eval()
        for m in norms:
            m.running_mean += normal(m.running_mean, 0.1) * m.running_var.sqrt()
            m.running_var *= (normal(m.running_var, 0.1)).exp()
        for p in net.state_dict().values():
            if p.is_floating_point():
                p.copy_(p.float())


def reference(name, folder, seed):
    """Saves weights and pixels, and returns the network and the picture."""
    torch.manual_seed(seed)
    net = make(name, CLASSES).double().eval()
    size = SIZES.get(name, 32 if name in OWN else 64)
    x = pictures(1, size, torch.Generator().manual_seed(seed + 1))
    draw(net, x, name, seed)
    torch.save({k: v.float() if v.is_floating_point() else v for k, v in net.state_dict().items()}, folder / "weights.pth")
    np.save(folder / "pixels.npy", x.float().numpy())
    return net, x


def pictures(count, size, g):
    """Pictures with coarse structure and noise, in [0, 1]."""
    coarse = torch.rand(count, 3, 5, 5, generator=g)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return (0.7 * smooth + 0.3 * torch.rand(count, 3, size, size, generator=g)).double()


def normalized(x, name):
    """Normalizes pictures as in the network's card: torchvision's or timm's."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    if name in ("efficientnet_v2_l", "googlenet", "inception_v3", "mobilenetv1_025"):
        mean = std = (0.5, 0.5, 0.5)
    elif name in OWN_NORMS:
        mean, std = OWN_NORMS[name]
    elif name not in torchvision.models.list_models() and not name.startswith("hf_"):
        config = timm.get_pretrained_cfg(name.removeprefix("timm_"))
        mean, std = config.mean, config.std
    mean, std = (torch.tensor(v, dtype=x.dtype).view(1, -1, 1, 1) for v in (mean, std))
    return (x - mean) / std


def logits_and_gradient(net, x, name):
    x = x.clone().requires_grad_()
    logits = net(normalized(x, name))
    logits = (logits if torch.is_tensor(logits) else logits.logits)[0]
    (gradient,) = torch.autograd.grad(logits.max(), x)
    return logits.detach().numpy(), gradient.numpy()


def results():
    """Results of earlier checks, from the comments in the table."""
    text = TABLE.read_text() if TABLE.exists() else ""
    return dict(re.findall(r"^<!-- (\S+): (.+) -->$", text, re.M))


def transformers_table():
    """A row for each script in models/transformer: its networks, and those with reference values in the fixture."""
    numbers = json.loads((FIXTURE.parent / "vision_transformers.json").read_text())["networks"]
    rows = []
    for script in sorted((ROOT / "models/transformer").glob("*.rhai")):
        text = script.read_text()
        listed = re.findall(r'"([^"]+)"', re.search(r"names:\s*\[(.*?)\]", text, re.S)[1])
        library = re.search(r"as in (torchvision|timm|transformers)", text)
        compared = [name for name in listed if "output" in numbers.get(name, {})]
        cells = [", ".join(f"`{n}`" for n in listed), library[1] if library else "PyTorch", ", ".join(f"`{n}`" for n in compared)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def write_table(known):
    rows = []
    for (family, library), listed in FAMILIES.items():
        found = [known[name].split() for name in listed.split() if name in known]
        compared = [f for f in found if f[1] != "names"]
        worst = [max((float(f[i]) for f in compared), default=None) for i in (1, 2)]
        cells = [f"{w:.0e}" if w is not None else "" for w in worst] + [str(sum(f[3] == "f64" for f in compared))]
        rows.append(f"| {family} | {library} | {', '.join(f'`{n}`' for n in listed.split())} | {len(compared)} of {len(listed.split())} | {' | '.join(cells)} |")
    text = f"""# Networks that open from their weights alone

`gradscope run gradcam -m weights.pth` infers the architecture from the names and shapes of the tensors in the file. The network may have
any number of classes and input channels, and the tensors any prefix (`model.`, `module.`); the file may be a checkpoint, or sharded.
Where torchvision and another library give different networks the same name, the other library's has a prefix here: `timm_`, `hf_`.
Files with a graph, ONNX and `.pt2`, open whatever the architecture; [exports.md](exports.md) compares the two for many networks.

The same holds for networks named on a hub, as in `-m hf:timm/resnet50.a1_in1k` or `-m torchvision:resnet50`: see [hubs.md](hubs.md).

A custom network has no script, and its weights alone do not define its forward pass. The error then ends with the lines of Python that
export its graph, with your file names filled in: `gradscope.export(model, example, "net.pt2")` from the
[Python package](../python/README.md), or `torch.export.save`.

The networks counted in the column "compared" were given random weights and batch norm statistics and opened from the file alone. The
columns "logits" and "gradient" are the largest errors of the class scores, and of the gradient of the largest score with respect to the
pixels, against PyTorch in float64, relative to the norm. gradscope computes in f32, or in f64 where rounding flips a ReLU close to its
kink ("f64" counts these networks). For every network, the names and shapes of all parameters are tested.

This table is written by `scripts/reference/families.py check`, with torch {torch.__version__.split('+')[0]}, torchvision {torchvision.__version__.split('+')[0]}, timm {timm.__version__} and transformers
{transformers.__version__}.

| family | names from | networks | compared | logits | gradient | f64 |
|---|---|---|---|---|---|---|
""" + "\n".join(rows) + f"""

## Vision transformers

For every network, the names and shapes of all parameters are tested; for those in the column "compared" also the output and the input
gradient, against the library in float64. The last name of a family, such as `timm_vit`, opens networks of any size, which is read from
the weights.

| networks | names from | compared |
|---|---|---|
{transformers_table()}

## Other tasks

Trained networks with weights under open licenses, compared with PyTorch's output and gradient on a picture or a recording:

| network | task |
|---|---|
| `dscnn_speech_commands` | keyword spotting, from 49 frames of 10 MFCCs (MLPerf Tiny) |
| `deeplabv3_mnv2_voc` | semantic segmentation: 21 classes of Pascal VOC |
| `selfie_segmentation` | person segmentation (MediaPipe) |
| `yunet_n_face` | face detection (libfacedetection) |

""" + "\n".join(f"<!-- {name}: {known[name]} -->" for name in names() if name in known) + "\n"
    TABLE.write_text(text)


def opened(folder, shape):
    """The inferred architecture, the logits and the gradient."""
    result = json.loads((folder / "result.json").read_text())
    logits = np.zeros(CLASSES)
    for row in result["top5"]:
        logits[row["class"]] = row["logit"]
    return result["model"], logits, np.load(folder / "gradient.npy").reshape(shape)


def relative(to):
    return lambda a, b: np.linalg.norm(a - b) / np.linalg.norm(to)


def check(program, chosen):
    bad, known = [], results()
    for name in chosen or names():
        count = sum(math.prod(shape) for shape in shapes_of(name, CLASSES).values())
        if count > MOST and not chosen:
            known[name] = f"{count} names"
            print(f"{name:28} {count:>11} parameters: names and shapes only", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            net, x = reference(name, folder, seed=7)
            # The file name matches no network, so that only names and shapes decide, unless another network has the same tensors.
            weights = folder / (f"{name}.pth" if name in SAME else "weights.pth")
            (folder / "weights.pth").rename(weights)
            theirs, gradient = logits_and_gradient(net, x, name)
            del net
            size, seconds, ours = relative(theirs), time.time(), {}
            for precision in ("f32", "f64"):
                run = [program, "run", "saliency", "-m", weights, "-i", folder / "pixels.npy", "--out", folder / precision]
                run = [*run, "--precision", precision]
                ran = subprocess.run([str(part) for part in run], capture_output=True, text=True, cwd=ROOT)
                if ran.returncode:
                    break
                ours[precision] = opened(folder / precision, gradient.shape)
                logit, slope = size(ours[precision][1], theirs), relative(gradient)(ours[precision][2], gradient)
                # In f32, rounding may flip a ReLU close to its kink, so failures are retried in f64.
                if logit < 1e-4 and slope < 1e-3:
                    break
            seconds = time.time() - seconds
            if ran.returncode:
                bad.append(name)
                print(f"{name:28} FAILED: {ran.stderr.strip()[:600]}", flush=True)
                continue
            found = ours["f32"][0]
            wrong = found != name or logit > 1e-4 or slope > 1e-3
            bad += [name] if wrong else []
            told = "WRONG" if wrong else "ok"
            known[name] = f"{count} {logit:.0e} {slope:.0e} {precision}"
            write_table(known) if not wrong else known.pop(name)
            print(f"{name:28} {count:>11} {found:28} {logit:.1e} {slope:.1e} {precision} {seconds:5.1f} s {told}", flush=True)
    write_table(known)
    print(f"{len(bad)} bad: {' '.join(bad)}")
    sys.exit(bool(bad))


# Networks that share names and shapes with another but differ in padding or an epsilon: the file name decides.
SAME = {n for n in names() if n.startswith(("tf_", "timm_efficientnet", "mobilenetv3"))}

if __name__ == "__main__":
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["fixture"]:
            write_fixture()
        case ["table"]:
            write_table(results())
        case ["check", program, *chosen]:
            check(program, chosen)
        case _:
            sys.exit(__doc__)
