#!/usr/bin/env python3
"""Writes tests/fixtures/dff.json: deep feature factorization of small transformers, by scikit-learn and pytorch-grad-cam.

- `maps`: scikit-learn's multiplicative updates, from the random values that gradscope draws;
- `share`: the share of the sum of squares that these explain; `peer` is that of pytorch-grad-cam, by coordinate descent from other random
  values; `peer_maps` are its maps if both reach the same optimum.
pytorch-grad-cam shifts each channel by its minimum; here negative activations are cut off, and a row of zeros below the map makes the
shift 0. Networks and pictures are those of attention.py; results are in float64.

    scripts/reference/dff.py target/release/gradscope

PyTorch 2.15, timm 1.0.31, scikit-learn 1.9.1, grad-cam 1.5.7
"""
import json
import pathlib
import sys
from importlib.metadata import version

import numpy as np
import timm
import torch
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import dff
from sklearn.decomposition import NMF

from attention import LAYER, NETWORKS, digits
from vision_transformers import smalls
from vit_cx import drawn, run

FIXTURE = pathlib.Path(__file__).parents[2] / "tests/fixtures/dff.json"
UPDATES = 200
CONCEPTS = [1, 2, 4]
# Shares that differ by less belong to the same optimum.
SAME = 5e-5

START = """
//! The random values from which `dff` starts.
const PLUGIN = #{};
fn run(cx) {
    [sheet(cx.rand([PLACES, CONCEPTS]).reshape([-1, 1]), "w"), sheet(cx.rand([CONCEPTS, CHANNELS]).reshape([-1, 1]), "h")]
}
"""


def factorized(v, concepts, program):
    """W and H for V `(positions, channels)`. scikit-learn updates its first factor first, as the plugin does H: it gets V transposed."""
    places, channels = v.shape
    method = START.replace("PLACES", str(places)).replace("CHANNELS", str(channels)).replace("CONCEPTS", str(concepts))
    start = drawn(program, method)
    w, h = start["w"].reshape(places, concepts), start["h"].reshape(concepts, channels)
    nmf = NMF(concepts, init="custom", solver="mu", tol=0, max_iter=UPDATES)
    h = nmf.fit_transform(v.T.copy(), W=h.T.copy(), H=w.T.copy()).T
    return nmf.components_.T, h


def by_pytorch_grad_cam(a, concepts):
    """W and H by pytorch-grad-cam for non-negative activations `(channels, h, w)`."""
    channels, maps = dff(np.pad(a, ((0, 0), (0, 1), (0, 0)))[None], concepts)
    return maps[0, :, :-1].reshape(concepts, -1).T, channels.T


def maps_of(w, h):
    """Concept maps `(K, positions)` with rows of H of length 1, strongest first."""
    maps = (w * np.linalg.norm(h, axis=1)).T
    return maps[np.argsort(-maps.sum(1))]


def share(v, w, h):
    return 1 - np.square(v - w @ h).sum() / np.square(v).sum()


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    timm.layers.set_fused_attn(False)
    fixture = {"versions": {name: version(name) for name in ("torch", "timm", "scikit-learn", "grad-cam")}, "layer": LAYER}
    fixture |= {"updates": UPDATES, "networks": {}}
    for label, grid in NETWORKS.items():
        _, _, activations = run(smalls()[label][1], grid)
        a = activations.clamp(min=0).numpy()
        v = a.reshape(len(a), -1).T
        found = []
        for concepts in CONCEPTS:
            w, h = factorized(v, concepts, sys.argv[1])
            peer = by_pytorch_grad_cam(a, concepts)
            result = {"concepts": concepts, "maps": digits(maps_of(w, h)), "share": share(v, w, h), "peer": share(v, *peer)}
            if abs(result["share"] - result["peer"]) < SAME:
                result["peer_maps"] = digits(maps_of(*peer))
            found.append(result)
            alike = [np.corrcoef(*pair)[0, 1] for pair in zip(maps_of(w, h), maps_of(*peer))]
            print(label, concepts, result["share"], result["peer"], alike, file=sys.stderr)
        fixture["networks"][label] = found
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
