"""Operators that arrange values anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fmapzip.onnx.host import Shape, Size, as_numbers
from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_PAD_MODES = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}


class Reshape(Operation):
    """Another shape for the same values: 0 keeps a size, -1 is found.

    Parameters
    ----------
    keep_zeros : bool
        Whether 0 is a size of none.
    one_image : bool
        The first size of the values is that of a batch of one image, so that a new first size of 1 is the batch's too.
    """

    def __init__(self, keep_zeros: bool, one_image: bool) -> None:
        super().__init__("reshape")
        self._keep_zeros, self._one_image = keep_zeros, one_image

    def forward(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the view."""
        sizes = as_numbers(shape)
        if not self._keep_zeros:
            sizes = [x.shape[i] if type(size) is int and size == 0 else size for i, size in enumerate(sizes)]
        if self._one_image and len(sizes) > 1 and x.ndim and type(sizes[0]) is int and sizes[0] == 1:
            sizes[0] = x.shape[0]
        return x.reshape(sizes)


class Flatten(Operation):
    """A matrix of the sizes before and from an axis on."""

    def __init__(self, axis: int) -> None:
        super().__init__("flatten")
        self._axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return the view."""
        axis = self._axis % x.ndim if self._axis < 0 else self._axis
        if axis == 0:
            return x.reshape(1, -1)
        return x.flatten(axis).flatten(0, axis - 1) if axis < x.ndim else x.reshape(-1, 1)


class Axes(Operation):
    """Axes of size 1, put in or taken out."""

    def __init__(self, op: str, axes: Sequence[int] | None) -> None:
        super().__init__(op)
        self._axes = axes

    def forward(self, x: Tensor) -> Tensor:
        """Return the view."""
        if self._axes is None:
            return x.squeeze()
        if self.op == "squeeze":
            return x.squeeze(tuple(self._axes))
        rank = x.ndim + len(self._axes)
        for axis in sorted(axis % rank for axis in self._axes):
            x = x.unsqueeze(axis)
        return x


class Slice(Operation):
    """A part of each axis, also backwards."""

    def __init__(self) -> None:
        super().__init__("slice")

    def forward(
        self, x: Tensor, starts: Any, ends: Any, axes: Sequence[int] | None = None, steps: Any = None
    ) -> Tensor:
        """Return the part."""
        starts, ends = as_numbers(starts), as_numbers(ends)
        chosen = list(range(len(starts))) if axes is None else as_numbers(axes)
        each = [1] * len(starts) if steps is None else as_numbers(steps)
        for axis, start, end, step in zip(chosen, starts, ends, each, strict=True):
            x = self._cut(x, axis % x.ndim, start, end, step)
        return x

    @staticmethod
    def _cut(x: Tensor, axis: int, start: int, end: int, step: int) -> Tensor:
        index = [slice(None)] * x.ndim
        if step > 0:
            index[axis] = slice(start, min(end, 2**62) if type(end) is int else end, step)
            return x[tuple(index)]
        taken = range(*slice(start, None if end < -x.shape[axis] else end, step).indices(x.shape[axis]))
        return x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64, device=x.device))


class Split(Operation):
    """Parts one behind another on an axis."""

    def __init__(self, axis: int, count: int) -> None:
        super().__init__("split")
        self._axis, self._count = axis, count

    def forward(self, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
        """Return the parts."""
        length = x.shape[self._axis]
        each = -(-length // self._count)
        parts = [min(each, length - i * each) for i in range(self._count)] if sizes is None else as_numbers(sizes)
        return torch.split(x, parts, self._axis)


class Expand(Operation):
    """Broadcasting in both directions."""

    def __init__(self) -> None:
        super().__init__("expand")

    def forward(self, x: Tensor, shape: Any) -> Tensor:
        """Return the view."""
        sizes = as_numbers(shape)
        rank = max(len(sizes), x.ndim)
        own = [1] * (rank - x.ndim) + list(x.shape)
        wanted = [1] * (rank - len(sizes)) + sizes
        return x.expand([a if b == 1 else b for a, b in zip(own, wanted, strict=True)])


class Tile(Operation):
    """Repetitions along the axes."""

    def forward(self, x: Tensor, repeats: Any) -> Tensor:
        """Return the tiles."""
        return x.repeat(as_numbers(repeats))


class Fill(Operation):
    """A tensor of one value."""

    def __init__(self, value: Tensor) -> None:
        super().__init__("full")
        self._value = value

    def forward(self, shape: Any) -> Tensor:
        """Return it."""
        return torch.full(as_numbers(shape), self._value.item(), dtype=self._value.dtype)


class PadAxes(Operation):
    """Padding of any axes; negative padding cuts."""

    def __init__(self, mode: str, value: float | int | bool) -> None:
        super().__init__("pad")
        self._mode, self._value = mode, value

    def forward(self, x: Tensor, pads: Any, axes: Any = None) -> Tensor:
        """Return `x`, padded."""
        given = as_numbers(pads)
        chosen = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in as_numbers(axes)]
        sides = [(0, 0)] * x.ndim
        for i, axis in enumerate(chosen):
            sides[axis] = (given[i], given[len(chosen) + i])
        if self._mode == "constant":
            return functional.pad(x, [side for pair in reversed(sides) for side in pair], value=self._value)
        for axis, (first, last) in enumerate(sides):
            if first or last:  # torch pads the last axes only
                moved = x.movedim(axis, -1)
                padded = functional.pad(moved.reshape(1, -1, moved.shape[-1]), [first, last], _PAD_MODES[self._mode])
                x = padded.reshape(*moved.shape[:-1], -1).movedim(-1, axis)
        return x


class BlocksToChannels(Operation):
    """Between spatial blocks and channels."""

    def __init__(self, op: str, block: int, columns_first: bool = False) -> None:
        super().__init__(op)
        self._block, self._columns_first = block, columns_first

    def forward(self, x: Tensor) -> Tensor:
        """Return the values, arranged anew."""
        n, c, h, w = x.shape
        b = self._block
        if self.op == "pixel_unshuffle":  # space to depth: blocks before channels
            return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)
        if self._columns_first:
            return functional.pixel_shuffle(x, b)
        blocks = x.reshape(n, b, b, c // (b * b), h, w)
        return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@operator("Shape", integers=True)
def shape(node: Node, build: Builder) -> Value:
    """The sizes of a tensor."""
    return build.host(node, Shape(node.attr("start", 0), node.attr("end")), node.input(0))


@operator("Size", integers=True)
def size(node: Node, build: Builder) -> Value:
    """The number of values."""
    return build.host(node, Size(), node.input(0))


@operator("Reshape", integers=True)
def reshape(node: Node, build: Builder) -> Value:
    """Another shape."""
    layer = Reshape(bool(node.attr("allowzero", 0)), node.input(0).name in build.single)
    return build.like(build.module(node, layer, node.input(0), build.numbers(node.input(1))), node.input(0))


@operator("Flatten", integers=True)
def flatten(node: Node, build: Builder) -> Value:
    """A matrix."""
    axis = node.attr("axis", 1)
    layer = nn.Flatten() if axis == 1 else Flatten(axis)
    return build.like(build.module(node, layer, node.input(0)), node.input(0))


@operator("Transpose", integers=True)
def transpose(node: Node, build: Builder) -> Value:
    """Another order of the axes."""
    order = node.attr("perm")
    if order is None:
        return build.like(build.module(node, Reverse(), node.input(0)), node.input(0))
    return build.like(build.call(node, torch.permute, node.input(0), tuple(order)), node.input(0))


class Reverse(Operation):
    """The axes in reverse order."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the view."""
        return x.permute(*range(x.ndim - 1, -1, -1))


@operator("Squeeze", "Unsqueeze", integers=True)
def squeeze(node: Node, build: Builder) -> Value:
    """Axes of size 1, put in or taken out."""
    axes = node.attr("axes")
    if axes is None and node.has(1):
        axes = [int(axis) for axis in node.known(1).reshape(-1)]
    made = build.module(node, Axes(node.op.lower(), axes), node.input(0))
    return build.like(made, node.input(0))


@operator("Concat", integers=True)
def concat(node: Node, build: Builder) -> Value:
    """Tensors one behind another."""
    inputs = [node.input(i) for i in range(len(node.inputs))]
    made = build.call(node, torch.cat, inputs, node.attr("axis", 1))
    if all(value.integers for value in inputs):
        return build.like(made, inputs[0])
    if any(value.integers for value in inputs):
        raise node.unsupported("quantized integers beside other values are not supported")
    return made


@operator("Split", integers=True)
def split(node: Node, build: Builder) -> list[Value]:
    """Parts of a tensor."""
    sizes = node.attr("split")
    given = [tuple(sizes)] if sizes is not None else [build.numbers(node.input(1))] if node.has(1) else []
    parts = build.module(node, Split(node.attr("axis", 0), len(node.outputs)), node.input(0), *given)
    made = [build.item(node, parts, i) for i in range(len(node.outputs))]
    return [build.like(part, node.input(0)) for part in made]


@operator("Slice", integers=True)
def slice_(node: Node, build: Builder) -> Value:
    """Parts of axes."""
    if node.version < 10:
        axes = node.attr("axes")
        given: list[Any] = [tuple(node.attr("starts")), tuple(node.attr("ends")), None if axes is None else tuple(axes)]
    else:
        given = [build.numbers(node.input(i)) if node.has(i) else None for i in range(1, 5)]
    return build.like(build.module(node, Slice(), node.input(0), *given), node.input(0))


@operator("Expand")
def expand(node: Node, build: Builder) -> Value:
    """Broadcasting."""
    return build.module(node, Expand(), node.input(0), build.numbers(node.input(1)))


@operator("Tile")
def tile(node: Node, build: Builder) -> Value:
    """Repetitions."""
    return build.module(node, Tile(), node.input(0), build.numbers(node.input(1)))


@operator("ConstantOfShape")
def constant_of_shape(node: Node, build: Builder) -> Value:
    """A tensor of one value."""
    value = node.attr("value", np.zeros(1, np.float32))
    return build.module(node, Fill(torch.from_numpy(value.copy())), build.numbers(node.input(0)))


@operator("Pad")
def pad(node: Node, build: Builder) -> Value:
    """Padding."""
    mode = node.attr("mode", "constant")
    if mode not in ("constant", *_PAD_MODES):
        raise node.unsupported(f"mode {mode!r} is not supported")
    if node.version < 11:
        return build.module(node, PadAxes(mode, node.attr("value", 0.0)), node.input(0), tuple(node.attr("pads")))
    value = node.known(2, 0).reshape(-1)[0].item()
    given = [build.numbers(node.input(1))] + ([build.numbers(node.input(3))] if node.has(3) else [])
    return build.module(node, PadAxes(mode, value), node.input(0), *given)


@operator("DepthToSpace", "SpaceToDepth", integers=True)
def blocks(node: Node, build: Builder) -> Value:
    """Between spatial blocks and channels."""
    op = "pixel_unshuffle" if node.op == "SpaceToDepth" else "pixel_shuffle"
    layer = BlocksToChannels(op, node.attr("blocksize"), node.attr("mode", "DCR") == "CRD")
    return build.like(build.module(node, layer, node.input(0)), node.input(0))
