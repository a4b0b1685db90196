"""Writes networks as `.pt2` files with their cards."""

from __future__ import annotations

import copy
import inspect
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Optional, Union

import torch
from torch import nn

from gradscope import _card
from gradscope._card import Labels, Numbers, Size
from gradscope._errors import ExportError

Example = Union[torch.Tensor, Sequence[int], tuple[torch.Tensor]]
"""Example input pictures, `(N, C, H, W)` or `(C, H, W)`, or just their shape."""

Output = Union[str, int]
"""The location of the class scores in a network's return value: a key, an attribute or an index."""

WRAP = """    class OfPicture(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net
        def forward(self, picture):
            return self.net(picture, ...)"""


def export(
    model: nn.Module,
    example: Example,
    path: Union[str, os.PathLike[str]],
    *,
    labels: Optional[Labels] = None,
    mean: Optional[Numbers] = None,
    std: Optional[Numbers] = None,
    size: Optional[Size] = None,
    crop: Union[float, int, None] = None,
    interpolation: Optional[str] = None,
    output: Optional[Output] = None,
) -> Path:
    """Writes a network to a `.pt2` file for gradscope, and its preprocessing and class names to a card next to it.

    The network itself is not modified: a copy is exported on the CPU, in evaluation mode and float32.

    Args:
        model: The network. It maps pictures `(N, C, H, W)` to class scores. If it returns an object with `logits`, as networks from
            transformers do, or a dict with `"logits"` or `"out"`, these are used.
        example: Example input pictures, or their shape. Only the shape matters.
        path: The file to write, ending with `.pt2`. The card is written to `NAME.card.json`.
        labels: Class names by index, or a dict such as `ImageFolder.class_to_idx`.
        mean: Mean for normalization, for pixels in [0, 1]. Without mean and std, gradscope uses ImageNet's and prints a note.
        std: Standard deviation for normalization, for pixels in [0, 1].
        size: Height and width of pictures, if they differ from those of `example`.
        crop: Center crop: a fraction of the shorter side, up to 1, or the shorter side in pixels before the crop.
        interpolation: How pictures are resized: `bilinear`, `bicubic`, `lanczos` or `nearest`.
        output: The location of the class scores in the network's return value: a key, an attribute or an index.

    Returns:
        The path of the file.

    Raises:
        ExportError: if the network cannot be exported, or if a value of the card is invalid. In that case, nothing is written.
    """
    target = Path(path)
    if target.suffix != ".pt2":
        raise ExportError(f'cannot write "{target}": the name must end with ".pt2"')
    if not target.parent.is_dir():
        raise ExportError(f'cannot write "{target}": there is no folder "{target.parent}"')
    pictures = _pictures(example, size)
    with prepared(_unwrapped(model)) as network:
        scores = _scores(network, pictures, output)
        card = _checked(_card.own(_unwrapped(model)), pictures, scores, labels, mean, std, crop, interpolation)
        if size is not None:
            card["size"] = list(pictures.shape[2:])
        _save(_program(network, pictures), target)
    if card:
        _card.write(_card.path_beside(target), card)
    return target


def _pictures(example: Example, size: Optional[Size]) -> torch.Tensor:
    """Two pictures of the example's shape: with only one, PyTorch would treat the batch size as a constant."""
    if isinstance(example, torch.Tensor):
        given = example
    elif isinstance(example, (tuple, list, torch.Size)) and all(isinstance(n, int) for n in example) and example:
        given = torch.rand([int(n) for n in example if isinstance(n, int)])
    elif isinstance(example, (tuple, list)) and len(example) == 1 and isinstance(example[0], torch.Tensor):
        given = example[0]
    else:
        what = f"{len(example)} inputs" if isinstance(example, (tuple, list)) else type(example).__name__
        raise ExportError(
            f"the example is {what}; expected one tensor of pictures (N, C, H, W), or its shape, as in (1, 3, 224, 224)."
            f" Wrap a network with several inputs in one that takes only the picture:\n{WRAP}"
        )
    if given.dim() == 3:
        given = given[None]
    if given.dim() != 4:
        raise ExportError(f"the example has the shape {tuple(given.shape)}; expected pictures (N, C, H, W)")
    given = given.detach()[:1].to("cpu", torch.float32)
    if size is not None and _card.sides(size) != tuple(given.shape[2:]):
        given = torch.rand(1, given.shape[1], *_card.sides(size))
    return given.repeat(2, 1, 1, 1)


def _unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile` and `DataParallel`."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@contextmanager
def prepared(model: nn.Module) -> Iterator[nn.Module]:
    """A copy of a network on the CPU, in evaluation mode and float32. A network that cannot be copied is modified and then restored."""
    try:
        network = copy.deepcopy(model)
    except Exception:  # deepcopy can raise anything, depending on the attributes
        parameters = [(parameter, parameter.data) for parameter in model.parameters()]
        buffers = [(module, dict(module._buffers)) for module in model.modules()]
        training = [(module, module.training) for module in model.modules()]
        forward = model.__dict__.get("forward")
        try:
            yield model.cpu().float().eval()
        finally:
            for parameter, data in parameters:
                parameter.data = data
            for module, own in buffers:
                module._buffers.update(own)
            for module, mode in training:
                module.training = mode
            model.__dict__.pop("forward", None)
            if forward is not None:
                model.__dict__["forward"] = forward
        return
    yield network.cpu().float().eval()


def _scores(network: nn.Module, pictures: torch.Tensor, output: Optional[Output]) -> torch.Tensor:
    """Makes a network return only its class scores, and returns the scores of `pictures`."""
    required = _required(network)
    if len(required) > 1:
        raise ExportError(
            f"the network takes the inputs {', '.join(required)}; gradscope needs one that takes only a picture. Wrap it:\n{WRAP}"
        )
    answer = _answer(network, pictures)
    pick = _picker(answer, output)
    if pick is None:
        return _as_scores(answer)
    inner, chosen = network.forward, pick

    def forward(picture: torch.Tensor) -> torch.Tensor:
        return chosen(inner(picture))

    network.forward = forward
    return _as_scores(chosen(answer))


def _answer(network: nn.Module, pictures: torch.Tensor) -> Any:
    """The return value of a network for two pictures or, if it accepts only one, for the first."""
    with torch.no_grad():
        try:
            return network(pictures)
        except Exception:  # whatever the network raises
            pass
        try:
            return network(pictures[:1])
        except Exception as error:
            raise ExportError(f"the network fails on a picture of shape {tuple(pictures[:1].shape)}: {error}") from error


def _required(network: nn.Module) -> list[str]:
    """The names of a network's required inputs."""
    try:
        parameters = inspect.signature(network.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind in kinds]


def _picker(answer: Any, output: Optional[Output]) -> Optional[Callable[[Any], torch.Tensor]]:
    """A function that extracts the class scores from a network's return value; `None` if it returns only the scores."""
    if isinstance(answer, torch.Tensor):
        if output is not None:
            raise ExportError(f"the network returns a single tensor; omit output={output!r}")
        return None

    def keyed(key: Output) -> Callable[[Any], torch.Tensor]:
        if isinstance(key, str) and not isinstance(answer, Mapping):
            return lambda value: getattr(value, key)
        return lambda value: value[key]

    if output is not None:
        try:
            if isinstance(keyed(output)(answer), torch.Tensor):
                return keyed(output)
        except (AttributeError, IndexError, KeyError, TypeError):
            pass
        raise ExportError(f"output={output!r} is not a tensor in the network's return value: {_described(answer)}")
    if isinstance(answer, Mapping):
        found = [key for key in ("logits", "out") if isinstance(answer.get(key), torch.Tensor)]
        tensors = [key for key, value in answer.items() if isinstance(value, torch.Tensor)]
    else:
        found = ["logits"] if isinstance(getattr(answer, "logits", None), torch.Tensor) else []
        parts = answer if isinstance(answer, (tuple, list)) else []
        tensors = [at for at, value in enumerate(parts) if isinstance(value, torch.Tensor)]
    chosen = found[:1] or (tensors if len(tensors) == 1 else [])
    if not chosen:
        raise ExportError(
            f"the network returns {_described(answer)}; specify which of these are the class scores, as in output={_first(tensors)!r}"
        )
    return keyed(chosen[0])


def _first(keys: Sequence[Output]) -> Output:
    return keys[0] if keys else "logits"


def _described(answer: Any) -> str:
    """Describes the return value of a network."""
    if isinstance(answer, Mapping):
        parts = {str(key): value for key, value in answer.items()}
    elif isinstance(answer, (tuple, list)):
        parts = {str(at): value for at, value in enumerate(answer)}
    else:
        return f"a {type(answer).__name__}"
    shown = [f"{key}: {tuple(v.shape) if isinstance(v, torch.Tensor) else type(v).__name__}" for key, v in parts.items()]
    return f"a {type(answer).__name__} ({', '.join(shown)})"


def _as_scores(scores: torch.Tensor) -> torch.Tensor:
    if scores.dim() < 2 or not scores.is_floating_point():
        raise ExportError(
            f"the network returns {scores.dtype} of shape {tuple(scores.shape)}; expected class scores (N, classes)"
        )
    return scores


def _checked(
    card: dict[str, Any],
    pictures: torch.Tensor,
    scores: torch.Tensor,
    labels: Optional[Labels],
    mean: Optional[Numbers],
    std: Optional[Numbers],
    crop: Union[float, int, None],
    interpolation: Optional[str],
) -> dict[str, Any]:
    """The values recorded in the network (`card`), overridden by the arguments."""
    channels, classes = pictures.shape[1], scores.shape[1]
    if (mean is None) != (std is None):
        raise ExportError("mean and std must be given together; give both or neither")
    if mean is not None and std is not None:
        card["mean"], card["std"] = _card.numbers("mean", mean, channels), _card.numbers("std", std, channels)
    elif any(len(card.get(key, [])) not in (0, 1, channels) for key in ("mean", "std")):
        card.pop("mean"), card.pop("std")
    if labels is not None:
        card["labels"] = _card.names(labels)
    own = card.get("labels", [])
    if own and len(own) != classes and not (classes == 1 and len(own) <= 2):
        raise ExportError(f"there are {len(own)} class names, but the network returns {classes} scores")
    if crop is not None:
        card["crop"] = crop
    if interpolation is not None:
        card["interpolation"] = interpolation
    return card


def _program(network: nn.Module, pictures: torch.Tensor) -> torch.export.ExportedProgram:
    """The graph of a network, for any batch size if possible, else for batches of one picture."""
    if isinstance(network, torch.jit.ScriptModule):
        return _of_script(network, pictures)
    try:
        batch = torch.export.Dim("batch", min=1, max=4096)
        return torch.export.export(network, (pictures,), dynamic_shapes=({0: batch},), strict=False)
    except Exception:  # PyTorch reports a fixed batch size in many ways
        pass
    try:
        program = torch.export.export(network, (pictures[:1],), strict=False)
    except Exception as error:
        raise ExportError(
            f"PyTorch cannot export this network: {error}\nIts forward() may have control flow that depends on the picture (if, for), which"
            " a graph cannot express. Remove it, or export the network to ONNX by tracing it with one picture:\n"
            f'torch.onnx.export(model.eval(), (torch.rand{tuple(pictures[:1].shape)},), "net.onnx", dynamo=False)'
        ) from error
    warnings.warn(
        "exported for batches of one picture, because forward() fixes the batch size, as len(x) and x.reshape(1, ...) do;"
        " use x.shape[0] to keep it dynamic",
        stacklevel=_stack_level(),
    )
    return program


def _stack_level() -> int:
    """The `stacklevel` at which the calling function's warnings point to the user's line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("gradscope."):
        level, frame = level + 1, frame.f_back
    return level


def _of_script(network: torch.jit.ScriptModule, pictures: torch.Tensor) -> torch.export.ExportedProgram:
    """The graph of a TorchScript program."""
    try:
        from torch._export.converter import TS2EPConverter

        converted = TS2EPConverter(network, (pictures[:1],), {}).convert().module()
        return torch.export.export(converted, (pictures[:1],), strict=False)
    except Exception as error:
        raise ExportError(
            f"this version of PyTorch cannot export this TorchScript program: {error}\nExport it to ONNX instead:\n"
            f'torch.onnx.export(model.eval(), (torch.rand{tuple(pictures[:1].shape)},), "net.onnx", dynamo=False)'
        ) from error


def _save(program: torch.export.ExportedProgram, path: Path) -> None:
    """Writes a program atomically."""
    partial = path.with_name(f".{path.stem}.tmp.pt2")
    try:
        torch.export.save(program, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
