"""Parts of a QDQ graph that ONNX Runtime computes with integers: dequantized inputs, a layer, and a quantization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import onnx

from fmapzip.onnx.builder import Builder
from fmapzip.onnx.node import Node
from fmapzip.onnx.ops.integer import Weights, convolution, matrix_product, mean, pair
from fmapzip.onnx.ops.quantize import grid
from fmapzip.onnx.values import Array, Grid, Value

_LAYERS = ("Conv", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool")


class Chains:
    """Which layers of a graph are followed by a quantization alone, perhaps with a ReLU or a clip in between."""

    def __init__(self, nodes: Sequence[onnx.NodeProto], kept: Collection[str]) -> None:
        readers = Counter(name for node in nodes for name in node.input)
        readers.update(kept)
        reader = {name: node for node in nodes for name in node.input}
        self._after: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes:
            if node.op_type not in _LAYERS or node.domain not in ("", "ai.onnx"):
                continue
            chain, name = [], node.output[0]
            while readers[name] == 1 and name in reader:
                chain.append(reader[name])
                if chain[-1].op_type not in ("Relu", "Clip"):
                    break
                name = chain[-1].output[0]
            if chain and chain[-1].op_type == "QuantizeLinear":
                self._after[node.output[0]] = chain

    def after(self, output: str) -> list[onnx.NodeProto]:
        """Return the nodes from a layer's output to its quantization; none where it is not quantized."""
        return self._after.get(output, [])


def fuse(node: Node, chain: Sequence[Node], build: Builder) -> Value | None:
    """Write a layer and the quantization after it down as one layer of integers; None where it is none."""
    written = grid(chain[-1], 1, 2, chain[-1].attr("axis", 1))
    if not written.per_tensor or not all(_implied(between, written) for between in chain[:-1]):
        return None
    x = node.input(0)
    if x.grid is None or not x.grid.per_tensor or x.grid.dtype.itemsize != 1 or written.dtype != x.grid.dtype:
        return None
    return _FUSED[node.op](node, x, written, build)


def _implied(node: Node, written: Grid) -> bool:
    """Whether the grid clips as much as a ReLU or a clip does."""
    low, high = (float((limit - int(written.zero_point)) * np.float32(written.scale)) for limit in written.limits)
    if node.op == "Relu":
        return low >= 0
    bounds: list[float] = []
    for i, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        if node.version < 11:
            bounds.append(float(node.attr(name, default)))
        elif node.has(i) and node.input(i).constant is None:
            return False
        else:
            bounds.append(float(node.known(i, np.float32(default)).reshape(-1)[0]))
    return bounds[0] <= low and high <= bounds[1]


def _conv(node: Node, x: Value, written: Grid, build: Builder) -> Value | None:
    weight = _weights(node, 0)
    known, bias = _bias(node, x, weight)
    if weight is None or not known or x.constant is not None or weight.integers.ndim < 3:
        return None
    return convolution(node, build, x, weight, bias, written)


def _gemm(node: Node, x: Value, written: Grid, build: Builder) -> Value | None:
    if node.attr("transA", 0) or node.attr("beta", 1.0) != 1 or node.attr("alpha", 1.0) != 1:
        return None
    turned = bool(node.attr("transB", 0))
    weight = _weights(node, 0 if turned else 1)
    known, bias = _bias(node, x, weight)
    if weight is None or not known or x.constant is not None:
        return None
    return matrix_product(node, build, x, weight if turned else weight.turned(), bias, written)


def _matmul(node: Node, x: Value, written: Grid, build: Builder) -> Value | None:
    weight = _weights(node, 1)
    if weight is None or weight.integers.ndim != 2 or x.constant is not None:
        return None
    return matrix_product(node, build, x, weight.turned(), None, written)


def _pair(node: Node, x: Value, written: Grid, build: Builder) -> Value | None:
    other = node.input(1)
    if other.grid is None or not other.grid.per_tensor or other.grid.dtype != written.dtype:
        return None
    return pair(node, build, x, other, written)


def _mean(node: Node, x: Value, written: Grid, build: Builder) -> Value | None:
    return mean(node, build, x, written)


_FUSED: Mapping[str, Callable[[Node, Value, Grid, Builder], Value | None]] = {
    "Add": _pair,
    "Conv": _conv,
    "Gemm": _gemm,
    "GlobalAveragePool": _mean,
    "MatMul": _matmul,
    "Mul": _pair,
}


def _weights(node: Node, axis: int) -> Weights | None:
    """Return the constant integers of the second input, with a scale for all or one a row on `axis`."""
    value = node.input(1)
    if value.grid is None or value.stored is None or value.grid.dtype.itemsize != 1:
        return None
    if not value.grid.per_tensor and value.grid.axis % value.stored.ndim != axis:
        return None
    return Weights(value.stored, value.grid, axis)


def _bias(node: Node, x: Value, weight: Weights | None) -> tuple[bool, Array | None]:
    """Return whether the bias is none, or integers on the grid of the product, and those."""
    if not node.has(2):
        return True, None
    value = node.input(2)
    if value.grid is None or value.stored is None or weight is None or x.grid is None:
        return False, None
    return value.grid.dtype == np.int32 and not value.grid.zero_point.any(), value.stored.reshape(-1)
