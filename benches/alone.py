"""Runs the peer's side of a single row in a separate process, so that peak memory covers that row only.

    python3 benches/alone.py network NAME BATCH WAY LAYOUT
    python3 benches/alone.py training NAME BATCH - LAYOUT
    python3 benches/alone.py onnx FILE SIZE
    python3 benches/alone.py method NAME CHOICE…
"""

import os
import sys

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def onnx(path, array):
    """A callable that runs the model with onnxruntime."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": array})


def network(name, batch, way, layout):
    import torch

    import methods
    import networks

    torch.set_num_threads(THREADS)
    size = next(size for known, size, _ in networks.ROWS if known == name)
    x = torch.rand(int(batch), *size).to(memory_format=methods.LAYOUTS[layout])
    return networks.call(methods.laid(networks.build(name), layout), x, way == "gradient")


def training(name, batch, _, layout):
    import torch

    import methods
    import networks

    torch.set_num_threads(THREADS)
    size = next(size for known, size, _ in networks.TRAINED if known == name)
    return networks.training(networks.build(name), torch.rand(int(batch), *size), methods.LAYOUTS[layout])


def method(name, *choice):
    import torch

    import methods

    torch.set_num_threads(THREADS)
    row = next(row for row in methods.rows() if row.name == name)
    call = row.peer(*(int(word) if word.isdigit() else word for word in choice))
    return lambda: call(False)


def main(what, *words):
    if what == "onnx":
        import numpy

        path, size = words
        onnx(path, numpy.random.rand(*map(int, size.split("x"))).astype(numpy.float32))()
    elif what in ("network", "training"):
        call = {"network": network, "training": training}[what](*words)
        call(), call()
    else:
        method(*words)()


if __name__ == "__main__":
    main(*sys.argv[1:])
