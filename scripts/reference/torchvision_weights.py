"""Writes src/hub/torchvision.tsv: torchvision's classifiers with their pretrained weights and the preprocessing of each.

    python3 scripts/reference/torchvision_weights.py

Columns: name, weights, file, input size, shorter side before the center crop, interpolation, mean, std. The first row of a name is
its default.
"""

import pathlib

from torchvision import models

BASE = "https://download.pytorch.org/models/"
OUT = pathlib.Path(__file__).resolve().parents[2] / "src" / "hub" / "torchvision.tsv"
# With pretrained weights, these convert their input from ImageNet's mean and standard deviation to 0.5.
CONVERTING = ["googlenet", "inception_v3"]


def rows(name):
    weights = models.get_model_weights(name)
    for entry in sorted(weights, key=lambda entry: entry is not weights.DEFAULT):
        if entry.meta["categories"] is None:  # VGG-16 without its classifier
            continue
        prepare = entry.transforms()
        assert entry.url.startswith(BASE) and prepare.antialias and len(entry.meta["categories"]) == 1000, entry
        (size,), (side,) = prepare.crop_size, prepare.resize_size
        mean, std = ([0.5] * 3, [0.5] * 3) if name in CONVERTING else (prepare.mean, prepare.std)
        numbers = [",".join(map(str, values)) for values in (mean, std)]
        yield name, entry.name, entry.url.removeprefix(BASE), size, side, prepare.interpolation.value, *numbers


table = [row for name in models.list_models(module=models) for row in rows(name)]
OUT.write_text("".join("\t".join(map(str, row)) + "\n" for row in table))
print(f"{len({row[0] for row in table})} networks, {len(table)} weights")
