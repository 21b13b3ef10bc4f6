"""Pooling."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.node import Node
from fmapzip.onnx.ops.padding import Window, window
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_MAX: dict[int, Callable[..., Tensor]] = {
    1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d
}  # fmt: skip
_MEAN: dict[int, Callable[..., Tensor]] = {
    1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d
}  # fmt: skip


class Pooled(Operation):
    """What all pooling shares: padding before it, and room for the last window where sizes are rounded up."""

    def __init__(self, view: Window, ceil: bool, op: str) -> None:
        super().__init__(op)
        self._window, self._ceil = view, ceil

    def _padded(self, x: Tensor, value: float) -> Tensor:
        """Return `x` padded so that pooling without padding, sizes rounded down, visits every window."""
        view = self._window
        padding = view.padding(x.shape[2:])
        if self._ceil:
            for axis in range(view.rank):
                place = 2 * (view.rank - 1 - axis)
                padding[place + 1] += self._missing(axis, x.shape[2 + axis], padding[place], padding[place + 1])
        return functional.pad(x, padding, value=value) if any(padding) else x

    def _missing(self, axis: int, size: int, first: int, last: int) -> int:
        """Return how much the last window reaches beyond the padding; none, where it would begin in it."""
        view = self._window
        reach = (view.kernel[axis] - 1) * view.dilations[axis] + 1
        stride = view.strides[axis]
        steps = -(-(size + first + last - reach) // stride)
        if steps * stride >= size + first:
            steps -= 1
        return max(0, steps * stride + reach - size - first - last)


class MaxPool(Pooled):
    """The largest value of each window."""

    def __init__(self, view: Window, ceil: bool) -> None:
        super().__init__(view, ceil, "max_pool")

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima."""
        view = self._window
        lowest = float("-inf") if x.is_floating_point() else int(torch.iinfo(x.dtype).min)
        return _MAX[view.rank](self._padded(x, lowest), view.kernel, view.strides, 0, view.dilations)


class AveragePool(Pooled):
    """The mean of each window, over what is inside of the input, or of its padding too."""

    def __init__(self, view: Window, ceil: bool, count_padding: bool) -> None:
        super().__init__(view, ceil, "avg_pool")
        self._count_padding = count_padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the means."""
        view = self._window
        if (
            not self._ceil
            and set(view.dilations) == {1}
            and (self._count_padding or not any(view.padding(x.shape[2:])))
        ):
            return _MEAN[view.rank](view.pad(x), view.kernel, view.strides)
        total = self._sums(self._padded(x, 0.0))
        inside = torch.ones_like(x[:1, :1])
        if self._count_padding:
            inside = self._window.pad(inside, 1.0)
            counted = functional.pad(inside, _beyond(inside, self._padded(x[:1, :1], 0.0)))
        else:
            counted = self._padded(inside, 0.0)
        return total / self._sums(counted)

    def _sums(self, x: Tensor) -> Tensor:
        view = self._window
        if set(view.dilations) == {1}:
            # Means of whole windows: torch has no sum over windows.
            return _MEAN[view.rank](x, view.kernel, view.strides) * prod(view.kernel)
        for axis in range(view.rank):
            reach = (view.kernel[axis] - 1) * view.dilations[axis] + 1
            x = x.unfold(2 + axis, reach, view.strides[axis])[..., :: view.dilations[axis]].sum(-1)
        return x


class LpPool(Pooled):
    """The p-norm of each window."""

    def __init__(self, view: Window, ceil: bool, p: int) -> None:
        super().__init__(view, ceil, "lp_pool")
        self._p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return the norms."""
        x = self._padded(x, 0.0).abs().pow(self._p)
        view = self._window
        for axis in range(view.rank):
            reach = (view.kernel[axis] - 1) * view.dilations[axis] + 1
            x = x.unfold(2 + axis, reach, view.strides[axis])[..., :: view.dilations[axis]].sum(-1)
        return x.pow(1 / self._p)


class Global(Operation):
    """One value a channel."""

    def __init__(self, op: str, p: int = 2) -> None:
        super().__init__(op)
        self._p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return mean, maximum or norm over all spatial axes, which stay with a size of 1."""
        axes = tuple(range(2, x.ndim))
        if self.op == "mean":
            return x.mean(axes, keepdim=True)
        if self.op == "amax":
            return x.amax(axes, keepdim=True)
        return x.abs().pow(self._p).sum(axes, keepdim=True).pow(1 / self._p)


@operator("MaxPool", integers=True)
def max_pool(node: Node, build: Builder) -> Value:
    """Largest value of each window."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.unsupported("indices are not supported")
    made = build.module(node, MaxPool(_window(node), bool(node.attr("ceil_mode", 0))), node.input(0))
    return build.like(made, node.input(0))


@operator("AveragePool")
def average_pool(node: Node, build: Builder) -> Value:
    """Mean of each window."""
    layer = AveragePool(_window(node), bool(node.attr("ceil_mode", 0)), bool(node.attr("count_include_pad", 0)))
    return build.module(node, layer, node.input(0))


@operator("LpPool")
def lp_pool(node: Node, build: Builder) -> Value:
    """Norm of each window."""
    return build.module(node, LpPool(_window(node), bool(node.attr("ceil_mode", 0)), node.attr("p", 2)), node.input(0))


@operator("GlobalAveragePool")
def global_average_pool(node: Node, build: Builder) -> Value:
    """Mean of each channel."""
    return build.module(node, Global("mean"), node.input(0))


@operator("GlobalMaxPool")
def global_max_pool(node: Node, build: Builder) -> Value:
    """Largest value of each channel."""
    return build.module(node, Global("amax"), node.input(0))


@operator("GlobalLpPool")
def global_lp_pool(node: Node, build: Builder) -> Value:
    """Norm of each channel."""
    return build.module(node, Global("norm", node.attr("p", 2)), node.input(0))


def _window(node: Node) -> Window:
    kernel = node.attr("kernel_shape")
    if len(kernel) not in _MAX:
        raise node.unsupported(f"{len(kernel)} spatial axes are not supported")
    return window(node, kernel)


def _beyond(small: Tensor, large: Tensor) -> list[int]:
    """Return the padding at the ends that brings `small` to the size of `large`."""
    return [side for axis in range(small.ndim - 1, 1, -1) for side in (0, large.shape[axis] - small.shape[axis])]
