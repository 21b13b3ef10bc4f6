"""Differentiable bits of ``context-rans``: code lengths by its own contexts and tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.codecs.context_rans_parameters import CONTEXT_STEPS, OFFSET_UNIT, ContextParameters
from fmapzip.torch.tuning.code_lengths import code_lengths
from fmapzip.zero_point import SIGNED

_UNIT = 256  # weighted sums are divided by it to give a step of a mean or a spread
_BYTES = 256


class ContextRate:
    """Bits of maps of indices in trained contexts of their channel's neighbours.

    The value is the code length of the rounded indices. Its gradient is that of the expected code length under
    rounding with uniform noise, which is the line through the lengths of the two indices around a value, and of the
    lengths' change with the mean of the context; the spread of the context is taken as it is.

    Parameters
    ----------
    parameters : ContextParameters
        With neighbours and without factors.
    values : int array
        The 8-bit value that each index stands for, in the order of the indices, from the lowest one on.
    lowest : int
        The first index: 0, or below it where maps are signed.
    """

    def __init__(self, parameters: ContextParameters, values: NDArray[np.int64], lowest: int) -> None:
        signed = parameters.below == SIGNED
        origin = _BYTES // 2 if signed else 0
        self._lowest, self._last = lowest, lowest + len(values) - 1
        lengths = code_lengths(parameters)[:, origin + lowest : origin + lowest + len(values)]
        self._spread_levels = len(parameters.spread_thresholds) + 1
        self._level = _levels(parameters.thresholds)
        self._spread_level = _levels(parameters.spread_thresholds)
        self._lengths = torch.from_numpy(np.ascontiguousarray(lengths))
        self._slopes = torch.from_numpy(_mean_slopes(lengths, self._level.numpy(), self._spread_levels))
        companded = _companded(values, signed)
        self._start = float(companded[-lowest])  # what stands before the first value of a map
        self._companded = torch.from_numpy(companded)
        self._weights = [float(each) for each in parameters.weights or (0,) * 4]
        self._spread_weights = [float(each) for each in parameters.spread_weights]
        each = parameters.channel_offsets
        offsets = np.zeros(1) if each is None else OFFSET_UNIT * np.asarray(each, np.float64)
        self._offsets = torch.from_numpy((offsets + parameters.offset).astype(np.float32))

    def to(self, device: torch.device) -> ContextRate:
        """Move the tables to a device and return the rate."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    def bits(self, v: Tensor, first: int = 0) -> Tensor:
        """Return the bits of each sample of indices [N, C, H, W] before they are rounded, [N].

        Those of the rows from `first` on: one row before is all the context that they have.
        """
        x: Tensor = _Interpolated.apply(v, self._companded, self._lowest)  # type: ignore[no-untyped-call]
        west, north, north_west, north_east = _neighbours(x, self._start)
        neighbours = (west, north, north_west, north_east)
        mean = sum(weight * each for weight, each in zip(self._weights, neighbours, strict=True))
        mean = mean + self._offsets.view(1, -1, 1, 1)
        with torch.no_grad():
            pairs = ((west, north), (west, north_west), (north, north_west), (north, north_east))
            spread = sum(w * (a - b).abs() for w, (a, b) in zip(self._spread_weights, pairs, strict=True))
            cells = self._level[_step_of(mean)] * self._spread_levels + self._spread_level[_step_of(spread)]
        found: Tensor = _CodeLength.apply(  # type: ignore[no-untyped-call]
            v[..., first:, :], mean[..., first:, :], cells[..., first:, :], self._lengths, self._slopes, self._lowest
        )
        return found


def _levels(thresholds: tuple[int, ...]) -> Tensor:
    """The level of each step of a mean or a spread."""
    return torch.from_numpy(np.searchsorted(np.array(thresholds, np.int64), np.arange(CONTEXT_STEPS), side="right"))


def _step_of(weighted: Any) -> Tensor:
    found: Tensor = torch.div(weighted, _UNIT, rounding_mode="floor").clamp(0, CONTEXT_STEPS - 1).long()
    return found


def _companded(values: NDArray[np.int64], signed: bool) -> NDArray[np.float32]:
    magnitudes = np.floor(np.sqrt((126.0 if signed else 256.0) * np.abs(values)))
    companded: NDArray[np.float32] = (np.sign(values) * magnitudes + (128 if signed else 0)).astype(np.float32)
    return companded


def _mean_slopes(lengths: NDArray[np.float32], level: NDArray[np.int64], columns: int) -> NDArray[np.float32]:
    """How the length of each index in each cell changes with the weighted sum that the cell's level comes from."""
    grid = lengths.reshape(-1, columns, lengths.shape[1])
    steps = np.arange(CONTEXT_STEPS) + 0.5
    seen = [steps[level == each] for each in range(len(grid))]
    centres = np.array([each.mean() if len(each) else np.nan for each in seen])
    known = np.flatnonzero(~np.isnan(centres))
    slopes = np.zeros_like(grid)
    if len(known) > 1:
        slopes[known] = np.gradient(grid[known], centres[known] * _UNIT, axis=0)
    return slopes.reshape(lengths.shape).astype(np.float32)


def _neighbours(x: Tensor, start: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W, N, NW and NE of each position; outside the map the nearest that is inside and known."""
    first = torch.cat([torch.full_like(x[..., :1, :1], start), x[..., :1, :-1]], -1)
    if x.shape[-2] == 1:
        return first, first, first, first
    above = x[..., :-1, :]
    west = torch.cat([first, torch.cat([above[..., :1], x[..., 1:, :-1]], -1)], -2)
    north = torch.cat([first, above], -2)
    north_west = torch.cat([first, torch.cat([above[..., :1], above[..., :-1]], -1)], -2)
    north_east = torch.cat([first, torch.cat([above[..., 1:], above[..., -1:]], -1)], -2)
    return west, north, north_west, north_east


def _around(v: Tensor, lowest: int, count: int) -> tuple[Tensor, Tensor]:
    """Places of the rounded values in a table of `count` entries, and of the lower of the two around them."""
    place = v - lowest
    return place.round().clamp(0, count - 1).long(), place.floor().clamp(0, max(count - 2, 0)).long()


class _Interpolated(torch.autograd.Function):
    """A table at rounded values, with the slope between the entries around them as gradient."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, table: Tensor, lowest: int) -> Tensor:
        nearest, below = _around(v, lowest, len(table))
        slopes = table.diff() if len(table) > 1 else torch.zeros_like(table)
        ctx.save_for_backward(slopes[below])
        return table[nearest]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] * ctx.saved_tensors[0], None, None


class _CodeLength(torch.autograd.Function):
    """Code lengths of rounded values in their cells, summed for each sample."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, mean: Tensor, cells: Tensor, lengths: Tensor, slopes: Tensor, lowest: int
    ) -> Tensor:
        count = lengths.shape[1]
        nearest, below = _around(v, lowest, count)
        row = cells * count
        flat = lengths.view(-1)
        place = row + nearest
        lower = row + below
        rise = flat[(lower + 1).clamp_(max=flat.numel() - 1)] - flat[lower] if count > 1 else torch.zeros_like(v)
        ctx.save_for_backward(rise, slopes.view(-1)[place])
        return flat[place].flatten(1).sum(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rise, slope = ctx.saved_tensors
        each = gradients[0].view(-1, 1, 1, 1)
        return each * rise, each * slope, None, None, None, None
