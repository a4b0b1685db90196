"""Exports a small PyTorch network to ONNX, with both exporters, and to .pt2, along with PyTorch's outputs in float64.

    python3 scripts/reference/exported_graphs.py tests/fixtures/graphs

torch 2.15.0, onnx 1.23, onnxscript 0.7. The network has convolutions, batch and layer norms, a gate, attention with a class token and
operators that exporters decompose (GELU, SiLU, hard swish).
"""

import json
import sys
import zipfile
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(n, t, c))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.act = nn.SiLU()
        self.squeeze = nn.Conv2d(8, 8, 1)
        self.patch = nn.Conv2d(8, 12, 2, 2)
        self.cls = nn.Parameter(torch.zeros(1, 1, 12))
        self.pos = nn.Parameter(torch.zeros(1, 17, 12))
        self.norm1 = nn.LayerNorm(12)
        self.attn = Attention(12, 3)
        self.norm2 = nn.LayerNorm(12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.act(self.depthwise(self.stem(x)))
        x = x * self.squeeze(x.mean((2, 3), keepdim=True)).sigmoid()
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return self.head(x[:, 0])


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.classes = nn.Linear(6, 4)
        self.attributes = nn.Linear(6, 2)

    def forward(self, x):
        x = self.conv(x).relu().mean((2, 3))
        return self.classes(x), self.attributes(x)


class ChannelsLast(nn.Module):
    """As in ConvNeXt: pooling of a value whose channels are innermost in memory is exported as an index of every element."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.mix = nn.Linear(6, 8)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.mix(self.conv(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.fc(self.norm(self.avgpool(x).permute(0, 2, 3, 1)).flatten(1))


class InPlace(nn.Module):
    """Modifies tensors in place, also through views, and reads them through earlier references."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.mix = nn.Parameter(torch.randn(5, 6) * 0.1)
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        y = self.conv(x)
        torch.relu_(y)
        mask = x.new_zeros(7, 7)
        mask[2:5, 1:] = 1
        mask[:3, :2] = -2
        mask[6].add_(0.5)
        part = mask.unsqueeze(0)
        part.mul_(2)
        y = y * mask.masked_fill(mask == 1, 3.0)
        y = torch.einsum("nchw,dc->ndhw", y, self.mix).swapaxes(2, 3).clamp_min(-0.2)
        y -= part.mean() * 0.1
        return self.fc(torch.einsum("ndhw,nehw->nde", y, y).sum(2))


class Constants(nn.Module):
    """Applies layers to parameters: their values do not depend on the picture, but exporters do not compute them."""

    def __init__(self):
        super().__init__()
        parameter = lambda *shape: nn.Parameter(torch.randn(shape) * 0.5)
        self.table, self.seed, self.filter = parameter(2, 5, 5), parameter(6, 3, 5, 5), parameter(3, 3, 3, 3)
        self.style, self.mix, self.out = parameter(1, 4), parameter(6, 4), parameter(9, 4)
        self.register_buffer("lookup", torch.stack([torch.eye(5)[2 - i : 5 - i] for i in range(3)]))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        kernel = F.avg_pool2d(F.group_norm(F.conv2d(self.seed, self.filter, padding=1), 3), 2)
        gain = F.hardswish(F.layer_norm(F.linear(self.style, self.mix), (6,)))
        # As in MaxViT.
        bias = torch.einsum("nhw,ixh->nixw", self.table, self.lookup)
        bias = torch.einsum("nixw,jyw->nijxy", bias, self.lookup).reshape(2, 9, 9)
        bias = F.log_softmax(bias.mean(1), -1) @ self.out
        y = F.conv2d(x, kernel, stride=2).mean((2, 3)) * gain
        return self.fc(y) + bias.sum(0)


class DeadChannel(nn.Module):
    """A global response norm, as in ConvNeXt V2, of a map with a channel that is 0 everywhere."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.fc = nn.Linear(6, 4)
        self.conv.bias.data[2] = -100

    def forward(self, x):
        y = self.conv(x).relu()
        norm = y.norm(p=2, dim=(2, 3), keepdim=True)
        return self.fc((y * norm / (norm.mean(1, keepdim=True) + 1e-6)).mean((2, 3)))


class Refused(nn.Module):
    """Modifies part of a value that depends on the picture, and reads the entire value."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        y = self.conv(x)
        y[:, :2].relu_()
        return self.fc(y.mean((2, 3)))


def strip(folder):
    """Removes stack traces, which contain local file names, and the example input."""
    for path in sorted(folder.glob("*.dynamo.onnx")):
        model = onnx.load(path)
        for node in model.graph.node:
            kept = [p for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
        graph = model.graph
        for part in (model, graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            del part.metadata_props[:]
        onnx.save(model, path)
    for path in sorted(folder.glob("*.pt2")):
        strip_program(path)


def strip_program(path):
    """Removes stack traces and the example input from a .pt2 file."""
    with zipfile.ZipFile(path) as old:
        files = {i.filename: old.read(i) for i in old.infolist() if "sample_inputs" not in i.filename}
    for name in files:
        if name.endswith("models/model.json"):
            program = json.loads(files[name])
            for node in program["graph_module"]["graph"]["nodes"]:
                node["metadata"].pop("stack_trace", None)
            files[name] = json.dumps(program, separators=(",", ":")).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name, data in files.items():
            new.writestr(zipfile.ZipInfo(name), data)


def logits_and_gradient(model, x):
    """The logits of a model in float64, and the gradient of the second logit with respect to the second picture."""
    y = x.double().requires_grad_()
    logits = model(y)
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), y)
    return {"logits": logits, "gradient": gradient[1]}


def write_answers(path, **answers):
    answers = {name: [round(v, 9) for v in values.flatten().tolist()] for name, values in answers.items()}
    path.write_text(json.dumps(answers) + "\n")


def pictures():
    return ((torch.arange(2 * 3 * 16 * 16) * 37) % 101).float().reshape(2, 3, 16, 16) / 101


def write_each(name, model, folder):
    """The model in all formats, as plain as exporters write it, with its answers."""
    x, batch = pictures(), torch.export.Dim("batch", min=1, max=1024)
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), folder / f"{name}.pt2")
    torch.onnx.export(model, (x,), folder / f"{name}.ts.onnx", dynamo=False, opset_version=17, input_names=["x"],
                      output_names=["logits"], dynamic_axes={"x": {0: "N"}}, do_constant_folding=False)
    torch.onnx.export(model, (x,), folder / f"{name}.dynamo.onnx", dynamo=True, external_data=False,
                      dynamic_shapes=({0: batch},), optimize=False)
    write_answers(folder / f"{name}.json", **logits_and_gradient(model.double(), x))


def main(folder):
    torch.manual_seed(5)
    model = Small().eval()
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if p.is_floating_point():
                p.copy_(torch.randn_like(p) * 0.3 + (1.0 if "norm" in name or "stem.1" in name else 0.0))
        model.stem[1].running_var.abs_().add_(0.5)
    x = pictures()
    exact = Small().double().eval()
    exact.load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in model.state_dict().items()})
    write_answers(folder / "small.json", **logits_and_gradient(exact, x))
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "small.pt2")
    torch.onnx.export(model, (x,), folder / "small.ts.onnx", dynamo=False, opset_version=17, input_names=["x"],
                      output_names=["logits"], dynamic_axes={"x": {0: "N"}})
    torch.onnx.export(model, (x,), folder / "small.dynamo.onnx", dynamo=True, external_data=False,
                      dynamic_shapes=({0: batch},))
    two = TwoOutputs().eval()
    torch.export.save(torch.export.export(two, (x,), dynamic_shapes=({0: batch},)), folder / "two_outputs.pt2")
    torch.onnx.export(two, (x,), folder / "two_outputs.onnx", dynamo=False, opset_version=17, input_names=["x"],
                      output_names=["classes", "attributes"], dynamic_axes={"x": {0: "N"}})
    last = ChannelsLast().eval()
    torch.onnx.export(last, (x,), folder / "channels_last.dynamo.onnx", dynamo=True, external_data=False, dynamic_shapes=({0: batch},))
    write_answers(folder / "channels_last.json", **logits_and_gradient(last.double(), x))
    torch.export.save(torch.export.export(Refused().eval(), (x,), dynamic_shapes=({0: batch},)), folder / "refused.pt2")
    changing = InPlace().eval()
    torch.export.save(torch.export.export(changing, (x,), dynamic_shapes=({0: batch},)), folder / "in_place.pt2")
    write_answers(folder / "in_place.json", **logits_and_gradient(changing.double(), x))
    classes, attributes = two.double()(x.double())
    write_answers(folder / "two_outputs.json", classes=classes, attributes=attributes)
    for name, kind in (("constants", Constants), ("dead_channel", DeadChannel)):
        torch.manual_seed(6)
        write_each(name, kind().eval(), folder)
    strip(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
