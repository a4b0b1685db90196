"""Weights of torchvision's, timm's and Hugging Face's convolutional networks, to check that they open by names and shapes alone.

    families.py names                     writes tests/fixtures/families.txt: parameters of every network, as a hash
    families.py table                     writes docs/models.md: the families and what opens
    families.py check PROGRAM [NAME...]   draws weights, and compares logits and input gradients of gradscope with PyTorch's

Weights are drawn with fixed seeds; statistics of batch norms follow a random picture, so that activations stay in range, and are
then drawn about these. Every network has 5 classes in a check, so that the program must read this number from the weights.
PyTorch computes in float64. Written for torch 2.15, torchvision 0.29, timm 1.0.31, transformers 5.14.
"""

import hashlib
import json
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

ROOT = Path(__file__).parents[2]
NAMES = ROOT / "tests/fixtures/families.txt"
TABLE = ROOT / "docs/models.md"
CLASSES = 5

# Names as in gradscope. Those of timm and Hugging Face that torchvision has too begin with `timm_` and `hf_`.
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
    ("ResNet", "Hugging Face"): "hf_resnet18 hf_resnet34 hf_resnet50 hf_resnet101 hf_resnet152",
    ("ResNetV2 (BiT)", "timm"): "resnetv2_50x1_bit resnetv2_101x1_bit resnetv2_50x3_bit",
    ("RegNet", "torchvision"): " ".join(
        [f"regnet_y_{s}" for s in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf 128gf".split()]
        + [f"regnet_x_{s}" for s in "400mf 800mf 1_6gf 3_2gf 8gf 16gf 32gf".split()]
    ),
    ("RegNet", "timm"): " ".join(
        [f"regnety_{s}" for s in "002 004 006 008 016 032 040 064 080 120 160 320".split()]
        + [f"regnetx_{s}" for s in "002 004 006 008 016 032 040 064 080 120 160 320".split()]
    ),
    ("ConvNeXt", "torchvision"): "convnext_tiny convnext_small convnext_base convnext_large",
    ("ConvNeXt", "timm"): "timm_convnext_atto timm_convnext_femto timm_convnext_pico timm_convnext_nano timm_convnext_tiny "
    "timm_convnext_small timm_convnext_base timm_convnext_large timm_convnext_xlarge",
    ("ConvNeXt V2", "timm"): "convnextv2_atto convnextv2_femto convnextv2_pico convnextv2_nano convnextv2_tiny convnextv2_base "
    "convnextv2_large",
    ("ConvNeXt", "Hugging Face"): "hf_convnext_tiny hf_convnext_small hf_convnext_base hf_convnext_large",
    ("DenseNet", "torchvision, timm"): "densenet121 densenet161 densenet169 densenet201",
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

# Auxiliary heads, which the program does not need.
UNUSED = re.compile(r"^(aux1|aux2|AuxLogits)\.|num_batches_tracked$")

# Sizes of the check's pictures, where not 64; even sizes through all strides, or those that a network needs.
SIZES = {"inception_v3": 107, "alexnet": 96, "tf_efficientnet_b3": 300}

# Larger networks are checked by names and shapes only.
MOST = 120_000_000


def names():
    return [name for line in FAMILIES.values() for name in line.split()]


def make(name, classes):
    if name.startswith("hf_"):
        return hugging_face(name.removeprefix("hf_"), classes)
    if name.startswith("timm_") or name not in torchvision.models.list_models():
        return timm.create_model(name.removeprefix("timm_"), num_classes=classes)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, num_classes=classes, **extra)


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


def write_names():
    lines = []
    for name in names():
        with torch.device("meta"):
            shapes = {k: list(v.shape) for k, v in parameters(make(name, 1000)).items()}
        text = "\n".join(sorted(f"{k} {'x'.join(map(str, shape))}" for k, shape in shapes.items()))
        lines.append(f"{name} {len(shapes)} {hashlib.sha256(text.encode()).hexdigest()[:16]}")
    NAMES.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} networks")


def draw(net, x, name, seed):
    """Draws all parameters that are 0 or 1 at first, and the statistics of batch norms. Gains below 1 keep the blocks' contributions
    small, or rounding errors would grow through deep networks."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda like, scale: torch.randn(like.shape, generator=g, dtype=like.dtype) * scale
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for key, p in net.named_parameters():
            if p.ndim == 1:
                p.copy_((0.4 if key.endswith("weight") else 0) + normal(p, 0.05))
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
    """Saves weights and pixels, and returns the logits and the gradient of the largest with respect to the pixels."""
    torch.manual_seed(seed)
    net = make(name, CLASSES).double().eval()
    size = SIZES.get(name, 64)
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
    half = [0.5] * 3
    mean, std = (half, half) if name in HALF else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    mean, std = (torch.tensor(v, dtype=x.dtype).view(1, -1, 1, 1) for v in (mean, std))
    return (x - mean) / std


def logits_and_gradient(net, x, name):
    x = x.clone().requires_grad_()
    logits = net(normalized(x, name))
    logits = (logits if torch.is_tensor(logits) else logits.logits)[0]
    (gradient,) = torch.autograd.grad(logits.max(), x)
    return logits.detach().numpy(), gradient.numpy()


def check(program, chosen):
    bad = []
    for name in chosen or names():
        with torch.device("meta"):
            count = sum(v.numel() for v in make(name, CLASSES).state_dict().values())
        if count > MOST and not chosen:
            print(f"{name:28} {count:>11} parameters: names and shapes only", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            net, x = reference(name, folder, seed=7)
            # The file is called like no network, so that only names and shapes decide, unless another has the same tensors.
            weights = folder / (f"{name}.pth" if name in SAME else "weights.pth")
            (folder / "weights.pth").rename(weights)
            begin = time.time()
            run = [program, "run", "saliency", "-m", weights, "-i", folder / "pixels.npy", "--out", folder / "out"]
            ran = subprocess.run([str(part) for part in run], capture_output=True, text=True, cwd=ROOT)
            seconds = time.time() - begin
            if ran.returncode:
                bad.append(name)
                print(f"{name:28} FAILED: {ran.stderr.strip()[:600]}", flush=True)
                continue
            result = json.loads((folder / "out/result.json").read_text())
            theirs, gradient = logits_and_gradient(net, x, name)
            single, slope32 = logits_and_gradient(net.float(), x.float(), name)
            floor = np.abs(single - theirs).max() / np.abs(theirs).max()
            floor_slope = np.linalg.norm(slope32 - gradient) / np.linalg.norm(gradient)
            ours = np.zeros(CLASSES)
            for row in result["top5"]:
                ours[row["class"]] = row["logit"]
            mine = np.load(folder / "out/gradient.npy").reshape(gradient.shape)
            logit = np.abs(ours - theirs).max() / np.abs(theirs).max()
            slope = np.linalg.norm(mine - gradient) / np.linalg.norm(gradient)
            wrong = result["model"] != name or logit > max(1e-4, 10 * floor) or slope > max(1e-3, 10 * floor_slope)
            bad += [name] if wrong else []
            told = "WRONG" if wrong else "ok"
            print(f"{name:28} {count:>11} {result['model']:28} {logit:.1e} {slope:.1e} (torch f32: {floor:.1e} {floor_slope:.1e}) {seconds:5.1f} s {told}", flush=True)
    print(f"{len(bad)} bad: {' '.join(bad)}")
    sys.exit(bool(bad))


# Networks that share names and shapes with another and differ in padding or an epsilon: the file's name decides.
SAME = {n for n in names() if n.startswith(("tf_", "timm_efficientnet", "mobilenetv3"))}

# Networks whose cards say 0.5 for mean and standard deviation.
HALF = {n for n in names() if n.endswith("_bit") or n.startswith(("tf_efficientnet_lite", "tf_efficientnetv2_"))}
HALF -= {f"tf_efficientnetv2_b{i}" for i in range(4)}
HALF |= {"efficientnet_v2_l", "tf_efficientnet_b8"}

if __name__ == "__main__":
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["names"]:
            write_names()
        case ["check", program, *chosen]:
            check(program, chosen)
        case _:
            sys.exit(__doc__)
