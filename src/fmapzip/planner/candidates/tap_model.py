"""What is known of a feature map before it is stored: some float maps, its 8-bit grid, its noise sensitivities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.base import Codec, Tradeoff
from fmapzip.quantize import QuantParams
from fmapzip.zero_point import values

_FINEST, _COARSEST = 1 / 64, 4.0  # of a channel's grid, relative to the others'
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
            Share of its largest value that each channel's grid reaches at least. Below the zero point of a grid that
            has more room above it, nothing is cut off: what activation functions leave there is small and frequent.
        """
        if clip_ratio == 1 and not shaped:
            return self.base
        scale, name = self.base.scale[0], f"{self.base.calibrator}*{clip_ratio:.4g}"
        if not shaped:
            return replace(self.base, scale=(scale * clip_ratio,), calibrator=name)
        below, above = self._reach
        scales = np.maximum(clip_ratio * stretches(self.sensitivities), np.maximum(least * above, below))
        each_scale = tuple(float(scale * each) for each in scales)
        return replace(self.base, scale=each_scale, calibrator=f"{name}:sensitivities")

    def division(self, step: float, shaped: bool, tradeoff: Tradeoff) -> int:
        """Return how many steps of the grid make the nominal `step` with the least estimated distortion, unclipped.

        1 where the codec cannot tell.
        """
        fitting = [each for each in _DIVISIONS if each == 1 or each <= step]
        if len(fitting) == 1:
            return 1
        found = {
            each: self.distortion(self.grid(step / each, shaped, 1.0), tradeoff.at(each, self.values))
            for each in fitting
        }
        known = [(distortion, each) for each, distortion in found.items() if distortion is not None]
        return min(known)[1] if known else 1

    def distortion(self, quantizer: QuantParams, codec: Codec) -> float | None:
        """Estimate the distortion of an image whose values `codec` stores; None where only coding them tells."""
        q = quantizer.quantize(self._few, 1)
        decoded = codec.approximation_for(q, quantizer)
        return None if decoded is None else self.noise(quantizer.dequantize(decoded, 1) - self._few)

    def noise(self, errors: NDArray[np.floating]) -> float:
        """Estimate the distortion of an image by errors of its values, [N, C, ...]."""
        energies = np.square(errors).reshape(*errors.shape[:2], -1).sum(2).astype(np.float64).mean(0)
        return float(energies @ self.sensitivities)

    @cached_property
    def values(self) -> NDArray[Any]:
        """Some of the maps on the calibrated grid, counted from its zero point."""
        return values(self.base.quantize(self._few, 1), self.base.zero)

    @property
    def _few(self) -> NDArray[np.float32]:
        return self.maps[: max(1, _VALUES * len(self.maps) // self.maps.size)]

    @cached_property
    def _reach(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far each channel reaches on the side of zero with less room, and on the other, over the tensor.

        Where they have about the same room, or one has none, both count as the other side.
        """
        axes = (0, *range(2, self.maps.ndim))
        low, high = (limit - self.base.zero for limit in self.base.limits)
        least, most = (found(axis=axes).astype(np.float64) for found in (self.maps.min, self.maps.max))
        sides = [np.maximum(most / (high or 1), 0), np.maximum(least / (low or -1), 0) * (low < 0)]
        whole = max(float(side.max()) for side in sides) or 1.0
        above, below = (side / whole for side in sides)
        if max(high, -low) < 2 * min(high, -low) or low == 0:
            return np.zeros_like(above), np.maximum(above, below)
        return (below, above) if high > -low else (above, below)


def stretches(sensitivities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each channel's grid relative to the others': the inverse root of its sensitivity, within limits.

    At high rate, steps that give all channels the same distortion a value take the fewest bits for it (reverse
    water-filling). Sensitivities are estimates: one that is too high costs some bits, one that is too low a channel, so
    that grids are made less coarse than fine.
    """
    usual = np.exp(np.mean(np.log(sensitivities[sensitivities > 0]))) if (sensitivities > 0).any() else 1.0
    wanted = np.sqrt(usual / np.maximum(sensitivities, usual * 1e-6))
    return np.clip(wanted, _FINEST, _COARSEST)
