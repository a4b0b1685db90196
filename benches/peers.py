"""gradscope beside its peers, in turns, in one run: the tables of BENCHMARKS.md.

    python3 benches/peers.py [--only TEXT] [--pairs N] [--threads N]

Needs torch, torchvision, safetensors and onnxruntime; rows of methods also captum and zennit. A row is the ratio of
the peer's time to ours, the median of the pairs with the least and the greatest: above 1 we are faster. PyTorch's
parameters have no gradients, and its better memory layout counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
import torch
import torchvision
from safetensors.torch import save_file

import methods
import networks

parser = argparse.ArgumentParser()
parser.add_argument("--only", default="", help="rows whose name has this text")
parser.add_argument("--pairs", type=int, default=7)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--no-methods", action="store_true")
options = parser.parse_args()
torch.set_num_threads(options.threads)
folder = tempfile.mkdtemp()
environment = dict(os.environ, RAYON_NUM_THREADS=str(options.threads))
command = ["cargo", "bench", "-q", "--bench", "ours"]
ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(*words):
    """Times of our side."""
    print(*words, file=ours.stdin, flush=True)
    answer = ours.stdout.readline().split()
    if not answer:
        sys.exit("our side ended: " + " ".join(map(str, words)))
    return [float(t) for t in answer[:-1]]


def timed(call, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    time.sleep(0.02)  # its threads stop spinning
    return times


def pairs(our, theirs, runs):
    """The ratio of each pair, and the medians in seconds."""
    theirs()
    rows = []
    for _ in range(options.pairs):
        rows.append((statistics.median(our(runs)), statistics.median(timed(theirs, runs))))
    ratios = sorted(t / o for o, t in rows)
    return ratios, statistics.median(o for o, _ in rows), statistics.median(t for _, t in rows)


def show(name, peer, result):
    ratios, our, their = result
    print(f"| {name} | {peer} | {our * 1000:.1f} ms | {their * 1000:.1f} ms | **{statistics.median(ratios):.2f}** | "
          f"{ratios[0]:.2f}–{ratios[-1]:.2f} |", flush=True)
    return statistics.median(ratios)


def better_layout(network, x, back):
    """PyTorch's faster layout as a call, and its name."""
    calls = {}
    for name, layout in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
        net = network.to(memory_format=layout)
        calls[name] = networks.call(networks.copied(net), x.to(memory_format=layout), back)
    times = {}
    for _ in range(2):
        for name, call in calls.items():
            times[name] = min(times.get(name, 1e9), statistics.median(timed(call, 3)))
    best = min(times, key=times.get)
    return best, calls[best]


def network_rows():
    ratios = {}
    print("| network, batch | peer | ours | peer's | ratio | spread |\n|---|---|---|---|---|---|", flush=True)
    for name, size, batches in networks.ROWS:
        chosen = [b for b in batches if options.only in f"{name} {b}"]
        if not chosen:
            continue
        torch.manual_seed(0)
        network = networks.build(name)
        weights = os.path.join(folder, name + ".safetensors")
        save_file({k: v.contiguous() for k, v in network.state_dict().items() if "num_batches" not in k}, weights)
        text = "x".join(map(str, size))
        for batch in chosen:
            x = torch.rand(batch, *size)
            runs = max(2, min(20, int(networks.budget(name) / batch)))
            for way, back in (("forward", False), ("gradient", True)):
                our = lambda runs: ask(way, name, weights, text, batch, runs)
                layout, call = better_layout(network, x, back)
                row = show(f"{name}, {batch}, {way}", f"PyTorch {layout}", pairs(our, call, runs))
                ratios.setdefault("PyTorch", []).append(row)
                if not back:
                    session = networks.onnx(network, x, folder, options.threads)
                    row = show(f"{name}, {batch}, {way}", "onnxruntime", pairs(our, session, runs))
                    ratios.setdefault("onnxruntime", []).append(row)
        os.remove(weights)
    for peer, row in ratios.items():
        print(f"\n{peer}: least {min(row):.2f}, geometric mean {statistics.geometric_mean(row):.2f}", flush=True)


network_rows()
if not options.no_methods:
    print("\n| method | peer | ours | peer's | ratio | spread |\n|---|---|---|---|---|---|", flush=True)
    for row in methods.rows(folder, options.only):
        our = lambda runs: ask("method", row.model, row.weights, row.size, runs, row.plugin, *row.settings)
        show(row.name, row.peer, pairs(our, row.call, row.runs))
