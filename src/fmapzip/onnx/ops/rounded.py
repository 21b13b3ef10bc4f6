"""Operators on integers that ONNX Runtime computes in floating point, and rounds to the integers of another grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmapzip.onnx.node import Node
from fmapzip.onnx.ops.integer import read_integers
from fmapzip.onnx.ops.quantize import Quantize, grid
from fmapzip.onnx.registry import MICROSOFT, operator, translator
from fmapzip.onnx.values import Grid, Value

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_VERSION = 19  # of ONNX's own operators, whose attributes these have


@operator("QLinearAveragePool", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", domain=MICROSOFT, integers=True)
def qlinear_of_one(node: Node, build: Builder) -> Value:
    """An operator with one input."""
    if node.attr("channels_last", 0):
        raise node.unsupported("channels_last is not supported")
    return _rounded(node, build, [read_integers(node, build, 0)], grid(node, 3, 4, 1))


@operator("QLinearConcat", domain=MICROSOFT, integers=True)
def qlinear_concat(node: Node, build: Builder) -> Value:
    """Tensors of several grids, one behind the other."""
    read = [read_integers(node, build, first) for first in range(2, len(node.inputs), 3)]
    return _rounded(node, build, read, grid(node, 0, 1, 1))


def _rounded(node: Node, build: Builder, read: list[Value], written: Grid) -> Value:
    version = node.attr("opset", _VERSION) if node.op == "QLinearSoftmax" else _VERSION
    inner = node.as_operator(node.op.removeprefix("QLinear"), read, version)
    computed = translator(inner)(inner, build)
    assert isinstance(computed, Value)
    return build.integers(build.module(node, Quantize(written), computed, suffix="_write"))
