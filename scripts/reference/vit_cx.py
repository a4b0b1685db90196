#!/usr/bin/env python3
"""Writes tests/fixtures/vit_cx.json: ViT-CX (Xie et al. 2023, arXiv:2211.03064) of small transformers, in PyTorch and scikit-learn.

The order of steps is that of the authors' code (github.com/vaynexie/CausalX-ViT): channels are resized to the picture before they are
scaled to [0, 1] and clustered. Noise is drawn by gradscope, eight masks per step as in the plugin. Networks and pictures are those of
attention.py; results are in float64.

    scripts/reference/vit_cx.py target/release/gradscope

PyTorch 2.15, timm 1.0.31, scikit-learn 1.9.1
"""
import json
import pathlib
import subprocess
import sys
import tempfile
from importlib.metadata import version

import numpy as np
import timm
import torch
import torch.nn.functional as F
from sklearn.cluster import AgglomerativeClustering

from attention import LAYER, NETWORKS, digits
from attnlrp import network_of
from vision_transformers import smalls
from zoo import uniform

FIXTURE = pathlib.Path(__file__).parents[2] / "tests/fixtures/vit_cx.json"
# Distance and noise.
CASES = [(0.1, 0.0), (0.2, 0.0), (0.2, 0.1), (0.2, 0.5)]
# Masks per step of the plugin.
BATCH = 8
# Every so many values of the map are kept.
EVERY = 7

NOISE = """
//! The noise of `vit_cx`.
const PLUGIN = #{};
fn start(cx) { #{ n: 0, noise: [] } }
fn step(cx, s) {
    let count = min(BATCH, MASKS - s.n);
    s.noise.push(cx.randn([count, SHAPE]));
    s.n += count;
    if s.n >= MASKS { s.done = "all masks"; }
    s
}
fn view(cx, s) { if s.noise.is_empty() { [] } else { [sheet(cat(s.noise, 0).reshape([-1, 1]), "noise")] } }
"""


def drawn(program, method):
    """The random numbers that a method of gradscope returns as figures, by title."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "drawn.rhai").write_text(method)
        command = [pathlib.Path(program).resolve(), "run", "drawn.rhai", "--out", "out"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return {file.stem: np.load(file).ravel().astype(np.float64) for file in (folder / "out").glob("*.npy")}


def run(case, grid):
    """A network, its normalized picture, and the activations `(channels, h, w)` of the layer."""
    network = network_of(case)
    prefix, h, w = grid
    size = [1, case.channels, case.size, case.size]
    pixels = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).float().double().reshape(size)
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in case.norm)
    x, values = (pixels - mean) / std, []
    hook = dict(network.named_modules())[LAYER].register_forward_hook(lambda module, inputs, y: values.append(y.detach()))
    network(x)
    hook.remove()
    return network, x, values[0][0, prefix:].T.reshape(-1, h, w)


def scaled(maps):
    """Each map scaled to [0, 1]."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low)


def masks_of(activations, size, distance):
    """The scaled sums of clusters of similar channels."""
    maps = scaled(F.interpolate(activations[None], size=size, mode="bilinear", align_corners=False)[0])
    flat = F.normalize(maps.flatten(1))
    clusters = AgglomerativeClustering(n_clusters=None, metric="precomputed", linkage="complete", distance_threshold=distance)
    labels = clusters.fit_predict((1 - flat @ flat.T).numpy())
    # In the order of the first channels, for the noise.
    return scaled(torch.stack([maps[labels == label].sum(0) for label in dict.fromkeys(labels)]))


@torch.no_grad()
def vit_cx(network, x, masks, noise, best):
    probability = lambda x: network(x).softmax(1)[:, best]
    masks = masks[:, None]
    noise = noise * (1 - masks)
    impact = probability(x * masks + noise) - probability(x + noise) + probability(x)
    return (impact.reshape(-1, 1, 1, 1) * masks / masks.sum(0)).mean(0)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    timm.layers.set_fused_attn(False)
    fixture = {"versions": {name: version(name) for name in ("torch", "timm", "scikit-learn")}, "every": EVERY, "layer": LAYER}
    fixture["networks"] = {}
    for label, grid in NETWORKS.items():
        network, x, activations = run(smalls()[label][1], grid)
        best = int(network(x)[0].argmax())
        found = {"class": best, "cases": []}
        for distance, sigma in CASES:
            masks = masks_of(activations, x.shape[2:], distance)
            shape = [len(masks), *x.shape[1:]]
            values = {"BATCH": BATCH, "MASKS": len(masks), "SHAPE": ", ".join(map(str, shape[1:]))}
            method = NOISE
            for name, value in values.items():
                method = method.replace(name, str(value))
            noise = torch.from_numpy(drawn(sys.argv[1], method)["noise"]).reshape(shape) * sigma
            kept = digits(vit_cx(network, x, masks, noise, best).flatten()[::EVERY])
            found["cases"].append({"distance": distance, "noise": sigma, "masks": len(masks), "map": kept})
            print(label, distance, sigma, len(masks), kept[:3], file=sys.stderr)
        fixture["networks"][label] = found
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
