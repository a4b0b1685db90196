"""Benchmarks gradscope against its peers, interleaved in one session: the tables of BENCHMARKS.md.

    python3 benches/peers.py [--only TEXT] [--pairs N] [--threads N] [--no-networks] [--no-methods] [--no-memory]

Needs torch, torchvision, timm, safetensors and onnxruntime; for methods also captum, zennit, torchattacks, foolbox and grad-cam,
and GRADSCOPE_SHARED for trained weights and data sets. Each row shows the ratio of the peer's time to ours (above 1, gradscope
is faster): the median of the pairs, with minimum and maximum. PyTorch runs with parameter gradients disabled, in its faster
memory layout and with its best batch size. Memory is the peak of a fresh process that runs only that row.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

PAIRS = 7

parser = argparse.ArgumentParser()
parser.add_argument("--only", default="", help="only rows whose name contains this text")
parser.add_argument("--pairs", type=int, help=f"pairs per row [default: {PAIRS}, fewer for slow rows]")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--no-networks", action="store_true")
parser.add_argument("--no-methods", action="store_true")
parser.add_argument("--no-memory", action="store_true")
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(options.threads)

import torch
from safetensors.torch import save_file

import alone
import methods
import networks

HERE = os.path.dirname(os.path.abspath(__file__))
# Runs a command from a small process and prints the peak memory of the command alone.
PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
VGG16_OPERATIONS = 2 * 15.47e9
GRADCAM = "Grad-CAM from a cold start to a PNG, squeezenet1_0"
SCRIPT = "script, squeezenet1_0"


def built():
    """Builds our side of the benchmarks and gradscope itself; returns their paths by name."""
    command = ["cargo", "bench", "--no-run", "--bench", "ours", "--message-format=json"]
    messages = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return {m["target"]["name"]: m["executable"] for m in map(json.loads, messages) if m.get("executable")}


torch.set_num_threads(options.threads)
scratch = tempfile.TemporaryDirectory()
folder = scratch.name
programs = built()
ours = subprocess.Popen([programs["ours"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(*words):
    return "\t".join(map(str, words)) + "\n"


def ask(*words):
    """Our run times, in seconds."""
    ours.stdin.write(line(*words))
    ours.stdin.flush()
    answer = ours.stdout.readline()
    if not answer:
        sys.exit("our side ended without an answer: " + " ".join(map(str, words)))
    return [float(t) for t in answer.split()]


def timed(call, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    time.sleep(0.1)  # until its threads stop spinning
    return times


def pairs(our, theirs, runs, few=None):
    """The ratio of each pair, sorted, and both medians in seconds; `few` is the number of pairs for runs so long that they need no warm-up."""
    if not few:
        our(1), theirs(1)
    rows = []
    for _ in range(options.pairs or few or PAIRS):
        rows.append((statistics.median(our(runs)), statistics.median(theirs(runs))))
    ratios = sorted(t / o for o, t in rows)
    return ratios, statistics.median(o for o, _ in rows), statistics.median(t for _, t in rows)


def peak(*command, question=""):
    """Peak memory of a command, in MiB."""
    command = [sys.executable, "-c", PEAK, *map(str, command)]
    run = subprocess.run(command, input=question, stdout=subprocess.PIPE, text=True, check=True)
    return int(run.stdout) / (1024 if sys.platform == "linux" else 1 << 20)


def memory(question, *peer):
    """Our peak memory for a request, and the peer's, in MiB."""
    if not options.no_memory:
        return peak(programs["ours"], question=question), peak(sys.executable, os.path.join(HERE, "alone.py"), *peer)


def head(first):
    print(f"\n| {first} | peer | ours | peer's | ratio | spread | memory | peer's | share |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)


def show(name, peer, result, held):
    """Prints one row of a table; returns the median ratio."""
    ratios, our, their = result
    held = f"{held[0]:.0f} MiB | {held[1]:.0f} MiB | {held[0] / held[1]:.2f}" if held else " | | "
    print(f"| {name} | {peer} | {our * 1000:.1f} ms | {their * 1000:.1f} ms | **{statistics.median(ratios):.2f}** | "
          f"{ratios[0]:.2f}–{ratios[-1]:.2f} | {held} |", flush=True)
    return statistics.median(ratios)


def better_layout(network, x, back):
    """The name of PyTorch's faster layout, and a callable that uses it."""
    calls = {}
    for name, layout in methods.LAYOUTS.items():
        net = network.to(memory_format=layout)
        calls[name] = networks.call(networks.copied(net), x.to(memory_format=layout), back)
    times = {}
    for _ in range(2):
        for name, call in calls.items():
            times[name] = min(times.get(name, 1e9), statistics.median(timed(call, 3)))
    best = min(times, key=times.get)
    return best, calls[best]


def exported(network, x):
    """Exports the network to ONNX; returns the path."""
    path = os.path.join(folder, "network.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.to(memory_format=torch.contiguous_format), x, path, dynamo=False, input_names=["x"])
    return path


def chosen_networks(rows, form, first):
    """The selected networks with their batch sizes and a file of random weights; prints the table header before the first."""
    begun = False
    for name, size, batches in rows:
        chosen = [b for b in batches if options.only in form.format(name, b)]
        if not chosen:
            continue
        if not begun:
            head(first)
            begun = True
        torch.manual_seed(0)
        network = networks.build(name)
        weights = os.path.join(folder, name + "_random.safetensors")
        save_file({k: v.contiguous() for k, v in network.state_dict().items() if "num_batches" not in k}, weights)
        yield name, size, chosen, network, weights
        os.remove(weights)


def network_rows(rows):
    ratios, vgg16 = {}, []
    for name, size, chosen, network, weights in chosen_networks(rows, "{} {}", "network, batch"):
        text = "x".join(map(str, size))
        for batch in chosen:
            x = torch.rand(batch, *size)
            runs = max(2, min(20, int(networks.budget(name) / batch)))
            for way, back in (("forward", False), ("gradient", True)):
                our = lambda runs: ask(way, name, weights, text, batch, runs)
                question = line(way, name, weights, text, batch, 1)
                layout, call = better_layout(network, x, back)
                result = pairs(our, lambda runs: timed(call, runs), runs)
                held = memory(question, "network", name, batch, way, layout)
                row = show(f"{name}, {batch}, {way}", f"PyTorch {layout}", result, held)
                ratios.setdefault("PyTorch", []).append(row)
                if not back:
                    file = exported(network, x)
                    session = alone.onnx(file, x.numpy())
                    result = pairs(our, lambda runs: timed(session, runs), runs)
                    held = memory(question, "onnx", file, f"{batch}x{text}")
                    row = show(f"{name}, {batch}, {way}", "onnxruntime", result, held)
                    ratios.setdefault("onnxruntime", []).append(row)
                    if name == "vgg16":
                        vgg16.append(VGG16_OPERATIONS * batch / result[1])
    for peer, row in ratios.items():
        print(f"\n{peer}: minimum {min(row):.2f}, geometric mean {statistics.geometric_mean(row):.2f}", flush=True)
    if vgg16:
        most = sgemm()
        print(f"\nOur VGG-16 forward pass runs at {max(vgg16) / 1e9:.0f} GFLOP/s by the operation count of direct convolution, "
              f"{100 * max(vgg16) / most:.0f}% of the {most / 1e9:.0f} GFLOP/s of PyTorch's sgemm at size 2048.", flush=True)


def training_rows():
    """Training steps, compared with PyTorch's faster layout."""
    ratios = []
    for name, size, chosen, network, weights in chosen_networks(networks.TRAINED, "training {} {}", "training, batch"):
        text = "x".join(map(str, size))
        for batch in chosen:
            x = torch.rand(batch, *size)
            calls = {k: networks.training(network, x, layout) for k, layout in methods.LAYOUTS.items()}
            times = {k: statistics.median(timed(call, 6)) for k, call in calls.items()}
            layout = min(times, key=times.get)
            runs = 12
            our = lambda runs: ask("train", name, weights, text, batch, runs)
            result = pairs(our, lambda runs: timed(calls[layout], runs), runs)
            question = line("train", name, weights, text, batch, runs)
            held = memory(question, "training", name, batch, "-", layout)
            ratios.append(show(f"training {name}, {batch}", f"PyTorch {layout}", result, held))
    if ratios:
        print(f"\nTraining: minimum {min(ratios):.2f}, geometric mean {statistics.geometric_mean(ratios):.2f}", flush=True)


def sgemm():
    """Operations per second of a large matrix product, best of several."""
    a, b = torch.rand(2, 2048, 2048)
    return 2 * 2048 ** 3 / min(timed(lambda: torch.mm(a, b), 10))


def fastest(row):
    """The peer's fastest choice, optimized one axis at a time."""
    times = {}

    def seconds(choice):
        if choice not in times:
            call = row.peer(*choice)
            times[choice], = timed(lambda: call(True), 1)
            if times[choice] < 2:
                times[choice] = min(timed(lambda: call(True), 2))
        return times[choice]

    best = tuple(axis[0] for axis in row.axes)
    for i in reversed(range(len(best))):
        best = min((best[:i] + (value,) + best[i + 1:] for value in row.axes[i]), key=seconds)
    return best


def method_row(row):
    weights = methods.weights(row.model, folder)
    about, how = (row.model, weights, "x".join(map(str, row.size))), (row.data, row.plugin, *row.settings)
    choice = fastest(row)
    call = row.peer(*choice)
    our = lambda runs: ask("method", *about, runs, *how)
    result = pairs(our, lambda runs: timed(lambda: call(False), runs), row.runs, row.few)
    held = memory(line("method", *about, 1, *how), "method", row.name, *choice)
    show(row.name, " ".join(map(str, (row.library, *choice))).strip(), result, held)


def gradcam_row():
    """Whole processes, from a cold start to a picture on disk."""
    weights = methods.weights("squeezenet1_0", folder)
    picture = methods.shared("data", "photos", "dog_cat_both.png") or noise()
    out = os.path.join(folder, "gradcam")
    our = [programs["gradscope"], "run", "gradcam", "-m", "squeezenet1_0", "-w", weights, "-i", picture, "-t", "243",
           "--set", "layer=features.12", "--out", out]
    peer = [sys.executable, os.path.join(HERE, "gradcam_peer.py"), weights, picture, "243", out + ".png"]
    process = lambda command: lambda runs: timed(lambda: subprocess.run(command, check=True, capture_output=True), runs)
    result = pairs(process(our), process(peer), 1)
    held = None if options.no_memory else (peak(*our), peak(*peer))
    show(GRADCAM, "pytorch-grad-cam", result, held)


def noise():
    from PIL import Image

    path = os.path.join(folder, "noise.png")
    Image.effect_noise((256, 256), 80).convert("RGB").save(path)
    return path


def script_row():
    """A loop in a script compared with the same loop in Rust."""
    about = ("squeezenet1_0", methods.weights("squeezenet1_0", folder), "3x224x224")
    script = lambda runs: ask("method", *about, runs, "-", os.path.join(HERE, "loop.rhai"))
    ratios, slow, fast = pairs(script, lambda runs: ask("loop", *about, runs), 1)
    parts = sorted(1 / ratio for ratio in ratios)
    print(f"\nA loop of 50 gradients of SqueezeNet takes {slow:.2f} s in a script and {fast:.2f} s in Rust: "
          f"{statistics.median(parts):.3f} times as long ({parts[0]:.3f}–{parts[-1]:.3f}).", flush=True)


def method_rows():
    rows = methods.rows(options.only)
    if rows or options.only in GRADCAM:
        head("method")
    if options.only in GRADCAM:
        gradcam_row()
    for row in rows:
        method_row(row)
    if rows and not options.no_memory:
        own = peak(sys.executable, "-c", "import torch, torchvision")
        print(f"\nPyTorch and torchvision take {own:.0f} MiB of the peer's memory before doing any work.", flush=True)
    if not methods.SHARED:
        print("\nRows on data sets were skipped; they need GRADSCOPE_SHARED.", flush=True)
    if options.only in SCRIPT:
        script_row()


if not options.no_networks:
    network_rows(networks.ROWS)
    network_rows(networks.TODAY)
    training_rows()
if not options.no_methods:
    method_rows()
