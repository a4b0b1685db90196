"""Writes tests/fixtures/zoo.json: PyTorch's results for every network in models/*/*.rhai.

Weights and pictures come from a formula (`uniform`) that tests/numbers/zoo.rs implements too, so no weight files are needed.

python3 scripts/reference/zoo.py            writes the fixture
python3 scripts/reference/zoo.py --list NAME      prints name and shape of one network's parameters
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CAFFE = [123.68, 116.779, 103.939]
FIXTURE = Path(__file__).parents[2] / "tests/fixtures/zoo.json"


def uniform(name, count):
    """Values in [-1, 1) derived from a name: the upper 53 bits of SplitMix64, seeded with the name's FNV-1a hash."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2**52 - 1.0


def value(name, shape):
    """The parameter `name`: weights scaled as in He et al. 2015, positive running variances."""
    u = torch.from_numpy(uniform(name, int(np.prod(shape)))).reshape(shape)
    if len(shape) > 1:
        return u * (6.0 / np.prod(shape[1:])) ** 0.5
    if name.endswith("running_var"):
        return u * 0.5 + 1.0
    if name.endswith(".weight"):
        return u * 0.25 + 0.75
    return u * 0.1


class Normalized(nn.Module):
    """Applies `(x - mean) / std` to pictures in [0, 1] before the network."""

    def __init__(self, network, mean, std):
        super().__init__()
        self.network = network
        self.mean = torch.tensor(mean, dtype=torch.float64).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, dtype=torch.float64).reshape(1, -1, 1, 1)

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 5, padding=2)
        self.fc1 = nn.Linear(1568, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class MnistTutorial(nn.Module):
    """The network in the first version of the FGSM tutorial."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class MnistExample(nn.Module):
    """The network in pytorch/examples/mnist."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class MnistDigitRecognizer(nn.Module):
    """The network of the PyPI package digit-recognizer-py."""

    def __init__(self):
        super().__init__()
        blocks = [(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for i, o in [(1, 32), (32, 64), (64, 128)]]
        self.conv_layers = nn.Sequential(*[layer for block in blocks for layer in block])
        self.fc_layers = nn.Sequential(nn.Linear(1152, 256), nn.ReLU(), nn.Linear(256, 10))

    def forward(self, x):
        return self.fc_layers(self.conv_layers(x).flatten(1))


class MnistShallow(nn.Module):
    def __init__(self, activation=F.relu):
        super().__init__()
        self.activation = activation
        self.fc1 = nn.Linear(784, 100)
        self.fc2 = nn.Linear(100, 10)

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x.flatten(1))))


class MnistSoftmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Moons(nn.Sequential):
    """A classifier of points in the plane, with hidden layers of the given widths."""

    def __init__(self, *widths):
        super().__init__()
        inputs = 2
        for i, width in enumerate(widths, 1):
            self.add_module(f"fc{i}", nn.Linear(inputs, width))
            self.add_module(f"relu{i}", nn.ReLU())
            inputs = width
        self.add_module("out", nn.Linear(inputs, 2))

    def forward(self, x):
        return super().forward(x.flatten(1))


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, (1, 9), padding=(0, 4))
        self.conv2 = nn.Conv2d(16, 32, (1, 7), padding=(0, 3))
        self.conv3 = nn.Conv2d(32, 48, (1, 5), padding=(0, 2))
        self.fc = nn.Linear(48, 8)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (1, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), (1, 2))
        return self.fc(F.relu(self.conv3(x)).mean((2, 3)))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.strokes = nn.Conv2d(1, 16, 5, padding=2)
        self.parts = nn.Conv2d(16, 32, 3, padding=1)
        self.columns = nn.Conv2d(32, 48, 5, padding=(0, 2))
        self.letters = nn.Conv2d(48, 64, (1, 7), padding=(0, 3))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.strokes(x)), 2)
        x = F.max_pool2d(F.relu(self.parts(x)), (2, 1))
        return self.fc(F.relu(self.letters(F.relu(self.columns(x)))).mean((2, 3)))


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.strokes = nn.Conv2d(1, 16, 5, padding=2)
        self.parts = nn.Conv2d(16, 32, 3, padding=1)
        self.columns = nn.Conv2d(32, 48, 5, padding=(0, 2))
        self.letters = nn.Conv2d(48, 48, (1, 7), padding=(0, 3))
        self.sequence = nn.Conv2d(48, 14, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.strokes(x)), 2)
        x = F.max_pool2d(F.relu(self.parts(x)), (2, 1))
        return self.sequence(F.relu(self.letters(F.relu(self.columns(x))))).amax((2, 3))


class MnistStrided(nn.Module):
    """At width 4, the network of Wong, Rice & Kolter 2020 (arXiv:2001.03994)."""

    def __init__(self, width, activation=F.relu):
        super().__init__()
        self.activation = activation
        self.conv1 = nn.Conv2d(1, 4 * width, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(4 * width, 8 * width, 4, stride=2, padding=1)
        self.fc1 = nn.Linear(8 * width * 49, 25 * width)
        self.fc2 = nn.Linear(25 * width, 10)

    def forward(self, x):
        x = self.activation(self.conv2(self.activation(self.conv1(x))))
        return self.fc2(self.activation(self.fc1(x.flatten(1))))


class LeNetCaptum(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class ConvNetJs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 20, 5, padding=2)
        self.conv3 = nn.Conv2d(20, 20, 5, padding=2)
        self.fc = nn.Linear(320, 10)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc(x.flatten(1))


class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv4 = nn.Conv2d(64, 96, 3, padding=2, dilation=2)
        self.fc = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 3, stride=1, padding=1)
        return self.fc(F.relu(self.conv4(x)).mean((2, 3)))


class TransformerBlock(nn.Module):
    """A pre-norm block with timm's names."""

    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.attn = nn.ModuleDict({"qkv": nn.Linear(dim, 3 * dim), "proj": nn.Linear(dim, dim)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, hidden), "fc2": nn.Linear(hidden, dim)})

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.attn.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class ShapesVit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(32, 96, 2, stride=2)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 96))
        self.pos_embed = nn.Parameter(torch.zeros(1, 65, 96))
        self.blocks = nn.Sequential(*[TransformerBlock(96, 4, 192) for _ in range(4)])
        self.norm = nn.LayerNorm(96)
        self.head = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2))), 2)
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), 1, -1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class CifarBlock(nn.Module):
    """A basic block with an option-A shortcut, He et al. 2015, section 4.2."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.zeros = stride, (after - before) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.zeros, self.zeros))
        return F.relu(y + shortcut)


class CifarResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        before = 16
        for stage, after in enumerate((16, 32, 64), 1):
            layers = []
            for i in range(blocks):
                layers.append(CifarBlock(before, after, 2 if stage > 1 and i == 0 else 1))
                before = after
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class DarknetTiny(nn.Module):
    """The cfg of pjreddie's "tiny" classifier: (channels, kernel), or None for a max pool."""

    CHAIN = [(16, 3), None, (32, 3), None, (16, 1), (128, 3), (16, 1), (128, 3), None, (32, 1), (256, 3), (32, 1)]
    CHAIN += [(256, 3), None, (64, 1), (512, 3), (64, 1), (512, 3), (128, 1)]

    def __init__(self):
        super().__init__()
        before, i = 3, 0
        for layer in filter(None, self.CHAIN):
            (after, kernel), i = layer, i + 1
            self.add_module(f"conv{i}", nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(after, eps=0.001))
            before = after
        self.conv16 = nn.Conv2d(before, 1000, 1)

    def forward(self, x):
        i = 0
        for layer in self.CHAIN:
            if layer is None:
                x = F.max_pool2d(x, 2)
                continue
            i += 1
            x = F.leaky_relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)), 0.1)
        return self.conv16(x).mean((2, 3))


class StyleResidual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3), nn.Conv2d(channels, channels, 3)
        self.in1, self.in2 = (nn.InstanceNorm2d(channels, affine=True) for _ in range(2))

    def forward(self, x):
        return self.in2(self.conv2(F.relu(self.in1(self.conv1(x))))) + x[:, :, 2:-2, 2:-2]


class StyleTransformer(nn.Module):
    """jcjohnson/fast-neural-style, Johnson et al. 2016; from pixels in 0..255 minus the mean to [0, 1]."""

    def __init__(self):
        super().__init__()
        self.conv1, self.in1 = nn.Conv2d(3, 16, 9, padding=4), nn.InstanceNorm2d(16, affine=True)
        self.conv2, self.in2 = nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.InstanceNorm2d(32, affine=True)
        self.conv3, self.in3 = nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.InstanceNorm2d(64, affine=True)
        for i in range(1, 6):
            self.add_module(f"res{i}", StyleResidual(64))
        up = {"stride": 2, "padding": 1, "output_padding": 1}
        self.deconv1, self.in4 = nn.ConvTranspose2d(64, 32, 3, **up), nn.InstanceNorm2d(32, affine=True)
        self.deconv2, self.in5 = nn.ConvTranspose2d(32, 16, 3, **up), nn.InstanceNorm2d(16, affine=True)
        self.conv_out = nn.Conv2d(16, 3, 9, padding=4)

    def forward(self, x):
        x = F.pad(x, (40, 40, 40, 40), mode="reflect")
        for name, norm in (("conv1", "in1"), ("conv2", "in2"), ("conv3", "in3")):
            x = F.relu(getattr(self, norm)(getattr(self, name)(x)))
        for i in range(1, 6):
            x = getattr(self, f"res{i}")(x)
        x = F.relu(self.in5(self.deconv2(F.relu(self.in4(self.deconv1(x))))))
        mean = torch.tensor(CAFFE, dtype=x.dtype).reshape(1, 3, 1, 1)
        return (150 * torch.tanh(self.conv_out(x)) + mean) / 255


class ToAvgPool(nn.Module):
    """A torchvision network up to its average pool, without the wide linear layers."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network.avgpool(self.network.features(x)).flatten(1)


def own():
    """name: (network, normalization, input, node whose value is compared, or None for the logits)."""
    digits, half = ([0.1307], [0.3081]), [0.5] * 3
    nets = {name: (LeNet, digits, [1, 28, 28]) for name in ("digits", "lenet")}
    nets["mnist_tutorial"] = (MnistTutorial, digits, [1, 28, 28])
    nets["mnist_example"] = (MnistExample, digits, [1, 28, 28])
    nets["mnist_digit_recognizer"] = (MnistDigitRecognizer, digits, [1, 28, 28])
    nets["mnist_shallow"] = (MnistShallow, digits, [1, 28, 28])
    nets["mnist_softmax"] = (MnistSoftmax, digits, [1, 28, 28])
    for width in (1, 2, 4, 8, 16):
        nets[f"mnist_strided{width}"] = (lambda width=width: MnistStrided(width), digits, [1, 28, 28])
    nets["mnist_shallow_tanh"] = (lambda: MnistShallow(torch.tanh), digits, [1, 28, 28])
    nets["mnist_strided2_tanh"] = (lambda: MnistStrided(2, torch.tanh), digits, [1, 28, 28])
    for name, widths in {"moons": (16, 16), "moons_line": (), "moons_wide": (256, 256)}.items():
        nets[name] = (lambda widths=widths: Moons(*widths), ([0.5] * 2, [0.2] * 2), [2, 1, 1])
    nets["waves"] = (Waves, ([0.5], [0.25]), [1, 1, 128])
    nets["words"] = (Words, ([0.12], [0.28]), [1, 20, 96])
    nets["reader"] = (Reader, ([0.12], [0.28]), [1, 20, 96])
    nets["lenet_captum"] = (LeNetCaptum, (half, half), [3, 32, 32])
    nets["convnetjs"] = (ConvNetJs, (half, [1.0] * 3), [3, 32, 32])
    nets["shapes"] = (Shapes, (half, [0.25] * 3), [3, 128, 128])
    nets["shapes_vit"] = (ShapesVit, (half, [0.25] * 3), [3, 128, 128])
    nets["darknet_tiny"] = (DarknetTiny, ([0.0] * 3, [1.0] * 3), [3, 64, 64])
    nets["style_transformer"] = (StyleTransformer, ([m / 255 for m in CAFFE], [1 / 255] * 3), [3, 48, 52])
    for name, blocks in {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}.items():
        nets[name] = (lambda blocks=blocks: CifarResNet(blocks), IMAGENET, [3, 32, 32])
    return {name: (*net, None) for name, net in nets.items()}


def torchvisions():
    """The same for torchvision's networks, at sizes that keep the test fast."""
    sizes = {"squeezenet1_0": 96, "squeezenet1_1": 96, "alexnet": 64}
    sizes |= {f"resnet{n}": 64 for n in (18, 34, 50, 101, 152)}
    sizes |= {f"vgg{n}{bn}": 32 for n in (11, 13, 16, 19) for bn in ("", "_bn")}
    nets = {}
    for name, size in sizes.items():
        make = lambda name=name: getattr(torchvision.models, name)()
        whole = not name.startswith("vgg") or name == "vgg11"
        nets[name] = (make, IMAGENET, [3, size, size], None if whole else "avgpool")
    return nets


def parameters(network):
    """Names and shapes from `state_dict`, sorted, without the batch norms' counters."""
    state = network.state_dict().items()
    return sorted((name, list(t.shape)) for name, t in state if not name.endswith("num_batches_tracked"))


def run(name, make, normalisation, size, node):
    """The values to compare for one network, in float64."""
    network = make()
    wanted = parameters(network)
    lines = "".join(f"{n} {'x'.join(map(str, shape))}\n" for n, shape in wanted)
    network.load_state_dict({n: value(n, shape) for n, shape in wanted}, strict=False)
    network = Normalized(ToAvgPool(network) if node else network, *normalisation).double().eval()
    x = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).reshape(1, *size).requires_grad_()
    y = network(x)
    (gradient,) = torch.autograd.grad((y * torch.from_numpy(uniform("seed", y.numel())).reshape(y.shape)).sum(), x)
    return {
        "input": size,
        "tensors": len(wanted),
        "parameters": sum(int(np.prod(shape)) for _, shape in wanted),
        "parameters_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "node": node,
        "output": numbers(y),
        "gradient": numbers(gradient),
    }


def numbers(tensor):
    """The first ten values, the sum and the Euclidean norm."""
    flat = tensor.detach().flatten()
    return {"first": flat[:10].tolist(), "sum": flat.sum().item(), "norm": flat.norm().item()}


def main():
    nets = own() | torchvisions()
    if sys.argv[1:2] == ["--list"]:
        for name, shape in parameters(nets[sys.argv[2]][0]()):
            print(name, "x".join(map(str, shape)))
        return
    torch.set_default_dtype(torch.float64)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "numpy": np.__version__}
    networks = {}
    for name, net in nets.items():
        networks[name] = run(name, *net)
        print(name, networks[name]["output"]["norm"], networks[name]["gradient"]["norm"], file=sys.stderr)
    FIXTURE.write_text(json.dumps({"versions": versions, "networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
