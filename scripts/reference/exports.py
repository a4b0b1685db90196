"""Networks of torchvision and timm, opened from each file format that PyTorch writes.

    exports.py check PROGRAM [NAME...]    draws random weights, writes a state dict, ONNX files from both exporters and a .pt2, and compares
                                          gradscope's logits and input gradients with PyTorch's; adds the results to docs/exports.md
    exports.py table                      rewrites docs/exports.md from these results

Without names, the networks are checked that have no result yet or whose files did not open, from the smallest to the largest. Weights and
batch norm statistics are drawn as in families.py. PyTorch computes the reference in float64. Written for torch 2.15, torchvision 0.29,
timm 1.0.31, onnx 1.23, onnxscript 0.7.

The largest networks take 10 GB of memory and 6 GB of disk. PyTorch's weights are memory-mapped while the program runs, and each exported
file is deleted before the next one is written.
"""

import gc
import copy
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from torch.fx.experimental.optimization import fuse

import families

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/exports.md"
CLASSES = 5
KINDS = {"weights": "state dict", "ts": "ONNX (TorchScript)", "dynamo": "ONNX (dynamo)", "pt2": "`.pt2`"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Input sizes of networks that do not accept 64 x 64 pictures, or whose adaptive pooling the TorchScript exporter supports only at this size.
SIZES = {"inception_v3": 96, "maxvit_t": 224, "alexnet": 224} | {f"swin_{n}": 224 for n in "tsb"} | {f"swin_v2_{n}": 256 for n in "tsb"} | {f"vgg{n}{norm}": 224 for n in (11, 13, 16, 19) for norm in ("", "_bn")}
TIMM = """resnet50 resnet18d resnet50d resnetv2_50 convnext_atto convnext_tiny convnextv2_atto efficientnet_b0 tf_efficientnetv2_b0
    tf_efficientnet_lite0 mobilenetv3_large_100 mobilenetv3_small_100 mobilenetv2_100 mobilenetv1_100 regnety_004 regnetx_004 densenet121
    vit_tiny_patch16_224 vit_small_patch16_224 vit_base_patch32_clip_224 deit_tiny_patch16_224 deit_tiny_distilled_patch16_224
    vit_small_patch14_dinov2 vit_small_patch14_reg4_dinov2 eva02_tiny_patch14_224 beit_base_patch16_224 swin_tiny_patch4_window7_224
    maxvit_tiny_tf_224 seresnet50 resnext50_32x4d resnetv2_50x1_bit resnet18 resnet26 wide_resnet50_2 seresnet18 seresnext50_32x4d
    resnetv2_101x1_bit convnextv2_tiny tf_efficientnet_b0 vit_base_patch16_224 deit3_small_patch16_224 swin_small_patch4_window7_224
    maxvit_small_tf_224""".split()

# Protocol buffers are limited to 2 GB, so that the weights of larger networks are in a file beside the ONNX file.
LARGE = 450e6


def names():
    found = [name for name in torchvision.models.list_models(torchvision.models)]
    return found + ["timm/" + name for name in TIMM]


def make(name):
    size = SIZES.get(name.removeprefix("timm/"), 64)
    if name.startswith("timm/"):
        options = {"num_classes": CLASSES}
        if re.search("swin|maxvit", name):
            size = options["img_size"] = int(name.rsplit("_", 1)[1])
        elif re.search("vit_|deit|eva|beit", name):
            size = options["img_size"] = 4 * int(re.search(r"patch(\d+)", name)[1])
        return timm.create_model(name.removeprefix("timm/"), **options), size
    options = {"num_classes": CLASSES}
    if name.startswith("vit_"):
        size = 56 if name.endswith("_14") else 64
        options["image_size"] = size
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": False}
    return torchvision.models.get_model(name, weights=None, **options), size


def parameters(name):
    """The number of parameters."""
    try:
        with torch.device("meta"):
            net, _ = make(name)
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        net, _ = make(name)
    return sum(p.numel() for p in net.parameters())


def normalized(x):
    mean, std = (torch.tensor(v, dtype=x.dtype).view(1, -1, 1, 1) for v in (MEAN, STD))
    return (x - mean) / std


def drawn(name):
    """The network in float64 with random weights, and its input size."""
    torch.manual_seed(7)
    net, size = make(name)
    net = net.double().eval()
    with torch.no_grad():  # some heads and layers are initialized to 0
        for p in net.parameters():
            if p.ndim > 1 and not p.any():
                p.normal_(std=0.05)
    families.normalized, before = (lambda x, _: normalized(x)), families.normalized
    families.draw(net, families.pictures(1, size, torch.Generator().manual_seed(8)), name, 7)
    families.normalized = before
    return net, size


def reference(net, size, seed):
    """A picture, the logits, and the gradient of the largest logit with respect to the pixels."""
    x = families.pictures(1, size, torch.Generator().manual_seed(seed)).float().double().requires_grad_()
    logits = net(normalized(x))[0]
    (gradient,) = torch.autograd.grad(logits.max(), x)
    return x.detach().float().numpy(), logits.detach().numpy(), gradient.numpy()


def write(kind, name, net, size, folder):
    """Writes the network in float32 and returns the file's path. The file name distinguishes networks that differ only in padding."""
    endings = {"weights": ".pth", "ts": ".ts.onnx", "dynamo": ".dynamo.onnx", "pt2": ".pt2"}
    path = folder / (name.removeprefix("timm/") + endings[kind])
    x = torch.rand(2, 3, size, size)
    apart = sum(p.numel() for p in net.parameters()) > LARGE
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    if kind == "weights":
        torch.save(net.state_dict(), path)
    elif kind == "ts":
        # A string rather than a path: only then are weights above 2 GiB written next to the file.
        axes = {"x": {0: "N"}}
        torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=17, input_names=["x"], output_names=["y"], dynamic_axes=axes)
    elif kind == "dynamo":
        torch.onnx.export(net, (x,), path, dynamo=True, external_data=apart, dynamic_shapes=(batch,), verbose=False)
    else:
        try:
            program = torch.export.export(net, (x,), dynamic_shapes=(batch,))
        except Exception:  # some networks have a fixed batch size
            program = torch.export.export(net, (x[:1],))
        torch.export.save(program, path)
    return path


def opened(program, path, folder, shape, precision):
    """gradscope's logits and gradient, or its error message."""
    out = folder / f"{path.name}.{precision}"
    card = ["--size", str(shape[-1]), "--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD)), "--precision", precision]
    run = [program, "run", "saliency", "-m", path, "-i", folder / "pixels.npy", "--out", out, *card]
    ran = subprocess.run([str(part) for part in run], capture_output=True, text=True, cwd=ROOT)
    if ran.returncode:
        return ran.stderr.strip()
    return np.load(out / "logits.npy")[0].astype(float), np.load(out / "gradient.npy").reshape(shape)


class Reference:
    """A network and its answers in float64. Otherwise its weights are in float32, memory-mapped from a file."""

    def __init__(self, net, size, folder):
        self.net, self.size, self.file = net, size, folder / "state.pth"
        self.answers = {8: reference(net, size, 8)}
        torch.save(net.float().state_dict(), self.file)
        self.release()

    def release(self):
        self.net.float().load_state_dict(torch.load(self.file, mmap=True), assign=True)
        gc.collect()

    def of(self, seed):
        if seed not in self.answers:
            self.answers[seed] = reference(self.net.double(), self.size, seed)
            self.release()
        return self.answers[seed]

    def folding(self, seed):
        """How much PyTorch's logits and gradient change if batch norms are folded into convolutions and the products are rounded to f32, as
        exporters do."""
        folded = fuse(copy.deepcopy(self.net).double()).float().double()
        before, after = self.of(seed)[1:], reference(folded, self.size, seed)[1:]
        self.release()
        return [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(after, before)]


def measured(program, path, exact, folder):
    """The errors of the logits and of the gradient, and the precision, or what went wrong."""
    # Rounding in f32 may flip a ReLU close to its kink, so failures are retried in f64. Exporters round the weights when they fold batch
    # norms, which may also flip one, so failures are then retried with another picture.
    for seed, precision in [(8, "f32"), (8, "f64"), (9, "f64"), (10, "f64")]:
        pixels, *answers = exact.of(seed)
        np.save(folder / "pixels.npy", pixels)
        found = opened(program, path, folder, answers[1].shape, precision)
        if isinstance(found, str):
            print(f"{path.name}: {found[:400]}", flush=True)
            return "no architecture" if found.startswith("error: no architecture") else "error"
        far = np.array([np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, answers)])
        row = f"{far[0]:.0e} {far[1]:.0e} {precision}"
        if far[0] < 1e-4 and far[1] < 1e-3:
            return row
        if far[0] > 1e-3 and precision == "f64":
            break
    # In deep networks, every picture flips a ReLU.
    rounding = np.max([exact.folding(seed) for seed in (8, 9, 10)], axis=0)
    return row + " folded" if path.suffix != ".pth" and (far < 3 * rounding).all() else "wrong " + row


def checked(program, name):
    """The number of parameters of a network, and the errors for each kind of file."""
    net, size = drawn(name)
    row = {"parameters": sum(p.numel() for p in net.parameters())}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        exact = Reference(net, size, folder)
        for kind in KINDS:
            place = folder / kind
            place.mkdir()
            try:
                path = write(kind, name, exact.net, size, place)
            except Exception as error:
                row[kind] = "not exported"
                print(f"{name} {kind}: PyTorch: {str(error)[:200]}", flush=True)
            else:
                gc.collect()
                row[kind] = measured(program, path, exact, folder)
            shutil.rmtree(place)
    return row


def failed(row):
    """Whether a kind of file did not open, or opened with wrong results."""
    return any(str(row[kind]).split()[0] in ("no", "error", "wrong") for kind in KINDS)


def check(program, chosen):
    known, bad = results(), 0
    pending = chosen or sorted((n for n in names() if n not in known or failed(known[n])), key=parameters)
    for name in pending:
        begun = time.time()
        known[name] = checked(program, name)
        bad += failed(known[name]) or "not exported" in known[name].values()
        write_table(known)
        print(f"{name:36} {known[name]} {time.time() - begun:.0f} s", flush=True)
    print(f"{bad} bad")
    sys.exit(bool(bad))


def results():
    text = TABLE.read_text() if TABLE.exists() else ""
    return {name: json.loads(row) for name, row in re.findall(r"^<!-- (\S+): (\{.+\}) -->$", text, re.M)}


def cell(value):
    """`1e-06 / 2e-06`, or what went wrong."""
    part = value.split()
    notes = [word for word in part[2:] if word != "f32"]
    return f"{part[0]} / {part[1]}" + (f" ({', '.join(notes)})" if notes else "") if part[0][0].isdigit() else value


def write_table(known):
    rows = [
        f"| `{name}` | {known[name]['parameters'] / 1e6:.1f} M | " + " | ".join(cell(known[name][kind]) for kind in KINDS) + " |"
        for name in names() if name in known
    ]
    text = f"""# Networks opened from PyTorch's files

Each network got drawn weights and batch norm statistics, was written by PyTorch in four ways, and was opened from the file alone. The numbers
are the errors of the logits and of the gradient of the largest logit with respect to the pixels, relative to the norm, against PyTorch
in float64. They are those in f32, or in f64 where rounding flips a ReLU close to its kink. `folded`: the exporter
folded batch norms into convolutions and rounded the products to f32, which flips a ReLU in the file itself; PyTorch's gradient changes as much
when its own weights are folded and rounded.

Written by `scripts/reference/exports.py check`, with torch {torch.__version__.split("+")[0]}, torchvision {torchvision.__version__.split("+")[0]} and timm {timm.__version__}. Names with `timm/` are
timm's, the others torchvision's.

| network | parameters | {' | '.join(KINDS.values())} |
|---|---|---|---|---|---|
""" + "\n".join(rows) + "\n\n" + "\n".join(f"<!-- {name}: {json.dumps(known[name])} -->" for name in names() if name in known) + "\n"
    TABLE.write_text(text)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    match sys.argv[1:]:
        case ["table"]:
            write_table(results())
        case ["check", program, *chosen]:
            check(program, chosen)
        case _:
            sys.exit(__doc__)
