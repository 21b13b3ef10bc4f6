"""Between real values and the 8-bit integers of quantized graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor

from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Array, Grid, Value
from fmapzip.quantize import NETWORK, QuantParams
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_BYTES = ("uint8", "int8")


def round_through(x: Tensor) -> Tensor:
    """Return `x` rounded half to even; its gradient is that of the identity."""
    return x + (x.round() - x).detach()  # exact: the difference of a float and its rounding is a float


class OnGrid(Operation):
    """What knows a grid: its scales and zero points as buffers that broadcast."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, op: str, grid: Grid) -> None:
        super().__init__(op)
        self.grid = grid
        self.register_buffer("scale", torch.from_numpy(np.array(grid.scale, np.float32)), persistent=False)
        self.register_buffer("zero_point", torch.from_numpy(grid.zero_point.astype(np.float32)), persistent=False)

    def _along_axis(self, values: Tensor, rank: int) -> Tensor:
        if self.grid.per_tensor:
            return values.reshape(())
        return values.reshape([-1 if i == self.grid.axis % rank else 1 for i in range(rank)])


class Quantize(OnGrid):
    """Real values to whole numbers on a grid, in float32."""

    def __init__(self, grid: Grid) -> None:
        super().__init__("quantize", grid)

    def forward(self, x: Tensor) -> Tensor:
        """Return the integers."""
        scale, zero_point = (self._along_axis(values, x.ndim) for values in (self.scale, self.zero_point))
        low, high = self.grid.limits
        return (round_through(x / scale) + zero_point).clamp(low, high)


class Dequantize(OnGrid):
    """Whole numbers on a grid to the real values that they stand for."""

    def __init__(self, grid: Grid) -> None:
        super().__init__("dequantize", grid)
        self.quantizer = _quantizer(grid)

    def forward(self, q: Tensor) -> Tensor:
        """Return the real values."""
        scale, zero_point = (self._along_axis(values, q.ndim) for values in (self.scale, self.zero_point))
        return (q.float() - zero_point) * scale


def _quantizer(grid: Grid) -> QuantParams | None:
    """Return a grid as fmapzip's quantizers have it; None where it is not of 8 bits, or a grid a channel.

    Integers whose zero point is the lowest of them are 0 to 255, whatever their type.
    """
    if not grid.per_tensor or grid.dtype.itemsize != 1:
        return None
    zero_point = int(grid.zero_point)
    if zero_point == grid.limits[0]:
        return QuantParams("uint8", (float(grid.scale),), NETWORK)
    return QuantParams("int8" if grid.dtype == np.int8 else "uint8", (float(grid.scale),), NETWORK, zero_point)


def grid(node: Node, scale: int, zero_point: int, axis: int) -> Grid:
    """Read a grid from a node's inputs, which must be constant."""
    scales = np.asarray(node.known(scale), np.float32)
    default = np.zeros(scales.shape, np.uint8)
    if not node.has(zero_point) and node.attr("output_dtype", 0):
        default = default.astype(onnx.helper.tensor_dtype_to_np_dtype(node.attr("output_dtype")))
    zeros = node.known(zero_point, default)
    if node.attr("block_size", 0) or scales.ndim > 1:
        raise node.unsupported("blocked quantization is not supported")
    if zeros.dtype.kind not in "iu":
        raise node.unsupported(f"quantization to {zeros.dtype} is not supported")
    return Grid(scales, zeros, zeros.dtype, axis)


@operator("QuantizeLinear")
def quantize_linear(node: Node, build: Builder) -> Value:
    """Real values to integers."""
    found = grid(node, 1, 2, node.attr("axis", 1))
    if found.dtype.name not in _BYTES:
        raise node.unsupported(f"quantization to {found.dtype} is not supported")
    made = build.module(node, Quantize(found), node.input(0))
    return build.integers(made)


@operator("DequantizeLinear", integers=True)
def dequantize_linear(node: Node, build: Builder) -> Value:
    """Integers to real values."""
    x, found = node.input(0), grid(node, 1, 2, node.attr("axis", 1))
    if x.constant is not None:
        return Value(node.outputs[0], constant=dequantized(x.constant, found), grid=found, stored=x.constant)
    return dequantize(node, build, x, found)


def dequantized(stored: Array, found: Grid) -> Array:
    """Return the real values of constant integers."""
    shape = [-1 if i == found.axis % stored.ndim else 1 for i in range(stored.ndim)]
    scale, zero_point = (
        a.reshape(()) if found.per_tensor else a.reshape(shape) for a in (found.scale, found.zero_point)
    )
    return ((stored.astype(np.int32) - zero_point.astype(np.int32)).astype(np.float32) * scale).astype(np.float32)


def dequantize(node: Node, build: Builder, q: Value, found: Grid) -> Value:
    """Return the real values of integers; the same ones for every reader that has the same grid."""
    key: tuple[Any, ...] = (q.node, found.scale.tobytes(), found.zero_point.tobytes(), found.dtype, found.axis)
    if key not in build.dequantized:
        made = build.module(node, Dequantize(found), q, suffix="" if node.op == "DequantizeLinear" else "_read")
        build.dequantized[key] = build.on_grid(made, found)
    return build.dequantized[key]
