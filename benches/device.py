"""Compares a device with the CPU and with PyTorch: results of methods and run times of networks.

    python3 benches/device.py GRADSCOPE OURS [--device cuda:0] [--seconds N] [--only TEXT] [MODEL WEIGHTS PICTURE]…

GRADSCOPE and OURS are the program and `benches/ours.rs`, built with the device's feature. Each method runs on the CPU, with
direct convolution, and on the device, for the embedded network and picture and any others given; one line per method shows the
largest difference, relative to the maximum magnitude, and both run times. Needs numpy, torch, torchvision and safetensors.
"""

import argparse
import glob
import os
import statistics
import subprocess
import tempfile
import time

import numpy
import torch
from safetensors.torch import save_file

import networks

ONCE = """absolute deeplift eigencam excitation_backprop fullgrad gradcam guided_backprop guided_gradcam guided_grid
input_x_gradient lrp saliency""".split()
STEPS = """ablationcam expected_gradients integrated_gradients lime occlusion rise scorecam smoothgrad fgsm pgd mi_fgsm deepfool
momentum_l2 deep_dream activation_maximization style_transfer""".split()
NEAR = 1e-4

parser = argparse.ArgumentParser()
parser.add_argument("gradscope")
parser.add_argument("ours")
parser.add_argument("questions", nargs="*")
parser.add_argument("--device", default="cuda:0")
parser.add_argument("--only", default="", help="only methods and networks whose name contains this text")
parser.add_argument("--seconds", type=float, default=60, help="time limit per method")
parser.add_argument("--no-methods", action="store_true")
parser.add_argument("--no-networks", action="store_true")
options = parser.parse_intermixed_args()
scratch = tempfile.TemporaryDirectory()
GRADSCOPE, OURS = os.path.abspath(options.gradscope), os.path.abspath(options.ours)


def answer(method, question, device):
    """The arrays that a method writes, by name, and the run time in seconds; or its error message."""
    out = tempfile.mkdtemp(dir=scratch.name)
    command = [GRADSCOPE, "run", method, *question, "--out", os.path.join(out, "a"), "--device", device]
    command += ["--steps", "10"] if method in STEPS else []
    command += ["--exact"] if device == "cpu" else []
    start = time.perf_counter()
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds)
    except subprocess.TimeoutExpired:
        return f"took more than {options.seconds:.0f} s", None
    seconds = time.perf_counter() - start
    if run.returncode:
        return " ".join(run.stderr.split())[:400], None
    return {os.path.basename(f): numpy.load(f) for f in sorted(glob.glob(out + "/a/*.npy"))}, seconds


def compare(method, question, name):
    (cpu, slow), (ours, fast) = answer(method, question, "cpu"), answer(method, question, options.device)
    if isinstance(cpu, str) or isinstance(ours, str):
        words = [f"{where}: {said}" for where, said in (("cpu", cpu), (options.device, ours)) if isinstance(said, str)]
        print(f"| {method}, {name} | | {'; '.join(words)} | |", flush=True)
        return
    far = part = 0
    for key, expected in cpu.items():
        if key not in ours or ours[key].shape != expected.shape:
            far = part = 1
            continue
        difference = numpy.abs(ours[key] - expected) / max(1e-3, numpy.abs(expected).max())
        far, part = max(far, numpy.nan_to_num(difference, nan=1).max()), max(part, (difference > NEAR).mean())
    words = "" if part == 0 else f"{100 * part:.3f} % above {NEAR:g}"
    print(f"| {method}, {name} | {far:.1e} | {words} | {slow:.2f} s, {fast:.2f} s |", flush=True)


def methods():
    given = options.questions
    questions = [([], "embedded")]
    for model, weights, picture in zip(given[::3], given[1::3], given[2::3]):
        questions.append((["-m", model, "-w", weights, "-i", picture], model))
    print(f"| method | largest difference | | cpu, {options.device} |\n|---|---|---|---|")
    for question, name in questions:
        for method in ONCE + STEPS:
            if options.only in method:
                compare(method, question, name)


def timed(call, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def speeds():
    """Median times of the forward pass and of forward plus input gradient, interleaved with PyTorch on the device."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    environment = dict(os.environ, GRADSCOPE_DEVICE=options.device, NVIDIA_TF32_OVERRIDE="0")
    ours = subprocess.Popen([OURS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    print(f"\n| network, batch | ours | PyTorch | ratio |\n|---|---|---|---|")
    for name, size, batches in networks.ROWS:
        if options.only not in name:
            continue
        network = networks.build(name)
        weights = os.path.join(scratch.name, name + ".safetensors")
        save_file({k: v.contiguous() for k, v in network.state_dict().items() if "num_batches" not in k}, weights)
        network = network.to(options.device)
        for batch in (*batches, 64):
            x = torch.rand(batch, *size, device=options.device)
            for way, back in (("forward", False), ("gradient", True)):
                ratios, rows = [], []
                call = networks.call(network, x, back)
                timed(call, 3)
                for _ in range(3):
                    words = (way, name, weights, "x".join(map(str, size)), batch, 10)
                    ours.stdin.write("\t".join(map(str, words)) + "\n")
                    ours.stdin.flush()
                    mine = ours.stdout.readline().split()
                    if not mine:
                        print(f"| {name}, {batch}, {way} | failed | | |", flush=True)
                        return
                    rows.append((statistics.median(map(float, mine)), timed(call, 10)))
                    ratios.append(rows[-1][1] / rows[-1][0])
                our, their = (statistics.median(column) for column in zip(*rows))
                print(f"| {name}, {batch}, {way} | {our * 1e3:.2f} ms | {their * 1e3:.2f} ms | "
                      f"{statistics.median(ratios):.2f} |", flush=True)


if not options.no_networks:
    speeds()
if not options.no_methods:
    methods()
