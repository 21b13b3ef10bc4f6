"""The layers of a network as a chip sees them: weights, multiplications, loops, and rows that a row of output needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from fmapzip.torch.inputs import Inputs, call
from fmapzip.torch.preserve import evaluation_mode


@dataclass(frozen=True)
class Loops:
    """The sizes of a layer's loops, in the field's letters.

    Attributes
    ----------
    G, K, C : int
        Groups, and channels of output and of input in each.
    OY, OX, FY, FX : int
        Rows and columns of the output and of the kernel.
    SY, SX, DY, DX : int
        Steps of the kernel, and of what it reads.
    PY, PX : int
        Padding at each border.
    """

    G: int
    K: int
    C: int
    OY: int
    OX: int
    FY: int = 1
    FX: int = 1
    SY: int = 1
    SX: int = 1
    DY: int = 1
    DX: int = 1
    PY: int = 0
    PX: int = 0


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer, on one sample.

    Attributes
    ----------
    name : str
        As readers of taps are named.
    macs, weights : int
        Multiplications, and weights, each a byte.
    rows : int
        Rows of its input; 1 where it has none.
    kernel, stride : int
        Rows of input that a row of output reads, and how far the next one's are.
    input_values : int
    loops : Loops, optional
        None of a transposed convolution or one over more than two dimensions.
    """

    name: str
    macs: int
    weights: int
    rows: int
    kernel: int
    stride: int
    input_values: int
    loops: Loops | None = None


def layers(model: nn.Module, example: Inputs) -> dict[str, Layer]:
    """The layers that run on an example of one sample, by name; a second call of one ends in ``#2``.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU())
    >>> layers(net, torch.zeros(1, 3, 9, 9))["0"].macs
    3456
    """
    found: dict[str, Layer] = {}
    calls: dict[str, int] = {}

    def note(name: str, module: nn.Module, given: Any, out: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        called = name if calls[name] == 1 else f"{name}#{calls[name]}"
        found[called] = _layer(called, module, given[0], out)

    with _watching(model, note), evaluation_mode(model), torch.no_grad():
        call(model, example)
    return found


def _layer(name: str, module: Any, given: torch.Tensor, out: torch.Tensor) -> Layer:
    weight = module.weight
    transposed = getattr(module, "transposed", False)
    positions = given[:1, :1].numel() if transposed else out.numel() // out.shape[0] // weight.shape[0]
    spatial = isinstance(module, nn.modules.conv._ConvNd) and given.ndim > 3
    kernel = (module.kernel_size[0] - 1) * module.dilation[0] + 1 if spatial and not transposed else 1
    stride = module.stride[0] if spatial and not transposed else 1
    rows = prod(given.shape[2:-1]) if spatial else 1
    values, loops = given[0].numel(), _loops(module, positions, out)
    return Layer(name, positions * weight.numel(), weight.numel(), rows, kernel, stride, values, loops)


def _loops(module: Any, positions: int, out: torch.Tensor) -> Loops | None:
    if isinstance(module, nn.Linear):
        return Loops(1, module.out_features, module.in_features, 1, positions)
    if module.transposed or out.ndim > 4 or module.padding_mode != "zeros":
        return None
    sides = {"O": out.shape[2:], "F": module.kernel_size, "S": module.stride, "D": module.dilation}
    sides["P"] = _padding(module)
    one = {"O": 1, "F": 1, "S": 1, "D": 1, "P": 0}
    sizes = {
        letter + axis: int(size)
        for letter, given in sides.items()
        for axis, size in zip("YX", (one[letter], *given)[-2:], strict=True)
    }
    groups = module.groups
    return Loops(groups, module.out_channels // groups, module.in_channels // groups, **sizes)


def _padding(module: Any) -> tuple[int, ...]:
    """Zeros at each border; of an uneven number the smaller part."""
    if isinstance(module.padding, str):
        reach = zip(module.kernel_size, module.dilation, strict=True)
        return tuple((size - 1) * step // 2 if module.padding == "same" else 0 for size, step in reach)
    return tuple(module.padding)


@contextmanager
def _watching(model: nn.Module, note: Any) -> Iterator[None]:
    def hook(name: str) -> Any:
        return lambda module, given, out: note(name, module, given, out)

    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    handles = [m.register_forward_hook(hook(n)) for n, m in model.named_modules() if isinstance(m, kinds)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
