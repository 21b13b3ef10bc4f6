"""Arithmetic on shapes: small integers that are computed beside the tensors, with NumPy.

Sizes stay plain (or, under torch.export, symbolic) integers this way, so that no shape is read back from a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fmapzip.onnx.node import Node
from fmapzip.onnx.values import Array
from fmapzip.torch.operation import Operation

Function = Callable[..., Any]


def as_array(values: Sequence[Any]) -> Array:
    """Return sizes as an array: int64, or of objects where some are symbolic."""
    plain = all(type(value) is int for value in values)
    return np.array(values, np.int64 if plain else object)


def as_numbers(values: Any) -> list[Any]:
    """Return an array or a sequence of numbers as a flat list of Python's."""
    return list(np.asarray(values).reshape(-1).tolist())


class Shape(Operation):
    """The sizes of a tensor, as an array; with a range of axes."""

    def __init__(self, start: int, end: int | None) -> None:
        super().__init__("shape")
        self._range = slice(start, end)

    def forward(self, x: Tensor) -> Array:
        """Return the sizes."""
        return as_array(tuple(x.shape)[self._range])


class Size(Operation):
    """The number of values of a tensor."""

    def __init__(self) -> None:
        super().__init__("size")

    def forward(self, x: Tensor) -> Array:
        """Return it as an array of no dimension."""
        return as_array([x.numel()]).reshape(())


class ToTensor(Operation):
    """An array as a tensor."""

    def __init__(self) -> None:
        super().__init__("shape")

    def forward(self, values: Array) -> Tensor:
        """Return a tensor of int64, or of the array's type."""
        array = np.asarray(values)
        return torch.tensor(array.tolist(), dtype=torch.from_numpy(np.zeros(1, _plain(array))).dtype)


class FromTensor(Operation):
    """A small tensor as an array."""

    def __init__(self) -> None:
        super().__init__("shape")

    def forward(self, values: Tensor) -> Array:
        """Return its values."""
        return np.array(values.tolist())


class OnHost(Operation):
    """A function of arrays; constants among its arguments are bound."""

    def __init__(self, function: Function, arguments: Sequence[Array | None], places: Sequence[int]) -> None:
        super().__init__("shape")
        self._function, self._arguments, self._places = function, list(arguments), list(places)

    def forward(self, *values: Array) -> Any:
        """Return what the function gives."""
        arguments = list(self._arguments)
        for place, value in zip(self._places, values, strict=True):
            arguments[place] = value
        return np.asarray(self._function(*arguments))


def _plain(array: Array) -> np.dtype[Any]:
    return np.dtype(np.int64) if array.dtype == object else array.dtype


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f" or b.dtype.kind == "f":
        return np.asarray(a / b)
    if object in (a.dtype, b.dtype):
        return np.asarray(a // b)  # symbolic sizes, which are not negative
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)))


def _cast(node: Node) -> Function:
    import onnx

    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attr("to")))

    def cast(x: Array) -> Array:
        return x if x.dtype == object and dtype.kind == "i" else x.astype(dtype)

    return cast


def _axes(node: Node) -> Function:
    fixed = node.attr("axes")

    def unsqueeze(x: Array, axes: Array | None = None) -> Array:
        return np.expand_dims(x, tuple(as_numbers(axes if fixed is None else fixed)))

    def squeeze(x: Array, axes: Array | None = None) -> Array:
        chosen = axes if fixed is None else fixed
        return np.squeeze(x, None if chosen is None else tuple(as_numbers(chosen)))

    return unsqueeze if node.op == "Unsqueeze" else squeeze


def _slice(node: Node) -> Function:
    fixed = [node.attr("starts"), node.attr("ends"), node.attr("axes")]

    def cut(x: Array, *given: Array | None) -> Array:
        starts, ends, axes, steps = [*given, None, None, None, None][:4] if given else [*fixed, None]
        starts, ends = as_numbers(starts), as_numbers(ends)
        chosen = range(len(starts)) if axes is None else as_numbers(axes)
        each = [1] * len(starts) if steps is None else as_numbers(steps)
        index = [slice(None)] * x.ndim
        for axis, start, end, step in zip(chosen, starts, ends, each, strict=True):
            index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
        return x[tuple(index)]

    return cut


def _reduce(function: Function) -> Callable[[Node], Function]:
    def make(node: Node) -> Function:
        fixed, keep = node.attr("axes"), bool(node.attr("keepdims", 1))

        def reduce(x: Array, axes: Array | None = None) -> Array:
            chosen = axes if fixed is None else fixed
            return np.asarray(function(x, axis=None if chosen is None else tuple(as_numbers(chosen)), keepdims=keep))

        return reduce

    return make


def _filled(node: Node) -> Function:
    value = node.attr("value", np.zeros(1, np.float32))
    return lambda shape: np.full(as_numbers(shape), value.reshape(-1)[0], value.dtype)


def _same(function: Function) -> Callable[[Node], Function]:
    return lambda node: function


def _reshape(x: Array, shape: Array) -> Array:
    return x.reshape(as_numbers(shape))


def _all(function: Function) -> Function:
    def over(*values: Array) -> Array:
        result = values[0]
        for value in values[1:]:
            result = function(result, value)
        return np.asarray(result)

    return over


HOST: dict[str, Callable[[Node], Function]] = {
    "Add": _same(np.add),
    "Cast": _cast,
    "Ceil": _same(np.ceil),
    "Concat": lambda node: lambda *values: np.concatenate(values, axis=node.attr("axis", 0)),
    "ConstantOfShape": _filled,
    "Div": _same(_divide),
    "Equal": _same(np.equal),
    "Expand": _same(lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(as_numbers(shape))))),
    "Floor": _same(np.floor),
    "Gather": lambda node: lambda x, index: np.take(x, np.asarray(index, np.int64), axis=node.attr("axis", 0)),
    "Greater": _same(np.greater),
    "Identity": _same(lambda x: x),
    "Less": _same(np.less),
    "Max": _same(_all(np.maximum)),
    "Min": _same(_all(np.minimum)),
    "Mod": _same(np.mod),
    "Mul": _same(np.multiply),
    "Neg": _same(np.negative),
    "Range": _same(lambda start, limit, delta: np.arange(start.item(), limit.item(), delta.item())),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _same(_reshape),
    "Slice": _slice,
    "Squeeze": _axes,
    "Sub": _same(np.subtract),
    "Unsqueeze": _axes,
    "Where": _same(np.where),
}
"""Operators that work on shapes too, each with what makes its function from a node."""
