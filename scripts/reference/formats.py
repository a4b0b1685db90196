"""Writes tests/fixtures/formats/: small weight files saved by PyTorch, read by tests/numbers/formats.rs.

Value i of every tensor is i/4 - 1, which is exact in every type, unless its name says otherwise.

python3 scripts/reference/formats.py     (written with PyTorch 1.13)
"""
import collections
import io
import os
import zipfile
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parents[2] / "tests/fixtures/formats"


def values(*shape, dtype=torch.float32):
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (torch.arange(count) / 4 - 1).reshape(shape).to(dtype)


def state_dict(prefix=""):
    tensors = collections.OrderedDict()
    tensors[prefix + "conv.weight"] = values(2, 3, 2, 2)
    tensors[prefix + "conv.bias"] = values(2)
    tensors[prefix + "bn.num_batches_tracked"] = torch.tensor(7)
    tensors[prefix + "fc.weight"] = values(3, 4)
    return tensors


def save(name, what, **options):
    torch.save(what, FOLDER / name, **options)


def as_if_on(location, name, what, **options):
    """Saves with a storage location that may not exist on this machine."""
    torch.serialization.register_package(0, lambda storage: location, lambda storage, location: None)
    save(name, what, **options)
    torch.serialization._package_registry.pop(0)


def with_byteorder(name, order, what):
    """Adds the byte order, which newer versions of PyTorch record."""
    plain = io.BytesIO()
    torch.save(what, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(FOLDER / name, "w") as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
        new.writestr(zipfile.ZipInfo("archive/byteorder"), order)


class Code:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    save("zip.pt", state_dict())
    save("legacy.pt", state_dict(), _use_new_zipfile_serialization=False)
    for protocol in (3, 4, 5):
        save(f"protocol{protocol}.pt", state_dict(), pickle_protocol=protocol)

    network = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "best": 91.5,
        "names": ["a", ("b", None, True)],
        "state_dict": state_dict("module."),
        "optimizer": optimizer.state_dict(),
    }
    save("checkpoint.pt", checkpoint)
    save("checkpoint_legacy.pt", checkpoint, _use_new_zipfile_serialization=False)
    as_if_on("cuda:0", "cuda.pt", {"model": state_dict()})
    as_if_on("cuda:0", "cuda_legacy.pt", {"net": state_dict()}, _use_new_zipfile_serialization=False)

    base = values(4, 5)
    views = {
        "base": base,
        "tied": base,
        "transposed": base.t(),
        "part": base[1:3, 2:],
        "every_second": base[:, ::2],
        "permuted": values(2, 3, 4).permute(2, 0, 1),
        "expanded": values(3, 1).expand(3, 2),
        "channels_last": values(1, 2, 2, 3).to(memory_format=torch.channels_last),
        "scalar": values(),
        "empty": torch.zeros(0, 3),
    }
    save("views.pt", views)
    save("views_legacy.pt", views, _use_new_zipfile_serialization=False)

    types = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    numbers = {t: values(2, 3, dtype=getattr(torch, t)) for t in types[:4]}
    numbers |= {t: torch.tensor([0, 1, 2]).to(getattr(torch, t)) for t in types[4:]}
    numbers["int8"] = torch.tensor([-128, 0, 127], dtype=torch.int8)
    save("types.pt", numbers)
    save("types_legacy.pt", numbers, _use_new_zipfile_serialization=False)
    save("parameters.pt", {"weight": nn.Parameter(values(2, 2))})

    save("code.pt", {"weight": values(2), "extra": Code()})
    save("code_legacy.pt", Code(), _use_new_zipfile_serialization=False)
    save("module.pt", network)
    save("nothing.pt", {"epoch": 3, "lr": 0.1})
    save("tensor.pt", values(2))
    with_byteorder("little_endian.pt", "little", state_dict())
    with_byteorder("big_endian.pt", "big", state_dict())
    torch.jit.script(network).save(FOLDER / "script.pt")


main()
