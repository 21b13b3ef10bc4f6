"""Layers of quantized graphs as ONNX Runtime computes them: exact sums of integers, requantized in float32.

They read and return what the rest of the network does: real values that stand on a grid go in, whole numbers in float32
come out, and gradients pass the roundings. That ONNX Runtime computes so on x86 was found by comparing all pairs of
8-bit integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.node import Node
from fmapzip.onnx.ops.conv import FUNCTIONS
from fmapzip.onnx.ops.padding import Window, window
from fmapzip.onnx.ops.quantize import OnGrid, dequantize, grid, round_through
from fmapzip.onnx.registry import MICROSOFT, operator
from fmapzip.onnx.values import Array, Grid, Value

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_EXACT = 2**24  # up to here float32 holds every integer
_PART = 16.0


class Requantizing(OnGrid):
    """What ends in integers on a grid; `read` are the grids of the inputs."""

    def __init__(self, op: str, written: Grid, read: Sequence[Grid]) -> None:
        super().__init__(op, written)
        self.read = tuple(read)
        self._low, self._high = written.limits
        self._zero = int(written.zero_point)

    def _integers(self, x: Tensor, which: int) -> Tensor:
        """Return the integers of an input, less its zero point."""
        return round_through(x / float(self.read[which].scale))

    def _requantized(self, total: Tensor, scale: Tensor | float) -> Tensor:
        return round_through(total * scale).clamp(self._low - self._zero, self._high - self._zero) + self._zero


class IntegerProduct(Requantizing):
    """A convolution or linear layer of integers.

    Sums are exact: in float32 where they cannot leave its 24 bits, else of two parts of the weights in float64.

    Parameters
    ----------
    op : str
    product : callable
        Of integers and weights.
    read, written : Grid
        Of the input and the output.
    weight : ndarray
        Integers less their zero point, one row an output channel.
    weight_scale : ndarray of float32
        One, or one an output channel.
    bias : ndarray of int32, optional
        On the grid of the product.
    axis : int
        Of the output's channels.
    """

    multiplier: Tensor
    weight: Tensor
    bias: Tensor
    _product: Callable[[Tensor, Tensor], Tensor]

    def __init__(
        self,
        op: str,
        product: Callable[[Tensor, Tensor], Tensor],
        read: Grid,
        written: Grid,
        weight: Array,
        weight_scale: Array,
        bias: Array | None,
        axis: int,
    ) -> None:
        super().__init__(op, written, [read])
        self._product, self._axis = product, axis
        scale = np.float32(read.scale) * weight_scale.astype(np.float32) / np.float32(written.scale)
        self.register_buffer("multiplier", torch.from_numpy(np.atleast_1d(scale)), persistent=False)
        self.register_buffer("weight", torch.from_numpy(weight.astype(np.float32)), persistent=False)
        added = np.zeros(len(weight), np.int64) if bias is None else bias.astype(np.int64)
        self.register_buffer("bias", torch.from_numpy(added.astype(np.float64)), persistent=False)
        low, high = read.limits
        most = max(high - int(read.zero_point), int(read.zero_point) - low)
        rows = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(1) * most
        self._fits = bool((rows + np.abs(added)).max(initial=0) < _EXACT)

    def forward(self, x: Tensor) -> Tensor:
        """Return the integers."""
        q = self._integers(x, 0)
        shape = [-1 if i == self._axis % x.ndim else 1 for i in range(x.ndim)]
        if self._fits:
            total = self._product(q, self.weight) + self.bias.float().reshape(shape)
        else:
            high = torch.floor(self.weight / _PART)
            wide = self._product(q, high).double() * _PART + self._product(q, self.weight - high * _PART).double()
            total = (wide + self.bias.reshape(shape)).float()
        return self._requantized(total, self.multiplier.reshape(shape))


class IntegerSum(Requantizing):
    """The sum of two tensors of integers.

    Parameters
    ----------
    read : sequence of Grid
        Of the two.
    written : Grid
        Of the sum.
    unsigned : bool
        Signed integers are added as unsigned ones, 128 larger, which rounds otherwise.
    """

    def __init__(self, read: Sequence[Grid], written: Grid, unsigned: bool) -> None:
        super().__init__("quantized_add", written, read)
        shift = 128 if unsigned and written.dtype == np.int8 else 0
        self._shift, self._zeros = shift, [int(each.zero_point) + shift for each in read]
        first, second = (float(np.float32(each.scale) / np.float32(written.scale)) for each in read)
        self._ratios = (first, second)
        # Fused multiply-adds, as the compiler makes them: one rounding each.
        zeros = np.float32(first * self._zeros[0] + float(np.float32(second * self._zeros[1])))
        self._rest = float(np.float32(self._zero + shift) - zeros)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the integers."""
        total: Any = self._rest
        for which, x in ((1, b), (0, a)):
            q = self._integers(x, which) + self._zeros[which]
            total = (q.double() * self._ratios[which] + total).float()
        return (round_through(total) - self._shift).clamp(self._low, self._high)


class IntegerTimes(Requantizing):
    """The product of two tensors of integers, value by value."""

    def __init__(self, read: Sequence[Grid], written: Grid) -> None:
        super().__init__("quantized_mul", written, read)
        scale = np.float32(read[0].scale) * np.float32(read[1].scale) / np.float32(written.scale)
        self._scale = float(scale)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the integers."""
        product = self._integers(a, 0) * self._integers(b, 1)
        return round_through(product * self._scale + self._zero).clamp(self._low, self._high)


class IntegerMean(Requantizing):
    """The mean of each channel of integers."""

    def __init__(self, read: Grid, written: Grid) -> None:
        super().__init__("quantized_mean", written, [read])

    def forward(self, x: Tensor) -> Tensor:
        """Return the integers."""
        count = x[0, 0].numel()
        total = self._integers(x, 0).double().sum(tuple(range(2, x.ndim)), keepdim=True).float()
        scale = np.float32(self.read[0].scale) / (np.float32(self.grid.scale) * np.float32(count))
        return self._requantized(total, float(scale))


class Convolve:
    """A convolution as a function of input and weights."""

    def __init__(self, view: Window, groups: int) -> None:
        self._window, self._groups = view, groups

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the sums."""
        view = self._window
        return FUNCTIONS[view.rank](view.pad(x), weight, None, view.strides, 0, view.dilations, self._groups)


def convolution(node: Node, build: Builder, x: Value, weight: Weights, bias: Array | None, written: Grid) -> Value:
    """Write down a convolution of integers; `node` has its attributes."""
    view = window(node, weight.integers.shape[2:])
    product = Convolve(view, node.attr("group", 1))
    assert x.grid is not None
    layer = IntegerProduct(f"conv{view.rank}d", product, x.grid, written, weight.integers, weight.scale, bias, axis=1)
    return build.integers(build.module(node, layer, x))


def matrix_product(
    node: Node, build: Builder, x: Value, weight: Weights, bias: Array | None, written: Grid, alpha: float = 1.0
) -> Value:
    """Write down a linear layer of integers, whose weights are [out, in]."""
    assert x.grid is not None
    scale = np.float32(alpha) * weight.scale.astype(np.float32)
    layer = IntegerProduct("linear", functional.linear, x.grid, written, weight.integers, scale, bias, axis=-1)
    return build.integers(build.module(node, layer, x))


class Weights:
    """Constant integers less their zero point, with the scale of each row or of all."""

    def __init__(self, stored: Array, found: Grid, axis: int = 0) -> None:
        shape = [-1 if i == axis else 1 for i in range(stored.ndim)]
        zero = found.zero_point.astype(np.int32).reshape([] if found.per_tensor else shape)
        self.integers: Array = stored.astype(np.int32) - zero
        self.scale: Array = found.scale.reshape([] if found.per_tensor else [-1])

    def turned(self) -> Weights:
        """Return the weights of a matrix product the other way round."""
        self.integers = self.integers.T
        return self


@operator("QLinearConv", integers=True)
def qlinear_conv(node: Node, build: Builder) -> Value:
    """Convolution of integers."""
    x = read_integers(node, build, 0)
    weight = Weights(node.known(3), grid(node, 4, 5, 0))
    bias = node.known(8) if node.has(8) else None
    return convolution(node, build, x, weight, bias, grid(node, 6, 7, 1))


@operator("QLinearMatMul", integers=True)
def qlinear_matmul(node: Node, build: Builder) -> Value:
    """Product of matrices of integers."""
    matrix = node.known(3)
    if matrix.ndim != 2:
        raise node.unsupported("its second factor is no constant matrix")
    weight = Weights(matrix, grid(node, 4, 5, 1), axis=1).turned()
    return matrix_product(node, build, read_integers(node, build, 0), weight, None, grid(node, 6, 7, 1))


@operator("QGemm", domain=MICROSOFT, integers=True)
def qgemm(node: Node, build: Builder) -> Value:
    """General product of matrices of integers."""
    if node.attr("transA", 0) or not node.has(7):
        raise node.unsupported("a transposed first factor, or a real-valued output, is not supported")
    turned = bool(node.attr("transB", 0))
    weight = Weights(node.known(3), grid(node, 4, 5, 0), axis=0 if turned else 1)
    bias = node.known(6) if node.has(6) else None
    written = grid(node, 7, 8, 1)
    found = weight if turned else weight.turned()
    return matrix_product(node, build, read_integers(node, build, 0), found, bias, written, node.attr("alpha", 1.0))


@operator("QLinearAdd", "QLinearMul", domain=MICROSOFT, integers=True)
def qlinear_pair(node: Node, build: Builder) -> Value:
    """Sum or product of integers, value by value."""
    return pair(node, build, read_integers(node, build, 0), read_integers(node, build, 3), grid(node, 6, 7, 1))


def pair(node: Node, build: Builder, a: Value, b: Value, written: Grid) -> Value:
    """Write down a sum or product of two tensors of integers."""
    assert a.grid is not None
    assert b.grid is not None
    grids = [a.grid, b.grid]
    if node.op in ("Mul", "QLinearMul"):
        return build.integers(build.module(node, IntegerTimes(grids, written), a, b))
    # ONNX Runtime makes signed integers between Q and DQ unsigned on x86.
    return build.integers(build.module(node, IntegerSum(grids, written, unsigned=node.op == "Add"), a, b))


@operator("QLinearGlobalAveragePool", domain=MICROSOFT, integers=True)
def qlinear_global_average_pool(node: Node, build: Builder) -> Value:
    """Mean of each channel."""
    if node.attr("channels_last", 0):
        raise node.unsupported("channels_last is not supported")
    return mean(node, build, read_integers(node, build, 0), grid(node, 3, 4, 1))


def mean(node: Node, build: Builder, x: Value, written: Grid) -> Value:
    """Write down the mean of each channel of integers."""
    assert x.grid is not None
    return build.integers(build.module(node, IntegerMean(x.grid, written), x))


def read_integers(node: Node, build: Builder, index: int) -> Value:
    """Return the real values of the integers at an input, which scale and zero point follow."""
    found = grid(node, index + 1, index + 2, 1)
    if not found.per_tensor:
        raise node.unsupported("a scale a channel of the input is not supported")
    x = node.input(index)
    if x.constant is not None:
        real = (x.constant.astype(np.float32) - np.float32(found.zero_point)) * found.scale
        return Value(x.name, constant=real.astype(np.float32), grid=found, stored=x.constant)
    return dequantize(node, build, x, found)
