"""Operators that work value by value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import MICROSOFT, operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_UNARY: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh,
    "Atan": torch.atan, "Atanh": torch.atanh, "Ceil": torch.ceil, "Cos": torch.cos, "Cosh": torch.cosh,
    "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "HardSwish": functional.hardswish,
    "IsNaN": torch.isnan, "Log": torch.log, "Mish": functional.mish, "Neg": torch.neg, "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal, "Relu": torch.relu, "Round": torch.round, "Sigmoid": torch.sigmoid,
    "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh, "Softplus": functional.softplus,
    "Softsign": functional.softsign, "Sqrt": torch.sqrt, "Tan": torch.tan, "Tanh": torch.tanh,
}  # fmt: skip
_BINARY: dict[str, Callable[..., Any]] = {
    "Add": torch.add, "And": torch.logical_and, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge,
    "Less": torch.lt, "LessOrEqual": torch.le, "Mul": torch.mul, "Or": torch.logical_or, "Pow": torch.pow,
    "Sub": torch.sub, "Xor": torch.logical_xor,
}  # fmt: skip
_HALVES = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


class Function(Operation):
    """A function of tensors, under a name."""

    def __init__(self, op: str, function: Callable[..., Any]) -> None:
        super().__init__(op)
        self._function = function

    def forward(self, *tensors: Tensor) -> Any:
        """Return what the function gives."""
        return self._function(*tensors)


@operator(*_UNARY)
def unary(node: Node, build: Builder) -> Value:
    """A function of one tensor."""
    return build.call(node, _UNARY[node.op], node.input(0))


@operator(*_BINARY)
def binary(node: Node, build: Builder) -> Value:
    """A function of two tensors."""
    return build.call(node, _BINARY[node.op], node.input(0), node.input(1))


@operator("Div")
def div(node: Node, build: Builder) -> Value:
    """Division; that of integers rounds towards zero."""
    return build.module(node, Function("div", _divide), node.input(0), node.input(1))


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


@operator("Mod")
def mod(node: Node, build: Builder) -> Value:
    """Remainder, with the sign of the divisor, or of the dividend (``fmod``)."""
    return build.call(node, torch.fmod if node.attr("fmod", 0) else torch.remainder, node.input(0), node.input(1))


@operator("Max", "Min", "Sum", "Mean")
def several(node: Node, build: Builder) -> Value:
    """A function of any number of tensors."""
    step: dict[str, Callable[..., Any]] = {"Max": torch.maximum, "Min": torch.minimum}
    inputs = [node.input(i) for i in range(len(node.inputs))]
    made = reduce(lambda a, b: build.call(node, step.get(node.op, torch.add), a, b), inputs)
    if node.op == "Mean" and len(inputs) > 1:
        return build.call(node, torch.div, made, len(inputs))
    return made


@operator("Where")
def where(node: Node, build: Builder) -> Value:
    """One of two values, by a condition."""
    return build.call(node, torch.where, node.input(0), node.input(1), node.input(2))


@operator("Clip")
def clip(node: Node, build: Builder) -> Value:
    """Values within limits."""
    if node.version < 11:
        low, high = node.attr("min"), node.attr("max")
    else:
        low, high = (_limit(node, i) for i in (1, 2))
    if isinstance(low, Value) or isinstance(high, Value):
        made = node.input(0)
        for bound, function in ((low, torch.maximum), (high, torch.minimum)):
            if bound is not None:
                known = bound if isinstance(bound, Value) else Value("", constant=np.array(bound, np.float32))
                made = build.call(node, function, made, known)
        return made
    if low is None and high is None:
        return node.input(0)
    if (low, high) == (0, 6):
        return build.call(node, functional.relu6, node.input(0))
    return build.call(node, torch.clamp, node.input(0), low, high)


def _limit(node: Node, index: int) -> Any:
    if not node.has(index):
        return None
    value = node.input(index)
    return value if value.constant is None else value.constant.reshape(-1)[0].item()


def _leaky_relu(x: Tensor, alpha: float) -> Tensor:
    return functional.leaky_relu(x, alpha)


def _shrink(x: Tensor, lambd: float, bias: float) -> Tensor:
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros((), dtype=x.dtype)))


_ACTIVATIONS: dict[str, tuple[str, Callable[..., Tensor], dict[str, float]]] = {
    "Celu": ("celu", functional.celu, {"alpha": 1.0}),
    "Elu": ("elu", functional.elu, {"alpha": 1.0}),
    "HardSigmoid": ("hardsigmoid", lambda x, alpha, beta: (x * alpha + beta).clamp(0, 1), {"alpha": 0.2, "beta": 0.5}),
    "LeakyRelu": ("leaky_relu", _leaky_relu, {"alpha": 0.01}),
    "Selu": (
        "selu",
        lambda x, alpha, gamma: gamma * functional.elu(x, alpha),
        {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
    ),
    "Shrink": ("shrink", _shrink, {"lambd": 0.5, "bias": 0.0}),
    "Swish": ("silu", lambda x, alpha: x * torch.sigmoid(x * alpha), {"alpha": 1.0}),
    "ThresholdedRelu": ("threshold", lambda x, alpha: functional.threshold(x, alpha, 0.0), {"alpha": 1.0}),
}
"""Name of the operation, its function, and the attributes that are its parameters with their defaults."""


@operator(*_ACTIVATIONS)
def activation(node: Node, build: Builder) -> Value:
    """An activation with parameters."""
    name, function, parameters = _ACTIVATIONS[node.op]
    given = {key: node.attr(key, default) for key, default in parameters.items()}
    return build.module(node, Function(name, partial(function, **given)), node.input(0))


@operator("PRelu")
def prelu(node: Node, build: Builder) -> Value:
    """Another slope below zero, that broadcasts as in NumPy."""
    return build.module(node, Function("prelu", _prelu), node.input(0), node.input(1))


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


@operator("Gelu")
def gelu(node: Node, build: Builder) -> Value:
    """GELU."""
    return build.call(node, functional.gelu, node.input(0), approximate=node.attr("approximate", "none"))


@operator("Gelu", domain=MICROSOFT)
def microsoft_gelu(node: Node, build: Builder) -> Value:
    """GELU, as ONNX Runtime writes optimised files."""
    return build.call(node, functional.gelu, node.input(0))


@operator("IsInf")
def is_inf(node: Node, build: Builder) -> Value:
    """Whether values are infinite."""
    positive, negative = bool(node.attr("detect_positive", 1)), bool(node.attr("detect_negative", 1))
    if positive and negative:
        return build.call(node, torch.isinf, node.input(0))
    function = torch.isposinf if positive else torch.isneginf
    return build.call(node, function, node.input(0))


@operator("Cast", "CastLike", integers=True)
def cast(node: Node, build: Builder) -> Value:
    """Another type; half precision is computed in float32."""
    if node.op == "CastLike":
        like = node.input(1)
        if like.constant is None:
            return build.module(node, Function("to", _to_type_of), node.input(0), like)
        target = onnx.helper.np_dtype_to_tensor_dtype(like.constant.dtype)
    else:
        target = node.attr("to")
    dtype = torch_dtype(node, target)
    if dtype == torch.float32 and node.input(0).integers:
        return replace(node.input(0), integers=False)
    return build.call(node, torch.Tensor.to, node.input(0), dtype)


def _to_type_of(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


def torch_dtype(node: Node, target: int) -> torch.dtype:
    """Return torch's type for one of ONNX's."""
    if target in _HALVES:
        return torch.float32
    try:
        return torch.from_numpy(np.zeros(1, onnx.helper.tensor_dtype_to_np_dtype(target))).dtype
    except (TypeError, KeyError) as error:
        raise node.unsupported(f"type {onnx.TensorProto.DataType.Name(target)} is not supported") from error


@operator("Identity", "Dropout", integers=True)
def identity(node: Node, build: Builder) -> Value:
    """The same values."""
    if node.op == "Dropout" and len(node.outputs) > 1 and node.outputs[1]:
        raise node.unsupported("its mask is not supported")
    if node.op == "Dropout" and node.has(2) and bool(node.known(2)):
        raise node.unsupported("training mode is not supported")
    return node.input(0)
