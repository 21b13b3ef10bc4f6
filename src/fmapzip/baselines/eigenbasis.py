"""The eigenbasis of channels over calibration maps, which transforms of channels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.baselines.base import IntegerMap


@dataclass(frozen=True)
class Eigenbasis:
    """Channels as components of falling variance; mean and vectors are rounded to float16, as they are kept.

    Parameters
    ----------
    mean : array [C]
    centred : array [C, positions]
        The calibration maps without the mean.
    vectors : array [C, C]
        One component a row.
    variances : array [C]
        Of the components, before rounding.
    """

    mean: NDArray[np.float32]
    centred: NDArray[np.float32]
    vectors: NDArray[np.float32]
    variances: NDArray[np.float64]


def eigenbasis(maps: IntegerMap) -> Eigenbasis:
    """The eigenbasis of maps [N, C, ...]."""
    columns = columns_of(np.moveaxis(maps, 1, 0))
    mean = columns.mean(axis=1).astype(np.float16).astype(np.float32)
    centred = columns - mean[:, None]
    values, vectors = np.linalg.eigh((centred @ centred.T / centred.shape[1]).astype(np.float64))
    return Eigenbasis(mean, centred, vectors[:, ::-1].T.astype(np.float16).astype(np.float32), values[::-1])


def columns_of(q: NDArray[Any]) -> NDArray[np.float32]:
    """A map [C, ...] as one column a position."""
    return np.ascontiguousarray(q, np.float32).reshape(q.shape[0], -1)
