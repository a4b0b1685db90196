"""FAB and FAB-T of the package autoattack on a small network: tests/fixtures/fab.json, read by tests/numbers/fab.rs.

    python3 scripts/reference/fab.py > tests/fixtures/fab.json

`points`: the perturbation after some of the steps from the picture, by its first values and its norm. `distance`: that of the closest
adversarial example after all steps. `targeted`: that to each of the most likely other classes, by FAB-T. Weights and picture come from the
generator in tests/common/mod.rs. torch 2.15.0; autoattack 0.1, commit a392200 of https://github.com/fra31/auto-attack
"""

import json

import torch
from autoattack.fab_pt import FABAttack_PT
from torch import nn
from torch.nn import functional as F

from scores import uniform

CLASSES, RIVALS, STEPS, SHOWN = 12, 9, 20, [1, 2, 3, 5, 8, 13]
NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}


class Net(nn.Module):
    """conv, relu, conv, relu, flatten, linear."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3)
        self.conv2 = nn.Conv2d(6, 8, 3, 2)
        self.fc = nn.Linear(8 * 4 * 4, CLASSES)
        for i, p in enumerate(self.parameters()):
            scale = min((6.0 / max(p[0].numel(), 1)) ** 0.5, 1.0)
            p.data = (scale * uniform(i + 1, p.numel()).reshape(p.shape)).float()

    def forward(self, x):
        return self.fc(F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1))


class Recorded(FABAttack_PT):
    """FAB that keeps the points at which it takes gradients."""

    def get_diff_logits_grads_batch(self, imgs, la):
        self.points.append(imgs.clone())
        return super().get_diff_logits_grads_batch(imgs, la)


def length(d, norm):
    return d.norm(p={"linf": torch.inf, "l2": 2, "l1": 1}[norm]).item()


def main():
    net = Net()
    x = (0.5 + 0.45 * uniform(99, 3 * 12 * 12)).float().reshape(1, 3, 12, 12)
    logits = net(x)
    y = logits.argmax(1)
    answer = {"torch": torch.__version__, "logits": logits[0].tolist(), "steps": STEPS}
    for norm, name in NORMS.items():
        attack = Recorded(net, norm=name, n_iter=STEPS, eps=1e10, device="cpu")
        attack.points = []
        best = attack.attack_single_run(x, y) - x
        points = [(k, attack.points[k] - x) for k in SHOWN]
        attack.targeted = True
        towards = []
        for rank in range(2, RIVALS + 2):
            attack.target_class = rank
            towards.append(length(attack.attack_single_run(x, y, is_targeted=True) - x, norm))
        answer[norm] = {
            "points": [{"step": k, "length": length(d, norm), "first": d.flatten()[:12].tolist()} for k, d in points],
            "distance": length(best, norm),
            "classes": logits[0].argsort(descending=True)[1 : RIVALS + 1].tolist(),
            "targeted": towards,
        }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
