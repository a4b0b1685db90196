"""Writes tests/fixtures/crp.json: concept relevance propagation by zennit-crp on the convolutional network of inside.py.

For each composite: the relevance of the channels of a layer, the heatmap of each channel, the same under conditions at layers above, and
the relevance of channels for the classes of several pictures (RelMax), with their activations (ActMax).

python3 scripts/reference/concept_relevance.py

PyTorch 2.15, zennit 0.4.6, zennit-crp 0.6.0
"""
import json
from importlib.metadata import version
from pathlib import Path

import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from zennit.composites import EpsilonAlpha2Beta1Flat, EpsilonGammaBox, EpsilonPlus, EpsilonPlusFlat

import inside

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/crp.json"
# Our names of the modules.
NAMES = {"pool1": "pool1", "conv2": "conv2", "act2": "relu2"}
# A condition at layers above, from the output down, and the layer whose channels are ranked.
CASES = [([], "conv2"), ([], "pool1"), ([("act2", [3])], "pool1"), ([("act2", [0, 2])], "pool1"), ([("act2", [1, 5]), ("conv2", [5])], "pool1")]
PICTURES = 5


def digits(values):
    return [float(f"{v:.9g}") for v in values.flatten().tolist()]


def normalized(net, x):
    return ((x - net.mean) / net.std).detach()


class Normalized(torch.nn.Module):
    """The network on normalized pictures, with its modules as its own."""

    def __init__(self, net):
        super().__init__()
        for name, module in net.named_children():
            self.add_module(name, module)

    def forward(self, x):
        x = self.pool1(self.act1(self.conv1(x)))
        return self.fc(self.act2(self.conv2(x)).flatten(1))


def written(path):
    return " > ".join(f"{NAMES[layer]}:{','.join(map(str, channels))}" for layer, channels in path)


def conditional(attribution, composite, x, path, layer):
    def ask(condition):
        # zennit-crp requires the order from the output to the input.
        return attribution(x.clone().requires_grad_(), [condition], composite, record_layer=[layer])

    base = {layer: channels for layer, channels in path} | {"y": [inside.TARGET]}
    found = ask(base)
    sums = ChannelConcept().attribute(found.relevances[layer], abs_norm=False)[0]
    shares = ChannelConcept().attribute(found.relevances[layer], abs_norm=True)[0]
    heatmaps = []
    for channel in range(len(sums)):
        heatmaps.append(ask({l: c for l, c in path} | {layer: [channel], "y": [inside.TARGET]}).heatmap[0])
    return {
        "within": written(path), "layer": NAMES[layer], "relevance": digits(sums), "share": digits(shares),
        "heatmaps": digits(torch.stack(heatmaps).detach()[:, ::2, ::2]),
    }


def over_pictures(attribution, composite, pictures, labels, layer):
    """The relevance of each channel in each picture for the picture's class, and its activation."""
    found = attribution(pictures.clone().requires_grad_(), [{"y": [label]} for label in labels], composite, record_layer=[layer], exclude_parallel=False)
    values = {}
    for by, tensor in (("relevance", found.relevances[layer]), ("activation", found.activations[layer])):
        for pool in ("sum", "max"):
            for norm in (False, True):
                order, value, _ = ChannelConcept().reference_sampling(tensor, layer, pool, norm)
                values[f"{by} {pool} {'true' if norm else 'false'}"] = {"order": order.T.tolist(), "values": digits(value.T)}
    return values


def main():
    torch.set_num_threads(1)
    net = inside.tiny()
    model = Normalized(net)
    attribution = CondAttribution(model)
    picture = lambda seed: torch.tensor(0.5 + 0.4 * inside.uniform(seed, 192)).double().reshape(1, 3, 8, 8)
    x = normalized(net, picture(99))
    low, high = (normalized(net, torch.full((1, 3, 8, 8), v, dtype=torch.float64)) for v in (0.0, 1.0))
    composites = {
        "EpsilonPlus": EpsilonPlus(), "EpsilonPlusFlat": EpsilonPlusFlat(), "EpsilonAlpha2Beta1Flat": EpsilonAlpha2Beta1Flat(),
        "EpsilonGammaBox": EpsilonGammaBox(low=low, high=high),
    }
    pixels = torch.tensor([i * (i + 37) % 251 for i in range(PICTURES * 192)]).double() / 255
    pictures = normalized(net, pixels.reshape(PICTURES, 3, 8, 8))
    labels = [i % 5 for i in range(PICTURES)]
    fixture = {
        "versions": {name: version(name) for name in ("torch", "zennit", "zennit-crp")},
        "class": inside.TARGET,
        "cases": {name: [conditional(attribution, c, x, *case) for case in CASES] for name, c in composites.items()},
        "pictures": over_pictures(attribution, composites["EpsilonPlusFlat"], pictures, labels, "conv2"),
    }
    FIXTURE.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
