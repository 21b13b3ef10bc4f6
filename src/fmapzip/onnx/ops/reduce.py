"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder


def _prod(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


def _sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def _mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.mean(axes, keepdim=keep)


_FUNCTIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ReduceL1": ("norm", lambda x, axes, keep: _sum(x.abs(), axes, keep)),
    "ReduceL2": ("norm", lambda x, axes, keep: _sum(x * x, axes, keep).sqrt()),
    "ReduceLogSum": ("log_sum", lambda x, axes, keep: _sum(x, axes, keep).log()),
    "ReduceLogSumExp": ("logsumexp", torch.logsumexp),
    "ReduceMax": ("amax", torch.amax),
    "ReduceMean": ("mean", _mean),
    "ReduceMin": ("amin", torch.amin),
    "ReduceProd": ("prod", _prod),
    "ReduceSum": ("sum", _sum),
    "ReduceSumSquare": ("sum_square", lambda x, axes, keep: _sum(x * x, axes, keep)),
}


class Reduction(Operation):
    """A function over some axes, by default over all."""

    def __init__(self, name: str, axes: Sequence[int] | None, keep: bool) -> None:
        super().__init__(_FUNCTIONS[name][0])
        self._name, self._axes, self._keep = name, axes, keep

    def forward(self, x: Tensor) -> Tensor:
        """Return what is left."""
        axes = tuple(range(x.ndim)) if self._axes is None else tuple(self._axes)
        return _FUNCTIONS[self._name][1](x, axes, self._keep)  # type: ignore[no-any-return]


@operator(*_FUNCTIONS)
def reduction(node: Node, build: Builder) -> Value:
    """A function over axes."""
    axes = node.attr("axes")
    if axes is None and node.has(1):
        axes = [int(axis) for axis in node.known(1).reshape(-1)]
    if not axes:
        if node.attr("noop_with_empty_axes", 0):
            raise node.unsupported("noop_with_empty_axes without axes is not supported")
        axes = None
    return build.module(node, Reduction(node.op, axes, bool(node.attr("keepdims", 1))), node.input(0))
