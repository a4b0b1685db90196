"""Times networks opened from each file format that PyTorch writes, relative to the same network opened from its state dict.

    imports.py PROGRAM [--runs N] [NAME...]

For each network it prints two ratios per format, each the median of N interleaved runs: an entire run of `gradcam`, from file to heatmap,
and one step of `smoothgrad` (forward and backward passes on a batch), without opening the file. A ratio above 1 means slower than the
state dict. Needs torch, torchvision, onnx and onnxscript; weights are random.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

KINDS = ("safetensors", "ts.onnx", "dynamo.onnx", "pt2")


def write(name, folder):
    torch.manual_seed(0)
    net, x = torchvision.models.get_model(name, weights=None).eval(), torch.rand(2, 3, 224, 224)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.uniform_(-0.1, 0.1)
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    save_file(net.state_dict(), folder / f"{name}.safetensors")
    axes = {"x": {0: "N"}}
    torch.onnx.export(net, (x,), folder / f"{name}.ts.onnx", dynamo=False, opset_version=17, input_names=["x"], dynamic_axes=axes)
    torch.onnx.export(net, (x,), folder / f"{name}.dynamo.onnx", dynamo=True, external_data=False, dynamic_shapes=(batch,), verbose=False)
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=(batch,)), folder / f"{name}.pt2")


def timed(program, method, path, *more):
    out = path.parent / "out"
    begun = time.time()
    run = [program, "run", method, "-m", path, "-i", "made:shapes[3]", "--out", out, *more]
    ran = subprocess.run([str(part) for part in run], capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stderr)
    whole = time.time() - begun
    return whole, json.loads((out / "result.json").read_text())["timings"]["steps_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("names", nargs="*", default=["resnet50", "mobilenet_v2", "vgg11", "vit_b_32"])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'network':14} {'file':12} {'MB':>6} {'gradcam s':>10} {'ratio':>6} {'pass ms':>9} {'ratio':>6}")
    for name in args.names:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            write(name, folder)
            paths = [folder / f"{name}.{kind}" for kind in KINDS]
            whole, steps = {p: [] for p in paths}, {p: [] for p in paths}
            for _ in range(args.runs):
                for path in paths:
                    whole[path].append(timed(args.program, "gradcam", path)[0])
                    steps[path].append(sum(timed(args.program, "smoothgrad", path, "--set", "samples=8")[1]))
            base = paths[0]
            median = lambda values: statistics.median(values)
            for path in paths:
                a, b = median(whole[path]), median(steps[path])
                size = path.stat().st_size / 1e6
                kind = path.name.split(".", 1)[1]
                print(f"{name:14} {kind:12} {size:6.0f} {a:10.2f} {a / median(whole[base]):6.2f} {b:9.0f} {b / median(steps[base]):6.2f}", flush=True)


main()
