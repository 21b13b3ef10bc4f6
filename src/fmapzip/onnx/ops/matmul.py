"""Matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from fmapzip.onnx.builder import as_tensor, to_float32
from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Array, Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder


class Gemm(Operation):
    """``alpha * A' B' + beta * C`` of tensors that the network computes."""

    def __init__(self, alpha: float, beta: float, turn_a: bool, turn_b: bool) -> None:
        super().__init__()
        self._alpha, self._beta, self._turn_a, self._turn_b = alpha, beta, turn_a, turn_b

    def forward(self, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the product."""
        product = (a.t() if self._turn_a else a) @ (b.t() if self._turn_b else b)
        product = product if self._alpha == 1 else product * self._alpha
        return product if c is None else product + (c if self._beta == 1 else c * self._beta)


class MatMul(Operation):
    """The product of matrices, or of stacks of them."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the product."""
        return a @ b


class Einsum(Operation):
    """Einstein's sum."""

    def __init__(self, equation: str) -> None:
        super().__init__()
        self._equation = equation

    def forward(self, *operands: Tensor) -> Tensor:
        """Return it."""
        return torch.einsum(self._equation, *operands)


@operator("Gemm")
def gemm(node: Node, build: Builder) -> Value:
    """General matrix product: a linear layer where its weights are constant."""
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    turn_a, turn_b = bool(node.attr("transA", 0)), bool(node.attr("transB", 0))
    x, weight, bias = node.input(0), node.input(1).constant, node.input(2) if node.has(2) else None
    if weight is None:
        rest = [] if bias is None else [bias]
        return build.module(node, Gemm(alpha, beta, turn_a, turn_b), x, node.input(1), *rest)
    if turn_a:
        x = build.call(node, torch.permute, x, (1, 0))
    matrix = weight if turn_b else weight.T
    matrix = matrix if alpha == 1 else to_float32(matrix) * np.float32(alpha)
    added = None if bias is None or bias.constant is None else to_float32(bias.constant) * np.float32(beta)
    rows = matrix.shape[0]
    if added is not None and added.size in (1, rows) and added.shape[-1:] in ((), (1,), (rows,)):
        added = np.broadcast_to(added.reshape(-1), rows)  # one number, or one a column
    if bias is None or (added is not None and added.shape == (rows,)):
        return build.module(node, linear(matrix, added), x)
    product = build.module(node, linear(matrix, None), x)
    if added is not None:
        return build.call(node, torch.add, product, Value(node.label, constant=added))
    return build.call(node, torch.add, product, bias if beta == 1 else build.call(node, torch.mul, bias, beta))


@operator("MatMul")
def matmul(node: Node, build: Builder) -> Value:
    """Matrix product: a linear layer where its second factor is a constant matrix."""
    weight = node.input(1).constant
    if weight is not None and weight.ndim == 2 and node.input(0).constant is None:
        return build.module(node, linear(weight.T, None), node.input(0))
    return build.module(node, MatMul(), node.input(0), node.input(1))


@operator("Einsum")
def einsum(node: Node, build: Builder) -> Value:
    """Einstein's sum."""
    return build.module(node, Einsum(node.attr("equation")), *(node.input(i) for i in range(len(node.inputs))))


def linear(weight: Array, bias: Array | None) -> nn.Linear:
    """Return a linear layer with weights [out, in]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = nn.Parameter(as_tensor(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(as_tensor(bias), requires_grad=False)
    return layer
