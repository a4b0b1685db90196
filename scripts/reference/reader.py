"""Trains models/small/reader.safetensors, which reads lines of letters, with PyTorch's CTC loss; writes tests/fixtures/ctc.json.

The pictures are drawn like those of `made:words` (src/data/synthetic/words.rs), with random letters instead of ten words; the first
three convolutions are initialized with the weights of `words`.

python3 scripts/reference/reader.py     (written with PyTorch 2.15, NumPy 2.4)
"""
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import ctc_loss, max_pool2d

ROOT = Path(__file__).parents[2]
LETTERS = "adegilnorstuy"
HEIGHT, WIDTH = 20, 96
rng = np.random.default_rng(0)


def strokes():
    """The strokes of each letter, parsed from the Rust source."""
    source = (ROOT / "src/data/synthetic/words.rs").read_text()
    table = source[source.index("const LETTERS") : source.index("/// A set of this many lines")]
    found = re.split(r"\(\s*'(\w)',", table)[1:]
    text = dict(zip(found[::2], found[1::2]))
    plain = lambda body: re.sub(r",\s*\]", "]", body[body.index("&") :].replace("&", ""))
    as_lists = lambda body: json.JSONDecoder().raw_decode(plain(body))[0]
    return {letter: as_lists(body) for letter, body in text.items()}


def smooth(p):
    at = lambda i: np.array(p[min(max(i, 0), len(p) - 1)])
    line = []
    for i in range(len(p) - 1):
        a, b, c, d = (at(i + k) for k in (-1, 0, 1, 2))
        line += [b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))) for t in np.arange(6) / 6]
    return line + [at(len(p) - 1)]


def curve(points):
    line, part = [], [points[0]]
    for before, p in zip(points, points[1:]):
        if p == before:
            line, part = line + smooth(part), []
        part.append(p)
    return np.array(line + smooth(part))


CURVES = {letter: [curve(s) for s in lines] for letter, lines in strokes().items()}
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5


def write(word):
    bell = lambda: rng.uniform(-0.866, 0.866, 4).sum()
    wide, tall = rng.uniform(5.5, 7.5), rng.uniform(10, 13)
    step, slant = wide + rng.uniform(2.6, 3.6), rng.uniform(-0.05, 0.2)
    step = min(step, (WIDTH - 3) / len(word))
    left = 2.5 + rng.uniform() * max(WIDTH - step * len(word) - 3, 0)
    top = rng.uniform(2.5, 17 - tall)
    radius, soft = rng.uniform(0.6, 1), rng.uniform(0.8, 1.3)
    paper = np.zeros((HEIGHT, WIDTH))
    for i, letter in enumerate(word):
        aside = np.array([left + step * i + 0.25 * bell(), top + 0.3 * bell()])
        low = int(max(aside[0] - 4, 0))
        y, x = Y[:, low : low + 18], X[:, low : low + 18]
        for line in CURVES[letter]:
            at = np.stack([aside[0] + wide * line[:, 0] + slant * tall * (0.5 - line[:, 1]), aside[1] + tall * line[:, 1]], 1)
            a, b = at[:-1, :, None, None], at[1:, :, None, None]
            d = b - a
            length = (d**2).sum(1)
            t = ((x - a[:, 0]) * d[:, 0] + (y - a[:, 1]) * d[:, 1]) / np.where(length == 0, 1, length)
            t = t.clip(0, 1)
            away = np.hypot(x - a[:, 0] - t * d[:, 0], y - a[:, 1] - t * d[:, 1]).min(0)
            ink = (0.5 + (radius - away) / soft).clip(0, 1)
            paper[:, low : low + 18] = np.maximum(paper[:, low : low + 18], ink)
    grain = rng.uniform(0, 0.06)
    noise = np.abs(rng.uniform(-0.866, 0.866, (4, HEIGHT, WIDTH)).sum(0))
    return (paper + grain * noise).clip(0, 1)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.strokes = nn.Conv2d(1, 16, 5, padding=2)
        self.parts = nn.Conv2d(16, 32, 3, padding=1)
        self.columns = nn.Conv2d(32, 48, 5, padding=(0, 2))
        self.letters = nn.Conv2d(48, 48, (1, 7), padding=(0, 3))
        self.sequence = nn.Conv2d(48, 1 + len(LETTERS), 1)

    def forward(self, x):
        x = max_pool2d(self.strokes((x - 0.12) / 0.28).relu(), 2)
        x = max_pool2d(self.parts(x).relu(), (2, 1))
        return self.sequence(self.letters(self.columns(x).relu()).relu())


def batch(count):
    words = ["".join(rng.choice(list(LETTERS), rng.integers(3, 9))) for _ in range(count)]
    pictures = torch.tensor(np.stack([write(w) for w in words])[:, None], dtype=torch.float32)
    return words, pictures


def numbers(words):
    return torch.tensor([LETTERS.index(letter) + 1 for word in words for letter in word])


def loss_of(scores, words):
    logs = scores.flatten(2).permute(2, 0, 1).log_softmax(2)
    steps = torch.full((len(words),), logs.shape[0])
    return ctc_loss(logs, numbers(words), steps, torch.tensor([len(w) for w in words]))


def read(scores):
    best = scores.flatten(2).argmax(1)
    collapsed = lambda row: "".join(LETTERS[c - 1] for c, before in zip(row, [0] + row) if c and c != before)
    return [collapsed(row) for row in best.tolist()]


def train(steps):
    torch.manual_seed(0)
    net = Reader()
    known = load_file(ROOT / "models/small/words.safetensors")
    own = net.state_dict()
    own |= {n: t for n, t in known.items() if n in own and t.shape == own[n].shape}
    net.load_state_dict(own)
    words, pictures = batch(2048)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in range(steps):
        chosen = rng.choice(len(words), 32, replace=False)
        loss = loss_of(net(pictures[chosen]), [words[i] for i in chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(step + 1, round(loss.item(), 4), flush=True)
    test, pictures = batch(200)
    with torch.no_grad():
        right = sum(a == b for a, b in zip(test, read(net(pictures))))
    print(f"{right} of 200 lines of random letters read correctly")
    save_file({n: t.half().contiguous() for n, t in net.state_dict().items()}, ROOT / "models/small/reader.safetensors")


def cases():
    """PyTorch's loss and its gradient with respect to the logits, in f64."""
    torch.manual_seed(1)
    made = []
    for classes, steps, target in [(3, 4, [1, 2]), (5, 6, [1, 1, 4]), (4, 5, []), (4, 3, [2, 2]), (4, 2, [2, 2]), (6, 12, [5, 1, 1, 3, 2]), (3, 1, [1])]:
        logits = (2 * torch.randn(classes, steps, dtype=torch.float64)).requires_grad_()
        logs = logits.T[:, None].log_softmax(2)
        loss = ctc_loss(logs, torch.tensor([target], dtype=torch.long), [steps], [len(target)], reduction="sum")
        gradient = torch.autograd.grad(loss, logits)[0] if loss.isfinite() else torch.zeros_like(logits)
        made.append({"target": target, "logits": logits.tolist(), "loss": loss.item() if loss.isfinite() else None, "gradient": gradient.tolist()})
    (ROOT / "tests/fixtures/ctc.json").write_text(json.dumps(made) + "\n")


torch.set_num_threads(1)
cases()
train(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
