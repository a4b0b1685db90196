"""MACO's pictures in the author's package horama: tests/fixtures/maco.json, read by tests/numbers/maco.rs.

    python3 scripts/reference/maco.py > tests/fixtures/maco.json

For given magnitudes and phases: the picture, and the gradient of Σ weight · picture with respect to the phases; then the magnitudes
of that picture's own Fourier coefficients before coloring. Phases, weights and magnitudes come from the generator in
tests/common/mod.rs. The color matrix is that of plugins/lib/priors.rhai, whose entries differ from horama's by up to 0.7 %.
torch 2.15.0, horama 0.3.0
"""

import json

import horama.common
import torch
from horama.maco_fv import maco_preconditioner

from scores import uniform

SIZES = [(12, 10), (7, 16)]
COLORS = torch.tensor([[0.5637, 0.5828, 0.5837], [0.1948, 0.0, -0.1948], [0.0430, -0.1081, 0.0649]])
horama.common.get_color_correlation_svd_sqrt = lambda device: COLORS


def case(h, w):
    half = (3, h, w // 2 + 1)
    count = half[0] * half[1] * half[2]
    phase = (3 * uniform(1, count)).float().reshape(half).requires_grad_()
    magnitude = (uniform(2, count).abs() + 0.1).float().reshape(half)
    weight = uniform(3, 3 * h * w).float().reshape(3, h, w)
    x = maco_preconditioner(magnitude, phase, (0.0, 1.0), "cpu")
    (x * weight).sum().backward()
    logit = x.detach().clamp(0.01, 0.99).logit()
    plain = torch.linalg.inv(COLORS).T @ logit.flatten(1)
    own = torch.fft.rfft2(plain.reshape(3, h, w)).abs()
    return {
        "size": [h, w],
        "picture": x.detach().flatten().tolist(),
        "gradient": phase.grad.flatten().tolist(),
        "magnitude": own.flatten().tolist(),
    }


if __name__ == "__main__":
    print(json.dumps({"torch": torch.__version__, "cases": [case(*size) for size in SIZES]}, indent=None))
