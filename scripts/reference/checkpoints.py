"""Writes tests/fixtures/checkpoints/: checkpoints as training programs save them, and PyTorch's scores for their weights.

All contain the same tiny network (tiny.rhai), whose scores for one picture are compared by tests/numbers/formats.rs; averaged
copies and teachers have different weights and therefore different scores.

python3 scripts/reference/checkpoints.py     (written with PyTorch 2.15, NumPy 2.4, Python 3.11)
"""
import argparse
import collections
import copy
import datetime
import decimal
import enum
import fractions
import functools
import json
import pathlib
import unittest.mock
import uuid
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parents[2] / "tests/fixtures/checkpoints"


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def tiny(seed):
    torch.manual_seed(seed)
    net = Tiny().eval()
    with torch.no_grad():
        net.features[1].running_mean.normal_()
        net.features[1].running_var.uniform_(0.5, 2)
        net.fc.weight.mul_(3)
    return net


PICTURE = (torch.arange(64) % 11 / 10).reshape(1, 1, 8, 8)


def scores(net):
    return [round(v, 6) for v in net(PICTURE)[0].tolist()]


class Mode(enum.Enum):
    FAST = 1


class Ordered(collections.OrderedDict):
    pass


class Slots:
    __slots__ = ("a", "b")


class Config(dict):
    def __init__(self, **rest):
        super().__init__(**rest)
        self.__dict__["frozen"] = True


class Meter:
    def __init__(self):
        self.values, self.itself = [0.5, float("nan")], self

    def update(self):
        pass


class Made:
    """An object pickled as a call with arguments, with state, list items and dict items."""

    def __init__(self, *_, **__):
        pass

    def __reduce__(self):
        return Made, (1, "a"), {"state": 2}, iter([1, 2]), iter([("key", 3)])

    def extend(self, _):
        pass

    append = extend

    def __setitem__(self, *_):
        pass


class WithKeywords:
    def __new__(cls, *, a):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"a": 1}


def named():
    pass


def everything(protocol):
    """The objects that training programs save alongside weights."""
    net = tiny(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    net(PICTURE).sum().backward()
    optimizer.step()
    slots, circle = Slots(), []
    slots.a, slots.b = 1, torch.ones(2)
    circle.append(circle)
    beside = {
        "args": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("x"), inner=argparse.Namespace(a=None)),
        "counter": collections.Counter("abca"),
        "history": collections.defaultdict(list, loss=[1.0, 0.5]),
        "nested": collections.defaultdict(functools.partial(collections.defaultdict, float)),
        "ordered": Ordered(a=1),
        "config": Config(lr=0.1),
        "deque": collections.deque([1, 2], maxlen=3),
        "best": np.float64(91.7),
        "step": np.int64(7),
        "confusion": np.arange(6).reshape(2, 3),
        "words": np.array(["a", None], dtype=object),
        "rng": {"numpy": np.random.RandomState(0).get_state()[:1], "torch": torch.get_rng_state()[:16]},
        "date": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
        "took": datetime.timedelta(hours=1),
        "path": pathlib.PurePosixPath("/x"),
        "mode": Mode.FAST,
        "call": functools.partial(named, 1),
        "function": named,
        "class": Meter,
        "meter": Meter(),
        "bound": Meter().update,
        "made": Made(),
        "size": torch.Size([1, 2]),
        "dtype": torch.bfloat16,
        "device": torch.device("cuda:0"),
        "generator": torch.Generator().get_state()[:16],
        "sets": [{1, 2}, frozenset("a"), set()],
        "bytes": [b"\x00\xff", bytearray(b"ab"), b""],
        "numbers": [2**70, -(2**70), 2**200, 1j, decimal.Decimal("0.1"), fractions.Fraction(1, 3), True, None, -1],
        "others": [range(3), slice(1, 2), Ellipsis, uuid.UUID(int=1), "ünïcode \n 'x'"],
        "circle": circle,
        "complex": torch.ones(2, dtype=torch.complex64),
    }
    if protocol >= 2:
        beside["slots"] = slots
        beside["keywords"] = WithKeywords(a=1)
        beside["scheduler"] = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.ones(1)], lr=0.1), 1)
    if protocol >= 4:
        beside["surrogate"] = "\udc80.pth"
    before = {name: beside.pop(name) for name in list(beside)[::2]}
    return {**before, "state_dict": tiny(1).state_dict(), "optimizer": optimizer.state_dict(), **beside}


def prefixed(prefix, net, inner=False):
    rename = (lambda n: n.replace("features.", "features.module.")) if inner else (lambda n: n)
    return {prefix + rename(name): tensor for name, tensor in net.state_dict().items()}


def save(name, what, legacy=False, protocol=2):
    torch.save(what, FOLDER / name, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)


def objects():
    for protocol in (2, 4, 5):
        save(f"everything{protocol}.pth", everything(protocol), protocol=protocol)
    for protocol in (1, 2, 4):
        save(f"everything{protocol}_legacy.pth", everything(protocol), legacy=True, protocol=protocol)
    net = tiny(1)
    save("module.pth", net)
    # The legacy format stores the source code of modules; PyTorch's own should not end up in the fixtures.
    with unittest.mock.patch("inspect.getsourcelines", lambda of: ([f"class {of.__name__}: ...\n"], 0)):
        save("module_legacy.pth", net, legacy=True)
    save("parallel.pth", {"net": nn.DataParallel(net), "best": 0.5}, protocol=4)
    save("yolo.pt", {"epoch": -1, "ema": tiny(2).half(), "model": copy.deepcopy(net), "updates": 3})
    save("ordered.pth", {"model": Ordered(net.state_dict())})
    state = net.state_dict()
    state["fc.bias"] = nn.Parameter(state["fc.bias"])
    state["fc.bias"].tag = "an attribute of its own"
    save("attribute.pth", state)
    save("sparse.pth", {**net.state_dict(), "fc.weight": net.fc.weight.detach().to_sparse()})


def prefixes():
    net, average = tiny(1), tiny(2)
    for i, prefix in enumerate(["model.", "module.model.", "net._orig_mod.module.", "a.b.c.", "backbone_", "_forward_module."]):
        save(f"prefix{i}.pth", {"state_dict": prefixed(prefix, net)})
    save("inner.pth", prefixed("", net, inner=True))
    save("outer_and_inner.pth", {"state_dict": prefixed("model._orig_mod.", net, inner=True)})
    save("averaged.pth", torch.optim.swa_utils.AveragedModel(net).state_dict())
    loss = {"loss_fn.weight": torch.ones(3), "teacher.conv.weight": torch.ones(2, 1), "train_acc.total": torch.ones(1)}
    save("lightning.ckpt", {"state_dict": {**prefixed("model.", net), **loss}, "loops": {}, "lr_schedulers": []})
    save("beside.pth", {**net.state_dict(), **loss, "epoch": torch.tensor(3), **prefixed("ema.", average)} | {"train_acc.total": torch.tensor(3)})
    save("flat_ema.pth", {**prefixed("ema_model.module.", average), **prefixed("model.", net), "step": torch.tensor(1)})
    save_file(prefixed("model.", net), FOLDER / "prefix.safetensors")


def several():
    net, average = tiny(1), tiny(2)
    save("ema_first.pth", {"model_ema": average.state_dict(), "model": net.state_dict()})
    save("ema_state_dict.pth", {"ema_state_dict": prefixed("module.", average), "state_dict": prefixed("module.", net)})
    save("generator.pth", {"discriminator": {"conv.weight": torch.ones(2), "conv.bias": torch.ones(2)}, "generator": net.state_dict()})
    save("only_ema.pth", {"model": {"other.weight": torch.ones(2), "other.bias": torch.ones(2)}, "ema": average.state_dict()})
    save("list.pth", {"models": [net.state_dict(), average.state_dict()]})


def misfits():
    net = tiny(1)
    save("surplus.pth", {**net.state_dict(), "aux.weight": torch.ones(3, 2)})
    save("surplus_below.pth", {"state_dict": {**prefixed("model.", net), "model.aux.weight": torch.ones(3, 2)}})
    state = net.state_dict()
    del state["features.1.running_var"]
    save("missing.pth", {"model": state})
    save("head.pth", {"model": {**net.state_dict(), "fc.weight": torch.ones(5, 2), "fc.bias": torch.ones(5)}})


def shards():
    folder = FOLDER / "shards"
    folder.mkdir(exist_ok=True)
    names = list(tiny(1).state_dict())
    parts = [names[:2], names[2:5], names[5:]]
    for ending, stem in [("safetensors", "model"), ("bin", "pytorch_model")]:
        where = {}
        for i, part in enumerate(parts):
            file = f"{stem}-{i + 1:05}-of-{len(parts):05}.{ending}"
            tensors = {name: tiny(1).state_dict()[name].contiguous() for name in part}
            save_file(tensors, folder / file) if ending == "safetensors" else torch.save(tensors, folder / file)
            where |= {name: file for name in part}
        index = {"metadata": {"total_size": 1}, "weight_map": where}
        (folder / f"{stem}.{ending}.index.json").write_text(json.dumps(index, indent=1) + "\n")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    objects()
    prefixes()
    several()
    misfits()
    shards()
    told = {"network": scores(tiny(1)), "average": scores(tiny(2)), "half": scores(tiny(2).half().float())}
    (FOLDER / "scores.json").write_text(json.dumps(told) + "\n")


main()
