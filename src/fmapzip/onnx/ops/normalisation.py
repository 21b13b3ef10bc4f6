"""Normalisations and softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder


class Softmax(Operation):
    """Softmax or its logarithm over an axis; before opset 13 over all from that axis on."""

    def __init__(self, op: str, axis: int, rest: bool) -> None:
        super().__init__(op)
        self._axis, self._rest = axis, rest

    def forward(self, x: Tensor) -> Tensor:
        """Return it."""
        function = torch.softmax if self.op == "softmax" else torch.log_softmax
        if not self._rest:
            return function(x, self._axis)
        axis = self._axis % x.ndim
        return function(x.flatten(axis) if axis < x.ndim - 1 else x, axis).reshape(x.shape)


class LayerNorm(Operation):
    """Normalisation over all axes from one on."""

    def __init__(self, axis: int, epsilon: float) -> None:
        super().__init__("layer_norm")
        self._axis, self._epsilon = axis, epsilon

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return it."""
        shape = x.shape[self._axis % x.ndim :]
        normal = functional.layer_norm(x, shape, None, None, self._epsilon) * scale
        return normal if bias is None else normal + bias


class InstanceNorm(Operation):
    """Normalisation of each channel of each sample."""

    def __init__(self, epsilon: float) -> None:
        super().__init__("instance_norm")
        self._epsilon = epsilon

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Return it."""
        axes = tuple(range(2, x.ndim))
        centred = x - x.mean(axes, keepdim=True)
        normal = centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + self._epsilon)
        shape = [1, -1, *[1] * len(axes)]
        return normal * scale.reshape(shape) + bias.reshape(shape)


class GroupNorm(Operation):
    """Normalisation of groups of channels; the scale is one a group (opset 18) or a channel (21)."""

    def __init__(self, groups: int, epsilon: float) -> None:
        super().__init__("group_norm")
        self._groups, self._epsilon = groups, epsilon

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Return it."""
        each = x.shape[1] // scale.shape[0]
        scale, bias = scale.repeat_interleave(each), bias.repeat_interleave(each)
        return functional.group_norm(x, self._groups, scale, bias, self._epsilon)


class RMSNorm(Operation):
    """Division by the root of the mean square over all axes from one on."""

    def __init__(self, axis: int, epsilon: float) -> None:
        super().__init__("rms_norm")
        self._axis, self._epsilon = axis, epsilon

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Return it."""
        return functional.rms_norm(x, x.shape[self._axis % x.ndim :], None, self._epsilon) * scale


class LpNorm(Operation):
    """Division by the p-norm over an axis."""

    def __init__(self, axis: int, p: int) -> None:
        super().__init__("normalize")
        self._axis, self._p = axis, p

    def forward(self, x: Tensor) -> Tensor:
        """Return it."""
        return functional.normalize(x, self._p, self._axis, eps=0.0) if self._p != 2 else self._two(x)

    def _two(self, x: Tensor) -> Tensor:
        return x / (x * x).sum(self._axis, keepdim=True).sqrt()


class MeanVariance(Operation):
    """Mean 0 and variance 1 over axes."""

    def __init__(self, axes: list[int]) -> None:
        super().__init__("normalize")
        self._axes = axes

    def forward(self, x: Tensor) -> Tensor:
        """Return it."""
        centred = x - x.mean(self._axes, keepdim=True)
        return centred / ((centred * centred).mean(self._axes, keepdim=True).sqrt() + 1e-9)


class LocalResponse(Operation):
    """Local response normalisation over channels."""

    def __init__(self, size: int, alpha: float, beta: float, bias: float) -> None:
        super().__init__("local_response_norm")
        self._size, self._alpha, self._beta, self._bias = size, alpha, beta, bias

    def forward(self, x: Tensor) -> Tensor:
        """Return it."""
        before = (self._size - 1) // 2
        squares = functional.pad((x * x).movedim(1, -1), [before, self._size - 1 - before])
        sums = squares.unfold(-1, self._size, 1).sum(-1).movedim(-1, 1)
        return x / (self._bias + self._alpha / self._size * sums).pow(self._beta)


@operator("BatchNormalization")
def batch_normalization(node: Node, build: Builder) -> Value:
    """Batch normalisation at inference."""
    if node.attr("training_mode", 0) or sum(map(bool, node.outputs)) > 1:
        raise node.unsupported("training mode is not supported")
    scale, bias, mean, variance = (node.input(i) for i in range(1, 5))
    epsilon = node.attr("epsilon", 1e-5)
    return build.call(
        node, functional.batch_norm, node.input(0), mean, variance, scale, bias, training=False, eps=epsilon
    )


@operator("Softmax", "LogSoftmax")
def softmax(node: Node, build: Builder) -> Value:
    """Softmax."""
    old = node.version < 13
    layer = Softmax("softmax" if node.op == "Softmax" else "log_softmax", node.attr("axis", 1 if old else -1), old)
    return build.module(node, layer, node.input(0))


@operator("LayerNormalization")
def layer_normalization(node: Node, build: Builder) -> Value:
    """Layer normalisation."""
    rest = [node.input(2)] if node.has(2) else []
    layer = LayerNorm(node.attr("axis", -1), node.attr("epsilon", 1e-5))
    return build.module(node, layer, node.input(0), node.input(1), *rest)


@operator("RMSNormalization")
def rms_normalization(node: Node, build: Builder) -> Value:
    """Root mean square normalisation."""
    layer = RMSNorm(node.attr("axis", -1), node.attr("epsilon", 1e-5))
    return build.module(node, layer, node.input(0), node.input(1))


@operator("InstanceNormalization")
def instance_normalization(node: Node, build: Builder) -> Value:
    """Instance normalisation."""
    layer = InstanceNorm(node.attr("epsilon", 1e-5))
    return build.module(node, layer, node.input(0), node.input(1), node.input(2))


@operator("GroupNormalization")
def group_normalization(node: Node, build: Builder) -> Value:
    """Group normalisation."""
    layer = GroupNorm(node.attr("num_groups"), node.attr("epsilon", 1e-5))
    return build.module(node, layer, node.input(0), node.input(1), node.input(2))


@operator("LpNormalization")
def lp_normalization(node: Node, build: Builder) -> Value:
    """Division by a norm."""
    return build.module(node, LpNorm(node.attr("axis", -1), node.attr("p", 2)), node.input(0))


@operator("MeanVarianceNormalization")
def mean_variance_normalization(node: Node, build: Builder) -> Value:
    """Mean 0 and variance 1."""
    return build.module(node, MeanVariance(node.attr("axes", [0, 2, 3])), node.input(0))


@operator("LRN")
def local_response_normalization(node: Node, build: Builder) -> Value:
    """Local response normalisation."""
    layer = LocalResponse(node.attr("size"), node.attr("alpha", 1e-4), node.attr("beta", 0.75), node.attr("bias", 1.0))
    return build.module(node, layer, node.input(0))
