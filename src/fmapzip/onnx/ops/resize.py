"""Resampling: each axis is a few gathered neighbours with weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.host import as_numbers
from fmapzip.onnx.node import Node
from fmapzip.onnx.registry import operator
from fmapzip.onnx.values import Value
from fmapzip.torch.operation import Operation

if TYPE_CHECKING:
    from fmapzip.onnx.builder import Builder

_MODES = ("nearest", "linear", "cubic")
_POSITIONS = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple")


class Resize(Operation):
    """Resampling of any axes by nearest, linear or cubic interpolation.

    Parameters
    ----------
    mode, position, nearest : str
        ONNX's ``mode``, ``coordinate_transformation_mode`` and ``nearest_mode``.
    cubic : float
        ``cubic_coeff_a``.
    inside : bool
        ``exclude_outside``: neighbours beyond the edge have no weight.
    axes : sequence of int, optional
        Those that sizes or scales are given for; by default all.
    by_size : bool
        Whether the numbers are sizes, not scales.
    policy : str
        ``keep_aspect_ratio_policy``.
    """

    def __init__(
        self,
        mode: str,
        position: str,
        nearest: str,
        cubic: float,
        inside: bool,
        axes: Sequence[int] | None,
        by_size: bool,
        policy: str,
    ) -> None:
        super().__init__("interpolate")
        self._mode, self._position, self._nearest, self._cubic = mode, position, nearest, cubic
        self._inside, self._axes, self._by_size, self._policy = inside, axes, by_size, policy

    def forward(self, x: Tensor, numbers: Any) -> Tensor:
        """Return `x`, resampled."""
        given = as_numbers(numbers)
        axes = list(range(x.ndim)) if self._axes is None else [axis % x.ndim for axis in self._axes]
        for axis, size, scale in self._targets(x, axes, given):
            if size != x.shape[axis] or scale != 1:
                x = self._along(x, axis, size, scale)
        return x

    def _targets(self, x: Tensor, axes: Sequence[int], given: Sequence[Any]) -> list[tuple[int, int, float]]:
        """Return each axis with its new size and its scale."""
        if not self._by_size:
            return [(axis, _scaled(x.shape[axis], scale), scale) for axis, scale in zip(axes, given, strict=True)]
        if self._policy == "stretch":
            return [(axis, size, size / x.shape[axis]) for axis, size in zip(axes, given, strict=True)]
        ratios = [size / x.shape[axis] for axis, size in zip(axes, given, strict=True)]
        scale = min(ratios) if self._policy == "not_larger" else max(ratios)
        return [(axis, int(scale * x.shape[axis] + 0.5), scale) for axis in axes]

    def _along(self, x: Tensor, axis: int, size: int, scale: float) -> Tensor:
        length = x.shape[axis]
        where = self._source(torch.arange(size, dtype=torch.float32, device=x.device), length, size, scale)
        if self._mode == "nearest":
            return x.index_select(axis, self._round(where, scale).clamp(0, length - 1).long())
        first = where.floor()
        weights = self._weights(where - first)
        places = [first + offset for offset in range(1 - len(weights) // 2, 1 + len(weights) // 2)]
        if self._inside:
            inside = [(place >= 0) & (place < length) for place in places]
            weights = [weight * part for weight, part in zip(weights, inside, strict=True)]
            total = torch.stack(weights).sum(0)
            weights = [weight / total for weight in weights]
        shape = [-1 if i == axis else 1 for i in range(x.ndim)]
        parts = [
            x.index_select(axis, place.clamp(0, length - 1).long()) * weight.reshape(shape)
            for place, weight in zip(places, weights, strict=True)
        ]
        return torch.stack(parts).sum(0) if len(parts) > 2 else parts[0] + parts[1]

    def _source(self, target: Tensor, length: int, size: int, scale: float) -> Tensor:
        """Return the place in the input of each place in the output."""
        if self._position == "align_corners":
            return target * (length - 1) / (size - 1) if size > 1 else target * 0
        if self._position == "asymmetric":
            return target / scale
        if self._position == "pytorch_half_pixel" and size == 1:
            return target * 0
        where = (target + 0.5) / scale - 0.5
        if self._position == "half_pixel_symmetric":
            exact = length * scale
            return where + length / 2 * (1 - size / exact)
        return where

    def _round(self, where: Tensor, scale: float) -> Tensor:
        mode = self._nearest
        if mode == "simple":  # before opset 11; ONNX does not say, this is ONNX Runtime's
            mode = "ceil" if scale < 1 else "floor"
        if mode in ("floor", "ceil"):
            return where.floor() if mode == "floor" else where.ceil()
        return (where - 0.5).ceil() if mode == "round_prefer_floor" else (where + 0.5).floor()

    def _weights(self, beyond: Tensor) -> list[Tensor]:
        """Return the weights of the neighbours of places that lie `beyond` the one before them."""
        if self._mode == "linear":
            return [1 - beyond, beyond]
        a = self._cubic
        outer = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (beyond + 1, 2 - beyond)]
        inner = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (beyond, 1 - beyond)]
        return [outer[0], inner[0], inner[1], outer[1]]


def _scaled(size: int, scale: float) -> int:
    """Return the size times the scale, which is rounded to float32 before it is cut off."""
    return int(np.float32(size) * np.float32(scale))


class GridSample(Operation):
    """Values at places that the network computes."""

    def __init__(self, mode: str, padding: str, align: bool) -> None:
        super().__init__("grid_sample")
        self._mode, self._padding, self._align = mode, padding, align

    def forward(self, x: Tensor, grid: Tensor) -> Tensor:
        """Return the values."""
        return functional.grid_sample(x, grid, self._mode, self._padding, self._align)


@operator("Resize")
def resize(node: Node, build: Builder) -> Value:
    """Resampling, as opset 10 (scales alone), 11 and later say."""
    x = node.input(0)
    if node.version < 11:
        return _resize(node, build, x, build.numbers(node.input(1)), "asymmetric", "simple", by_size=False)
    by_size = node.has(3)
    if not by_size and not node.has(2):
        raise node.unsupported("neither scales nor sizes are given")
    numbers = build.numbers(node.input(3 if by_size else 2))
    position = node.attr("coordinate_transformation_mode", "half_pixel")
    return _resize(node, build, x, numbers, position, node.attr("nearest_mode", "round_prefer_floor"), by_size)


@operator("Upsample")
def upsample(node: Node, build: Builder) -> Value:
    """Resampling, as opset 9 says."""
    numbers = tuple(node.attr("scales")) if node.version < 9 else build.numbers(node.input(1))
    return _resize(node, build, node.input(0), numbers, "asymmetric", "simple", by_size=False)


def _resize(node: Node, build: Builder, x: Value, numbers: Any, position: str, nearest: str, by_size: bool) -> Value:
    mode = node.attr("mode", "nearest")
    for name, value, known in (
        ("mode", mode, _MODES),
        ("position", position, _POSITIONS),
        ("nearest", nearest, _NEAREST),
    ):
        if value not in known:
            raise node.unsupported(f"{name} {value!r} is not supported")
    if node.attr("antialias", 0):
        raise node.unsupported("antialias is not supported")
    layer = Resize(
        mode,
        position,
        nearest,
        node.attr("cubic_coeff_a", -0.75),
        bool(node.attr("exclude_outside", 0)),
        node.attr("axes"),
        by_size,
        node.attr("keep_aspect_ratio_policy", "stretch"),
    )
    return build.module(node, layer, x, numbers)


@operator("GridSample")
def grid_sample(node: Node, build: Builder) -> Value:
    """Values at computed places."""
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.attr("mode", "linear"), node.attr("mode", "linear"))
    layer = GridSample(mode, node.attr("padding_mode", "zeros"), bool(node.attr("align_corners", 0)))
    return build.module(node, layer, node.input(0), node.input(1))
