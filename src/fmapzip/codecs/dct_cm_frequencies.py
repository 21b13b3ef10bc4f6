"""Which frequencies of dct-cm's transform are worth their bits, from the statistics of coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.dct_cm_symbols import coefficient_maps

_FINENESS = 8  # steps in which coefficients are looked at, in one of those that are stored
# At high rate a bit halves the step, and noise falls by 6 dB: what a bit is worth, in squared steps.
_WORTH_OF_A_BIT = 2 * log(2) / 12


def worth_keeping(maps: NDArray[Any], group: int, step: float, order: Sequence[int] | None) -> tuple[int, ...]:
    """Return the frequencies whose coefficients take away more noise than their bits would elsewhere.

    Parameters
    ----------
    maps : uint8 or int8 array [N, C, ...]
    group : int
        Channels of one transform.
    step : float
    order : sequence of int or None
        Of the channels; None: as they are.

    Returns
    -------
    tuple of int
        The lowest frequency at least.
    """
    whole = maps.shape[1] // group * group  # a shorter last transform is left to follow the others
    if not whole:
        return tuple(range(group))
    fine = coefficient_maps(maps, group, lambda length: [step / _FINENESS] * length, order, False)[:, :whole]
    kept = [k for k in range(group) if _worth(fine[:, k::group].astype(np.float64) / _FINENESS)]
    return tuple(sorted({0, *kept}))


def _worth(values: NDArray[np.float64]) -> bool:
    """Whether coefficients, in steps, are better stored than left out; bits by their entropy without contexts."""
    symbols = np.rint(values)
    shares = np.unique(symbols, return_counts=True)[1] / symbols.size
    bits = float(-(shares * np.log2(shares)).sum())
    taken_away = float(np.square(values).mean() - np.square(values - symbols).mean())
    return taken_away > _WORTH_OF_A_BIT * bits
