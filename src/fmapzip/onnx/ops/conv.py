"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmapzip.onnx.builder import as_tensor
from fmapzip.onnx.node import Node
from fmapzip.onnx.ops.padding import Window, window
from fmapzip.onnx.registry import MICROSOFT, operator
from fmapzip.onnx.values import Array, Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

LAYERS: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
FUNCTIONS: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


class Pad(Operation):
    """The padding of a window before the layer that it belongs to."""

    def __init__(self, padding: Window, value: float = 0.0) -> None:
        super().__init__("pad")
        self._window, self._value = padding, value

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, padded."""
        return self._window.pad(x, self._value)


class Convolution(Operation):
    """A convolution whose weights the network computes."""

    def __init__(self, view: Window, groups: int) -> None:
        super().__init__(f"conv{view.rank}d")
        self._window, self._groups = view, groups

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the convolution."""
        view = self._window
        convolve = FUNCTIONS[view.rank]
        return convolve(view.pad(x), weight, bias, view.strides, 0, view.dilations, self._groups)


class TransposedConvolution(Operation):
    """A transposed convolution with ONNX's ways to give its padding or the size of its output."""

    def __init__(self, view: Window, groups: int, extra: tuple[int, ...], sizes: tuple[int, ...] | None) -> None:
        super().__init__(f"conv_transpose{view.rank}d")
        self._window, self._groups, self._extra, self._sizes = view, groups, extra, sizes

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return the transposed convolution."""
        view = self._window
        # torch wants output padding below stride or dilation; what is more is cut off here, what is less is zeros.
        whole = _TRANSPOSED[view.rank](x, weight, None, view.strides, 0, 0, self._groups, view.dilations)
        whole = functional.pad(whole, [side for extra in reversed(self._extra) for side in (0, extra)])
        for axis in range(view.rank):
            first, last = self._cut(axis, x.shape[2 + axis], whole.shape[2 + axis])
            if last < 0:
                whole = functional.pad(whole, [0, 0] * (view.rank - 1 - axis) + [0, -last])
            whole = whole.narrow(2 + axis, first, whole.shape[2 + axis] - first - max(last, 0))
        return whole if bias is None else whole + bias.reshape(-1, *[1] * view.rank)

    def _cut(self, axis: int, before: int, after: int) -> tuple[int, int]:
        """Return what is cut off at the beginning and the end of a spatial axis."""
        view = self._window
        if self._sizes is None and not view.same:
            return view.pads[axis], view.pads[view.rank + axis]
        total = after - (self._sizes[axis] if self._sizes is not None else before * view.strides[axis])
        less = total // 2
        return (less, total - less) if view.same == "upper" else (total - less, less)


@operator("Conv")
def conv(node: Node, build: Builder) -> Value:
    """Convolution."""
    x, weight = node.input(0), node.input(1)
    groups = node.attr("group", 1)
    if weight.constant is None:
        kernel = node.attr("kernel_shape")
        if kernel is None:
            raise node.unsupported("its weights are computed and there is no kernel_shape")
        rest = [node.input(2)] if node.has(2) else []
        return build.module(node, Convolution(_known_rank(node, kernel), groups), x, weight, *rest)
    kernel = weight.constant.shape[2:]
    view = _known_rank(node, kernel)
    if not view.symmetric:
        x = build.module(node, Pad(view), x, suffix="_pad")
    padding = view.pads[: view.rank] if view.symmetric else (0,) * view.rank
    layer = _layer(weight.constant, groups, view, padding, node.known(2) if node.has(2) else None)
    return build.module(node, layer, x)


@operator("FusedConv", domain=MICROSOFT)
def fused_conv(node: Node, build: Builder) -> Value:
    """Convolution with an activation, as ONNX Runtime writes optimised files."""
    if node.has(3):
        raise node.unsupported("a sum fused into it is not supported")
    found = conv(node, build)
    activation, parameters = node.attr("activation", ""), node.attr("activation_params", [])
    if activation == "Relu":
        return build.call(node, torch.relu, found)
    if activation == "Sigmoid":
        return build.call(node, torch.sigmoid, found)
    if activation == "Tanh":
        return build.call(node, torch.tanh, found)
    if activation == "LeakyRelu":
        return build.call(node, functional.leaky_relu, found, parameters[0])
    if activation == "Clip":
        return build.call(node, torch.clamp, found, *parameters[:2])
    if activation == "HardSigmoid":
        scaled = build.call(node, torch.add, build.call(node, torch.mul, found, parameters[0]), parameters[1])
        return build.call(node, torch.clamp, scaled, 0, 1)
    raise node.unsupported(f"activation {activation!r} is not supported")


@operator("ConvTranspose")
def conv_transpose(node: Node, build: Builder) -> Value:
    """Transposed convolution."""
    weight = node.input(1)
    kernel = node.attr("kernel_shape") or (weight.constant.shape[2:] if weight.constant is not None else None)
    if kernel is None:
        raise node.unsupported("its weights are computed and there is no kernel_shape")
    view = _known_rank(node, kernel)
    sizes = node.attr("output_shape")
    layer = TransposedConvolution(
        view,
        node.attr("group", 1),
        tuple(node.attr("output_padding", [0] * view.rank)),
        None if sizes is None else tuple(sizes[-view.rank :]),
    )
    rest = [node.input(2)] if node.has(2) else []
    return build.module(node, layer, node.input(0), weight, *rest)


def _known_rank(node: Node, kernel: Any) -> Window:
    if len(kernel) not in LAYERS:
        raise node.unsupported(f"{len(kernel)} spatial axes are not supported")
    return window(node, kernel)


def _layer(weight: Array, groups: int, view: Window, padding: tuple[int, ...], bias: Array | None) -> nn.Module:
    layer: Any = LAYERS[view.rank](
        weight.shape[1] * groups,
        weight.shape[0],
        view.kernel,
        view.strides,
        padding,
        view.dilations,
        groups,
        bias is not None,
        device="meta",
    )
    layer.weight = nn.Parameter(as_tensor(weight), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(as_tensor(bias), requires_grad=False)
    return layer  # type: ignore[no-any-return]
