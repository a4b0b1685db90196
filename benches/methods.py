"""The methods being compared: our request for each, and the peer's code that computes the same result."""

import gzip
import os
from dataclasses import dataclass
from typing import Callable

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import networks

SHARED = os.environ.get("GRADSCOPE_SHARED") and os.path.abspath(os.environ["GRADSCOPE_SHARED"])
WEIGHTS = {"squeezenet1_0": "squeezenet1_0_imagenet", "resnet20": "resnet20_cifar10"}
LAYOUTS = {"NHWC": torch.channels_last, "NCHW": torch.contiguous_format}
EPSILONS = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]


@dataclass
class Row:
    """A method on a network, and its peer, built from one choice per tuning axis.

    The peer returns a callable that does all of the work, or a part of it while the fastest choice is being determined.
    `few` is the number of pairs for long runs.
    """

    name: str
    model: str
    size: tuple
    plugin: str
    settings: list
    library: str
    peer: Callable
    axes: list
    data: str = "-"
    runs: int = 1
    few: int = None


def shared(*parts):
    """Path of a file or folder in GRADSCOPE_SHARED, or None if the variable is unset."""
    return SHARED and os.path.join(SHARED, *parts)


def network(name):
    """A network with trained weights if available, otherwise random ones."""
    torch.manual_seed(0)
    net = networks.build(name)
    if SHARED and name in WEIGHTS:
        missing = net.load_state_dict(load_file(weights(name, None)), strict=False)
        assert not missing.unexpected_keys and all("num_batches" in key for key in missing.missing_keys), missing
    return net


def weights(name, folder):
    """The file with the weights; random ones are written to the folder first."""
    if SHARED and name in WEIGHTS:
        return shared("models", WEIGHTS[name] + ".safetensors")
    path = os.path.join(folder, name + ".safetensors")
    if not os.path.exists(path):
        save_file({k: v.contiguous() for k, v in network(name).state_dict().items() if "num_batches" not in k}, path)
    return path


class Normalised(nn.Module):
    """A network that reads pixels in [0, 1] and normalizes them."""

    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def laid(net, layout):
    return net.to(memory_format=LAYOUTS[layout])


def picture(layout, size=networks.IMAGENET):
    torch.manual_seed(0)
    return torch.rand(1, *size).to(memory_format=LAYOUTS[layout])


def lrp(layout):
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlusFlat
    from zennit.torchvision import ResNetCanonizer

    x, seed = picture(layout), torch.eye(1000)[[1]]
    attributor = Gradient(laid(network("resnet18"), layout), EpsilonPlusFlat(canonizers=[ResNetCanonizer()]))
    attributor.__enter__()  # merges batch norms and registers the rules
    return lambda part: attributor(x, seed)


def smoothgrad(layout, at_once):
    from captum.attr import NoiseTunnel, Saliency

    x, tunnel = picture(layout), NoiseTunnel(Saliency(laid(network("squeezenet1_0"), layout)))
    return lambda part: tunnel.attribute(x, nt_type="smoothgrad", nt_samples=50, nt_samples_batch_size=at_once,
                                         stdevs=0.15, target=1, abs=False)


def deep_dream(layout):
    """Twenty steps of gradient ascent on a layer's activations, with random shifts."""
    features = laid(network("squeezenet1_0"), layout).features[:8]

    def call(part):
        x = picture(layout)
        for _ in range(20):
            by = [int(n) for n in torch.randint(-32, 33, (2,))]
            moved = x.roll(by, (2, 3)).requires_grad_()
            (0.5 * features(moved).square().sum()).backward()
            with torch.no_grad():
                step = moved.grad / moved.grad.abs().mean()
                x = (x + 1.5 / 255 * step.roll([-by[0], -by[1]], (2, 3))).clamp(0, 1)
    return call


def occlusion(name):
    from captum.attr import Occlusion

    def peer(layout, at_once):
        x, method = picture(layout), Occlusion(laid(network(name), layout))

        @torch.inference_mode()
        def call(part):
            stride = 32 if part else 8
            return method.attribute(x, sliding_window_shapes=(3, 32, 32), strides=(3, stride, stride), baselines=0,
                                    target=1, perturbations_per_eval=at_once)
        return call
    return peer


def mnist():
    """The test pictures, in [0, 1], and their labels."""
    def read(name, header):
        with gzip.open(shared("data", "mnist", name)) as file:
            return torch.from_numpy(numpy.frombuffer(file.read(), numpy.uint8, offset=header).copy())
    pictures = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return pictures / 255, read("t10k-labels-idx1-ubyte.gz", 8).long()


def cifar10():
    """2,000 test pictures, in [0, 1], and their labels."""
    records = numpy.fromfile(shared("data", "cifar10", "cifar10_test_2000.bin"), numpy.uint8).reshape(-1, 3073)
    labels = torch.from_numpy(records[:, 0].astype(numpy.int64))
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)) / 255, labels


def said(net, x):
    with torch.inference_mode():
        return net(x).argmax(1)


def fgsm_curve(layout, batch):
    import torchattacks

    net = laid(Normalised(network("lenet"), [0.1307], [0.3081]).eval(), layout)
    pictures, labels = mnist()
    pictures = pictures.to(memory_format=LAYOUTS[layout])

    def call(part):
        count = 2000 if part else 10000
        batches = list(zip(pictures[:count].split(batch), labels[:count].split(batch)))
        right = []
        for epsilon in EPSILONS[1:2] if part else EPSILONS:
            attack = torchattacks.FGSM(net, eps=epsilon)
            right.append(sum((said(net, attack(x, y)) == y).sum().item() for x, y in batches))
        return right
    return call


def pgd(library, layout, batch):
    """Robust accuracy: attacks the correctly classified pictures with ten steps each."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    net = laid(Normalised(network("resnet20"), mean, std).eval(), layout)
    pictures, labels = cifar10()
    pictures = pictures.to(memory_format=LAYOUTS[layout])
    if library == "torchattacks":
        import torchattacks

        attack = torchattacks.PGD(net, eps=8 / 255, alpha=2 / 255, steps=10, random_start=True)
        robust = lambda x, y: (said(net, attack(x, y)) == y).sum().item()
    else:
        import foolbox

        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=10, random_start=True)
        robust = lambda x, y: (~attack(model, x, y, epsilons=8 / 255)[2]).sum().item()

    def call(part):
        count, attack.steps = (500, 2) if part else (2000, 10)
        right = held = 0
        for x, y in zip(pictures[:count].split(batch), labels[:count].split(batch)):
            known = said(net, x) == y
            right += known.sum().item()
            held += robust(x[known], y[known])
        return right, held
    return call


def rows(only=""):
    """The rows whose name contains the text, except those whose data set is not available."""
    layouts = tuple(LAYOUTS)
    windows = ["patch=32", "stride=8", "measure=logit"]
    curve = ["epsilons=" + " ".join(map(str, EPSILONS)), "unit=1"]
    steps = ["attack=pgd", "set=epsilon=8 step=2 steps=10 stop=false", "count=2000"]
    at_once = (8, 1, 16, 32)
    all = [
        Row("LRP EpsilonPlusFlat, resnet18", "resnet18", networks.IMAGENET, "lrp", ["composite=EpsilonPlusFlat"],
            "zennit", lrp, [layouts], runs=5),
        Row("SmoothGrad 50, squeezenet1_0", "squeezenet1_0", networks.IMAGENET, "smoothgrad", ["samples=50"],
            "captum", smoothgrad, [layouts, (10, 1, 5, 25, 50)]),
        Row("deep dream, 20 steps, squeezenet1_0", "squeezenet1_0", networks.IMAGENET, "deep_dream",
            ["layer=features.7", "octaves=1", "steps=20"], "PyTorch", deep_dream, [layouts]),
        Row("occlusion 32/8, resnet18", "resnet18", networks.IMAGENET, "occlusion", windows,
            "captum", occlusion("resnet18"), [layouts, at_once], few=3),
        Row("occlusion 32/8, vgg16", "vgg16", networks.IMAGENET, "occlusion", windows,
            "captum", occlusion("vgg16"), [layouts, at_once], few=2),
        Row("FGSM curve 7 x 10,000, lenet", "lenet", (1, 28, 28), "fgsm_curve", curve,
            "torchattacks", fgsm_curve, [layouts, (256, 64, 1000)], f"mnist:{shared('data', 'mnist')}", few=5),
        Row("PGD 10 x 2,000, resnet20", "resnet20", (3, 32, 32), "robustness", steps,
            "", pgd, [("torchattacks", "foolbox"), layouts, (100, 50, 250, 500)],
            f"cifar10:{shared('data', 'cifar10', 'cifar10_test_2000.bin')}", few=3),
    ]
    return [row for row in all if only in row.name and (SHARED or row.data == "-")]
