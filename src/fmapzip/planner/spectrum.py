"""The distribution of a feature map's values, and from it what a grid and a step would damage."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_requantiser import step_indices
from fmapzip.quantize import QuantParams

_BINS_A_STEP = 64


class Spectrum:
    """Magnitudes in units of the calibrated grid, counted, and weighted by how much noise in them moves the output.

    Parameters
    ----------
    maps : float32 array [N, C, ...]
    base : QuantParams
        The calibrated quantizer, one scale for the tensor.
    gains : float64 array [C]
        Damage of unit noise energy in each channel.
    shape : float64 array [C]
        What each channel's grid is stretched by.
    """

    def __init__(
        self, maps: NDArray[np.float32], base: QuantParams, gains: NDArray[np.float64], shape: NDArray[np.float64]
    ) -> None:
        self._limit = base.limits[1]
        size = (self._limit + 1) * _BINS_A_STEP
        self._counts = np.zeros(size)
        self._weights = np.zeros(size)
        unit = np.float32(base.scale[0] / _BINS_A_STEP)
        for channel, (gain, stretch) in enumerate(zip(gains, shape, strict=True)):
            values = np.abs(maps[:, channel])
            places = np.minimum(values / (unit * np.float32(stretch)), size - 1).astype(np.int32)
            counts = np.bincount(places.reshape(-1)[values.reshape(-1) > 0], minlength=size)
            self._counts += counts
            self._weights += counts * (gain * (stretch * base.scale[0]) ** 2)
        self._weights /= len(maps)
        self._centres = (np.arange(size) + 0.5) / _BINS_A_STEP

    def damage(self, fineness: float, step: Fraction) -> float:
        """Estimate the damage to an image of a grid `fineness` times as fine, re-quantised by `step`.

        Reconstruction points are the rounded centroids, as `context-rans` trains them.
        """
        values = self._centres * fineness
        integers = np.minimum(np.rint(values), self._limit).astype(np.int64)
        indices = step_indices(integers, step)
        counts = np.bincount(indices, self._counts)
        points = np.rint(np.bincount(indices, self._counts * integers) / np.maximum(counts, 1e-9))
        points[0] = 0
        return float(np.sum(self._weights * (points[indices] / fineness - self._centres) ** 2))
