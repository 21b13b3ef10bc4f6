"""Operators that pick, order or scatter values by indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from fmapzip.onnx.host import as_numbers
from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


class Gather(Operation):
    """Slices of an axis, by indices of any shape."""

    def __init__(self, axis: int) -> None:
        super().__init__("index_select")
        self._axis = axis

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Return the slices."""
        axis = self._axis % x.ndim
        wanted = _not_negative(indices, x.shape[axis])
        taken = x.index_select(axis, wanted.reshape(-1))
        return taken.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


class GatherElements(Operation):
    """A value for each index."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self._axis = axis

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Return the values."""
        return x.gather(self._axis, _not_negative(indices, x.shape[self._axis]))


class GatherND(Operation):
    """Slices by tuples of indices."""

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Return the slices."""
        return x[tuple(indices.long().unbind(-1))]


class ScatterElements(Operation):
    """Values put where indices say."""

    def __init__(self, axis: int, reduction: str) -> None:
        super().__init__()
        self._axis, self._reduction = axis, reduction

    def forward(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        """Return `x` with the values in it."""
        wanted = _not_negative(indices, x.shape[self._axis])
        if self._reduction == "none":
            return x.scatter(self._axis, wanted, updates)
        return x.scatter_reduce(self._axis, wanted, updates, _REDUCTIONS[self._reduction])


class ScatterND(Operation):
    """Slices put where tuples of indices say."""

    def __init__(self, add: bool) -> None:
        super().__init__()
        self._add = add

    def forward(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        """Return `x` with the slices in it."""
        return x.index_put(tuple(indices.long().unbind(-1)), updates, accumulate=self._add)


class ArgExtreme(Operation):
    """The index of the largest or smallest value."""

    def __init__(self, op: str, axis: int, keep: bool, last: bool) -> None:
        super().__init__(op)
        self._axis, self._keep, self._last = axis, keep, last

    def forward(self, x: Tensor) -> Tensor:
        """Return the indices."""
        find = torch.argmax if self.op == "argmax" else torch.argmin
        if not self._last:
            return find(x, self._axis, self._keep)
        return x.shape[self._axis] - 1 - find(x.flip(self._axis), self._axis, self._keep)


class TopK(Operation):
    """The largest or smallest values, in order, and their indices."""

    def __init__(self, axis: int, largest: bool) -> None:
        super().__init__()
        self._axis, self._largest = axis, largest

    def forward(self, x: Tensor, count: object) -> tuple[Tensor, Tensor]:
        """Return values and indices; of equal values the first comes first."""
        values, indices = torch.sort(x, dim=self._axis, descending=self._largest, stable=True)
        (k,) = as_numbers(count)
        return values.narrow(self._axis, 0, k), indices.narrow(self._axis, 0, k)


class CumulativeSum(Operation):
    """Sums of all values before."""

    def __init__(self, axis: int, exclusive: bool, reverse: bool) -> None:
        super().__init__("cumsum")
        self._axis, self._exclusive, self._reverse = axis, exclusive, reverse

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        turned = x.flip(self._axis) if self._reverse else x
        sums = turned.cumsum(self._axis, dtype=x.dtype)
        sums = sums - turned if self._exclusive else sums
        return sums.flip(self._axis) if self._reverse else sums


class Trilu(Operation):
    """An upper or lower triangle."""

    def __init__(self, upper: bool, k: int) -> None:
        super().__init__()
        self._upper, self._k = upper, k

    def forward(self, x: Tensor) -> Tensor:
        """Return the triangle."""
        return x.triu(self._k) if self._upper else x.tril(self._k)


class Range(Operation):
    """Numbers from a start to a limit."""

    def forward(self, start: object, limit: object, delta: object) -> Tensor:
        """Return them."""
        (first,), (last,), (step,) = as_numbers(start), as_numbers(limit), as_numbers(delta)
        return torch.arange(first, last, step)


def _not_negative(indices: Tensor, size: int) -> Tensor:
    whole = indices.long()
    return torch.where(whole < 0, whole + size, whole)


@operator("Gather")
def gather(node: Node, build: Builder) -> Value:
    """Slices of an axis."""
    return build.module(node, Gather(node.attr("axis", 0)), node.input(0), node.input(1))


@operator("GatherElements")
def gather_elements(node: Node, build: Builder) -> Value:
    """A value for each index."""
    return build.module(node, GatherElements(node.attr("axis", 0)), node.input(0), node.input(1))


@operator("GatherND")
def gather_nd(node: Node, build: Builder) -> Value:
    """Slices by tuples of indices."""
    if node.attr("batch_dims", 0):
        raise node.unsupported("batch_dims is not supported")
    return build.module(node, GatherND(), node.input(0), node.input(1))


@operator("ScatterElements")
def scatter_elements(node: Node, build: Builder) -> Value:
    """Values put where indices say."""
    layer = ScatterElements(node.attr("axis", 0), node.attr("reduction", "none"))
    return build.module(node, layer, node.input(0), node.input(1), node.input(2))


@operator("ScatterND")
def scatter_nd(node: Node, build: Builder) -> Value:
    """Slices put where tuples of indices say."""
    reduction = node.attr("reduction", "none")
    if reduction not in ("none", "add"):
        raise node.unsupported(f"reduction {reduction!r} is not supported")
    return build.module(node, ScatterND(reduction == "add"), node.input(0), node.input(1), node.input(2))


@operator("ArgMax", "ArgMin")
def arg_extreme(node: Node, build: Builder) -> Value:
    """The index of the largest or smallest value."""
    keep, last = bool(node.attr("keepdims", 1)), bool(node.attr("select_last_index", 0))
    return build.module(node, ArgExtreme(node.op.lower(), node.attr("axis", 0), keep, last), node.input(0))


@operator("TopK")
def top_k(node: Node, build: Builder) -> list[Value]:
    """The largest or smallest values."""
    count = (node.attr("k"),) if node.version < 10 else build.numbers(node.input(1))
    pair = build.module(node, TopK(node.attr("axis", -1), bool(node.attr("largest", 1))), node.input(0), count)
    return [build.item(node, pair, i) for i in range(len(node.outputs))]


@operator("CumSum")
def cumulative_sum(node: Node, build: Builder) -> Value:
    """Sums of all values before."""
    axis = int(node.known(1).reshape(-1)[0])
    layer = CumulativeSum(axis, bool(node.attr("exclusive", 0)), bool(node.attr("reverse", 0)))
    return build.module(node, layer, node.input(0))


@operator("Trilu")
def trilu(node: Node, build: Builder) -> Value:
    """A triangle."""
    k = int(node.known(1, np.int64(0)).reshape(-1)[0])
    return build.module(node, Trilu(bool(node.attr("upper", 1)), k), node.input(0))


@operator("Range")
def range_(node: Node, build: Builder) -> Value:
    """Numbers from a start to a limit."""
    return build.module(node, Range(), *(build.numbers(node.input(i)) for i in range(3)))
