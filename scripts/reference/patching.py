"""Writes tests/fixtures/patching.json: activation patching of small networks with PyTorch's forward hooks.

A hook replaces part of a module's output, or of its input for heads, by the values that the module has for the other picture. The
transformers are those of vision_transformers.py, the convolutional network is that of inside.py; weights are rounded to float32, results
are in float64.

python3 scripts/reference/patching.py

PyTorch 2.15, timm 1.0.31
"""
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import timm
import torch

import inside
from vision_transformers import smalls
from zoo import uniform, value

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/patching.json"
NETWORKS = ["timm vit", "timm dinov2 with registers"]
CLASS, AGAINST = 1, 3


def digits(values):
    return [float(f"{v:.9g}") for v in values]


def scores(y):
    """The scores of the first row, by name."""
    return {"difference": (y[0, CLASS] - y[0, AGAINST]).item(), "logit": y[0, CLASS].item(), "probability": y.softmax(1)[0, CLASS].item()}


class Sites:
    """Values of modules that can be read and replaced: `(module, "input" or "output", shape, dimension of the units)`."""

    def __init__(self, network, sites):
        self.network, self.sites = network, sites

    def run(self, x, change):
        """The scores if `change(site, value)` replaces the value of each site."""
        handles = []
        for name, (module, end, shape, _) in self.sites.items():

            def changed(value, name=name, shape=shape):
                return change(name, value.reshape(shape)).reshape(value.shape)

            if end == "input":
                handles.append(module.register_forward_pre_hook(lambda m, x, changed=changed: (changed(x[0]),)))
            else:
                handles.append(module.register_forward_hook(lambda m, x, y, changed=changed: changed(y)))
        with torch.no_grad():
            y = self.network(x)
        for handle in handles:
            handle.remove()
        return y

    def values(self, x):
        seen = {}
        self.run(x, lambda name, value: seen.setdefault(name, value.clone()))
        return seen

    def restored(self, receiver, source, measure):
        """For each site, the effects of its units and of all of them together."""
        theirs = self.values(source)
        low, high = (scores(self.network(x))[measure] for x in (receiver, source))

        def effect(site, unit):
            dim = self.sites[site][3]

            def change(name, value):
                if name != site:
                    return value
                if unit is None:
                    return theirs[name]
                value = value.clone()
                value.select(dim, unit).copy_(theirs[name].select(dim, unit))
                return value

            return (scores(self.run(receiver, change))[measure] - low) / (high - low)

        count = {name: theirs[name].shape[dim] for name, (*_, dim) in self.sites.items()}
        return {name: digits([effect(name, unit) for unit in [*range(count[name]), None]]) for name in self.sites}


def transformer(case):
    """A network with its weights by formula, and the sites of each kind of unit."""
    network = case.network()
    weights = {theirs: value(ours, shape).float().double() for ours, theirs, shape in case.names(network)}
    network.load_state_dict(weights, strict=False)
    network = network.double().eval().requires_grad_(False)
    width, heads = network.embed_dim, network.blocks[0].attn.num_heads
    tokens = (1, -1, width)
    blocks = network.blocks
    return network, {
        "block": ("positions", [(b, "output", tokens, 1) for b in blocks]),
        "attention": ("positions", [(b.drop_path1, "output", tokens, 1) for b in blocks]),
        "mlp": ("positions", [(b.drop_path2, "output", tokens, 1) for b in blocks]),
        "channels": ("channels", [(b, "output", tokens, 2) for b in blocks]),
        "heads": ("heads", [(b.attn.proj, "input", (1, -1, heads, width // heads), 2) for b in blocks]),
    }


def pictures(shape, norm):
    """Two pictures in [0, 1], and both normalized."""
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in norm)
    drawn = [torch.from_numpy(uniform(name, int(np.prod(shape))) * 0.5 + 0.5).float().double().reshape(shape) for name in ("picture", "other")]
    return [(x - mean) / std for x in drawn]


def results(network, kinds, clean, other):
    found = {}
    for kind, (units, sites) in kinds.items():
        sites = Sites(network, {str(i): site for i, site in enumerate(sites)})
        measures = ("difference", "logit", "probability") if kind == "block" else ("difference",)
        for measure in measures:
            for direction, pair in {"denoising": (other, clean), "noising": (clean, other)}.items():
                found[f"{units} {kind} {measure} {direction}"] = list(sites.restored(*pair, measure).values())
    return found


def convolutional():
    network = inside.tiny()
    first, second = network.pool1, network.act2
    kinds = {}
    for units, dim in (("positions", 2), ("channels", 1)):
        # A map `(1, C, h, w)` as `(1, C, positions)`.
        shapes = [(1, 4, 16), (1, 6, 16)]
        kinds[units] = (units, [(m, "output", shape, dim) for m, shape in zip((first, second), shapes)])
    drawn = [torch.tensor(0.5 + 0.4 * inside.uniform(seed, 192)).double().reshape(1, 3, 8, 8) for seed in (99, 98)]
    return results(network, kinds, *drawn)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    fixture = {"versions": {name: version(name) for name in ("torch", "timm")}, "class": CLASS, "against": AGAINST, "networks": {}}
    cases = smalls()
    for label in NETWORKS:
        case = cases[label][1]
        network, kinds = transformer(case)
        clean, other = pictures((1, case.channels, case.size, case.size), case.norm)
        fixture["networks"][label] = results(network, kinds, clean, other)
    torch.set_default_dtype(torch.float32)
    fixture["networks"]["tiny"] = convolutional()
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
