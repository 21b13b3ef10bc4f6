"""What is known of a feature map before it is stored: some float maps, its 8-bit grid, its noise sensitivities."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_requantiser import step_indices, trained_points
from fmapzip.codecs.dct_cm_training import correlation_order
from fmapzip.planner.candidates.frequencies import worth_keeping
from fmapzip.quantize import QuantParams

_MOST_STRETCH = 4.0
_VALUES = 1 << 21  # that an estimate looks at, about
# How many steps of a grid make a nominal step: more of them place reconstruction points better, and leave less room
# for large values. Odd, so that the values of a step have one in their middle.
_DIVISIONS = (1, 3, 5, 7, 9, 13)


@dataclass(frozen=True)
class TapModel:
    """One feature map, and estimates of what grids and steps would distort.

    Parameters
    ----------
    maps : float32 array [N, C, ...]
    base : QuantParams
        The calibrated quantizer, one scale for the tensor.
    sensitivities : float64 array [C]
        Distortion of unit noise energy in each channel.
    """

    maps: NDArray[np.float32]
    base: QuantParams
    sensitivities: NDArray[np.float64]

    def grid(self, clip_ratio: float, shaped: bool, least: float) -> QuantParams:
        """Return the calibrated quantizer with its grid stretched by `clip_ratio`.

        Parameters
        ----------
        clip_ratio : float
        shaped : bool
            Channels have scales of their own, by their noise sensitivities.
        least : float
            Share of its largest value that each channel's grid reaches at least.
        """
        if clip_ratio == 1 and not shaped:
            return self.base
        scale, name = self.base.scale[0], f"{self.base.calibrator}*{clip_ratio:.4g}"
        if not shaped:
            return QuantParams(self.base.dtype, (scale * clip_ratio,), name)
        scales = np.maximum(clip_ratio * stretches(self.sensitivities), least * self._largest)
        return QuantParams(self.base.dtype, tuple(float(scale * each) for each in scales), f"{name}:gains")

    def division(self, step: float, shaped: bool) -> int:
        """Return how many steps of the grid make the nominal `step` with the least estimated distortion, unclipped."""
        fitting = [each for each in _DIVISIONS if each == 1 or each <= step]
        if len(fitting) == 1:
            return 1
        return min(fitting, key=lambda d: (self.distortion(self.grid(step / d, shaped, 1.0), Fraction(d)), d))

    def distortion(self, quantizer: QuantParams, step: Fraction) -> float:
        """Estimate the distortion of an image of values re-quantised by `step`, with trained points."""
        q = quantizer.quantize(self._few, 1)
        decoded = q if step == 1 else _requantised(q, step)
        errors = quantizer.dequantize(decoded, 1) - self._few
        energies = np.square(errors).reshape(*q.shape[:2], -1).sum(2).astype(np.float64).mean(0)
        return float(energies @ self.sensitivities)

    def frequencies(self, group: int, step: float, order: str | tuple[int, ...]) -> tuple[int, ...]:
        """Return which frequencies of groups of channels are worth their bits; `order` as `dct-cm` takes it."""
        q = self.base.quantize(self._few, 1)
        if isinstance(order, str):
            order = tuple(range(q.shape[1])) if order == "natural" else correlation_order(q, group)
        return worth_keeping(q, group, step, order)

    @property
    def _few(self) -> NDArray[np.float32]:
        return self.maps[: max(1, _VALUES * len(self.maps) // self.maps.size)]

    @cached_property
    def _largest(self) -> NDArray[np.float64]:
        """Each channel's largest magnitude over the tensor's."""
        found = np.abs(self.maps).max(axis=(0, *range(2, self.maps.ndim))).astype(np.float64)
        largest: NDArray[np.float64] = found / (found.max() or 1.0)
        return largest


def _requantised(q: IntegerMap, step: Fraction) -> IntegerMap:
    """Return what `context-rans` with `step` makes of maps that it is trained on."""
    values = np.arange(256, dtype=np.uint8).view(q.dtype).astype(np.int64)
    indices, points = step_indices(abs(values), step), trained_points(q, step)
    count = int(indices[values > 0].max())
    decoded = np.array((0, *points[:count]))[np.minimum(indices, count)]
    negative = values < 0
    decoded[negative] = -np.array((0, *points[count:]))[indices[negative]]
    table: IntegerMap = decoded.astype(np.int8) if q.dtype == np.int8 else decoded.astype(np.uint8)
    return table[q.view(np.uint8)]


def stretches(sensitivities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each channel's grid relative to the others': the inverse root of its sensitivity, within a factor of 4.

    At high rate, steps that give all channels the same distortion a value take the fewest bits for it (reverse
    water-filling).
    """
    usual = np.exp(np.mean(np.log(sensitivities[sensitivities > 0]))) if (sensitivities > 0).any() else 1.0
    wanted = np.sqrt(usual / np.maximum(sensitivities, usual * 1e-6))
    return np.clip(wanted, 1 / _MOST_STRETCH, _MOST_STRETCH)
