#!/usr/bin/env python3
"""ROAD by pytorch-grad-cam, without its noise, in tests/fixtures/road.json.

The network and the map are those of fidelity.py. The other pictures to be imputed are 24 x 32: a large hole with islands, and random
pixels. pytorch-grad-cam's percentile is what remains. Needs grad-cam 1.5.7, torch and scipy.
"""

import importlib.metadata as metadata
import json
import pathlib

import numpy as np
import torch
from fidelity import MAP, MEAN, PICTURE, STD, TARGET, logits, uniform
from pytorch_grad_cam.metrics import perturbation_confidence as metric
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

OUT = pathlib.Path(__file__).parents[2] / "tests/fixtures/road.json"
PERCENTAGES = [10, 20, 30, 40, 50, 60, 70, 80, 90]
H, W = 24, 32


def imputed(removed):
    """The picture `uniform(11, 768)` in [0, 1] with these pixels replaced."""
    x = torch.tensor(0.5 + 0.5 * uniform(11, H * W), dtype=torch.float32).reshape(1, H, W)
    filled = NoisyLinearImputer(noise=0.0)(x, torch.tensor(~removed, dtype=torch.float32))
    return [round(v, 7) for v in filled.flatten().tolist()]


def hole():
    """All pixels within 11 of the center, except every seventh in reading order."""
    y, x = np.mgrid[:H, :W]
    return ((y - 12) ** 2 + (x - 16) ** 2 < 121) & ((y * W + x) % 7 != 0)


def scattered():
    """The pixels where `uniform(12, 768)` is below 0.8: nine tenths."""
    return uniform(12, H * W).reshape(H, W) < 0.8


def removal(order):
    """One measure of pytorch-grad-cam, by percentile."""
    return lambda percentile: metric.PerturbationConfidenceMetric(order(percentile, NoisyLinearImputer(noise=0.0)))


def main():
    """Writes the fixture."""
    most, least = removal(metric.RemoveMostRelevantFirst), removal(metric.RemoveLeastRelevantFirst)
    network = lambda x: torch.stack([logits(row[None].double() * STD + MEAN) for row in x])
    asked = ((PICTURE - MEAN) / STD).float(), MAP.reshape(1, 8, 8), [ClassifierOutputSoftmaxTarget(TARGET)], network
    combined = ROADCombined(PERCENTAGES)
    combined.morf_averager = metric.AveragerAcrossThresholds(most, PERCENTAGES)
    combined.lerf_averager = metric.AveragerAcrossThresholds(least, PERCENTAGES)
    curve = lambda order: [float(order(100 - p)(*asked, return_diff=False)[0]) for p in PERCENTAGES]
    fixture = {
        "versions": {name: metadata.version(name) for name in ["grad-cam", "torch", "numpy", "scipy"]},
        "most": curve(most),
        "least": curve(least),
        "road": float(combined(*asked)[0]),
        "hole": imputed(hole()),
        "scattered": imputed(scattered()),
    }
    OUT.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
