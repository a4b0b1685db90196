#!/usr/bin/env python3
"""Smooth and Efficient MPRT by Quantus, with gradscope's random weights and noise, in tests/fixtures/mprt.json.

The network, picture and class are those of fidelity.py; the map is the gradient of the logit, summed over the colors. A method run by
gradscope prints the weights that `randomized` draws and the noise of the plugin `randomization`. Needs quantus 0.6.0, torch and scipy:

    scripts/reference/mprt.py target/release/gradscope
"""

import importlib.metadata as metadata
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import quantus
import torch
from fidelity import MEAN, PICTURE, STD, TARGET, WEIGHTS, uniform
from quantus.functions.complexity_func import discrete_entropy
from quantus.helpers.model.pytorch_model import PyTorchModel
from safetensors.torch import save_file
from torch import nn

OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/mprt.json"
LAYERS = ["conv1", "conv2", "fc"]
SAMPLES = 5

ARCHITECTURE = """
//! The network of fidelity.py.
const MODEL = #{ input: [3, 8, 8], mean: [0.5, 0.4, 0.3], std: [0.25, 0.25, 0.5], labels: ["ant", "bee", "cat", "dog", "elk"] };
fn build(x) {
    x.conv("conv1", 4, 3, #{ padding: 1 }).relu("relu1").max_pool("pool1", 2)
     .conv("conv2", 6, 3, #{ padding: 1 }).relu("relu2").flatten("flatten").linear("fc", 5)
}
"""

DUMP = """
//! Random weights, and the noise of each stage of `randomization`.
const PLUGIN = #{ group: "fidelity" };
fn noise(cx) {
    let all = [];
    for i in 1..SAMPLES { all.push(cx.randn(cx.input.shape)); }
    all
}
fn start(cx) { #{ n: 0, noise: noise(cx) } }
fn step(cx, s) {
    s.noise += noise(cx);
    s.n += 1;
    if s.n == 3 { s.done = "three stages"; }
    s
}
fn view(cx, s) {
    let figures = [column(cx.input, "x"), column(cat(s.noise, 0), "noise")];
    let trace   = cx.model.randomized(["conv1", "conv2", "fc"], 0).forward(cx.input);
    for layer in ["conv1", "conv2", "fc"] {
        for kind in ["weight", "bias"] { figures.push(column(trace.site(layer).params[kind], `${layer}_${kind}`)); }
    }
    figures
}
fn column(values, title) { sheet(values.reshape([-1, 1]), title) }
"""


class Tiny(nn.Module):
    """The network of fidelity.py on normalized pictures."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1), nn.Linear(96, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        return self.fc(torch.relu(self.conv2(x)).flatten(1))


def drawn(gradscope):
    """The arrays that gradscope writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tiny.rhai").write_text(ARCHITECTURE)
        (folder / "dump.rhai").write_text(DUMP.replace("SAMPLES", str(SAMPLES)))
        save_file(network().state_dict(), folder / "tiny.safetensors")
        np.save(folder / "picture.npy", PICTURE[0].numpy().astype(np.float32))
        command = [gradscope, "run", "dump.rhai", "-m", "tiny.rhai", "-w", "tiny.safetensors", "-i", "picture.npy", "--out", "out"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return {file.stem: np.load(file).ravel().astype(np.float64) for file in (folder / "out").glob("*.npy")}


def network():
    """The network as learned."""
    model = Tiny().eval()
    names = [f"{layer}.{kind}" for layer in LAYERS for kind in ["weight", "bias"]]
    model.load_state_dict(dict(zip(names, WEIGHTS)))
    return model


def explain(model, inputs, targets, **_):
    """The gradient of the logit with respect to pixels, summed over the colors."""
    x = torch.tensor(np.asarray(inputs), dtype=torch.float32, requires_grad=True)
    score = model(x)[np.arange(len(targets)), targets].sum()
    return (torch.autograd.grad(score, x)[0] / STD.float()).sum(1, keepdim=True).numpy()


def main():
    """Writes the fixture."""
    arrays = drawn(str(pathlib.Path(sys.argv[1]).resolve()))
    assert np.abs(arrays["x"] - PICTURE.numpy().ravel()).max() < 1e-7
    noise = list(arrays["noise"].reshape(4, SAMPLES - 1, 1, 3, 8, 8))

    def randomized(self, order, seed):
        """Instead of Quantus' random weights."""
        model = network()
        for layer in LAYERS if order == "bottom_up" else LAYERS[::-1]:
            if order == "independent":
                model = network()
            for kind in ["weight", "bias"]:
                values = getattr(getattr(model, layer), kind).data
                values.copy_(torch.tensor(arrays[f"{layer}_{kind}"]).reshape(values.shape))
            yield layer, model

    PyTorchModel.get_random_layer_generator = randomized
    quantus.explain = explain  # SmoothMPRT ignores explain_func

    def asked(measure):
        # SmoothMPRT computes the original map twice
        draws = iter([*noise[0], *(e for stage in noise for e in stage)])
        np.random.randn = lambda *shape: next(draws)
        x = ((PICTURE - MEAN) / STD).numpy()
        return measure(model=network(), x_batch=x, y_batch=np.array([TARGET]), explain_func=explain, channel_first=True)

    def smooth(order, magnitude, samples):
        options = {"nr_samples": samples, "noise_magnitude": 0.1, "layer_order": order, "abs": magnitude}
        scores = asked(quantus.SmoothMPRT(disable_warnings=True, **options))
        return [scores[layer][0] for layer in scores if layer != "original"]

    def efficient(order):
        measure = quantus.EfficientMPRT(layer_order=order, skip_layers=False, disable_warnings=True)
        rise = asked(measure)[0]
        return {"complexity": [float(v[0]) for v in measure.explanation_scores_by_layer.values()], "rise": float(rise)}

    orders = {"cascading": "top_down", "bottom_up": "bottom_up", "independent": "independent"}
    fixture = {"versions": {name: metadata.version(name) for name in ["quantus", "torch", "numpy", "scipy"]}, "samples": SAMPLES}
    for ours, theirs in orders.items():
        fixture[ours] = efficient(theirs)
        for samples, name in [(1, "plain"), (SAMPLES, "smooth")]:
            fixture[ours][name] = {"signed": smooth(theirs, False, samples), "magnitude": smooth(theirs, True, samples)}
    fixture["entropies"] = {bins: float(discrete_entropy(uniform(7, 64) ** 3, None, n_bins=bins)) for bins in [2, 10, 100, 1000]}
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
