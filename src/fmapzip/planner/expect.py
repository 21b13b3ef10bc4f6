"""What candidates are expected to damage: measurements and estimates, each trusted as far as it deserves.

A measurement is a mean over images, and KL varies so much from one image to the next that tens of them tell it to a
third at best. An estimate by noise gains sees all errors of all values, and is off where the network is not near
linear. How far measurements scatter about estimates beyond what their images explain tells how far estimates are off;
each measurement is drawn towards the common ratio by the share of its own variance (empirical Bayes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmapzip.planner.candidate import Candidate
from fmapzip.planner.pool import Pool

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Measured:
    pool: Pool
    candidate: Candidate
    damages: Floats

    @property
    def ratio(self) -> float:
        """Logarithm of the measured damage over the estimate."""
        return float(np.log(self.damages.mean() / self.pool.estimates[self.candidate.key]))


def learn(pools: Sequence[Pool], damages: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Tell pools what all their candidates are expected to damage alone.

    Parameters
    ----------
    pools : sequence of Pool
    damages : mapping
        Measured damages of images, by tap and by a candidate's `damage_key`.
    """
    found = [each for pool in pools for each in _measured(pool, damages.get(pool.tap.name, {}))]
    ratios: dict[str, dict[float, float]] = {pool.tap.name: {} for pool in pools}
    for step in {each.candidate.step for each in found}:
        rows = [each for each in found if each.candidate.step == step]
        drawn = drawn_together(np.array([row.ratio for row in rows]), _variances([row.damages for row in rows]))
        for row, ratio in zip(rows, drawn, strict=True):
            ratios[row.pool.tap.name][step] = float(ratio)
            row.pool.measured |= {c.key for c in row.pool.candidates if c.damage_key == row.candidate.damage_key}
    for pool in pools:
        pool.ratios = tuple(sorted(ratios[pool.tap.name].items()))


def drawn_together(values: Floats, variances: Floats) -> Floats:
    """Return values drawn towards their mean as far as their own variances explain how they scatter.

    Examples
    --------
    >>> values = np.array([0.0, 1.0, 2.0])
    >>> drawn_together(values, np.zeros(3)).tolist(), drawn_together(values, np.ones(3)).tolist()
    ([0.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    """
    mean = values.mean()
    scatter = max(0.0, float(((values - mean) ** 2).sum() / max(1, len(values) - 1) - variances.mean()))
    own: Floats = scatter / np.maximum(scatter + variances, 1e-30) if scatter > 0 else np.zeros(len(values))
    drawn: Floats = mean + own * (values - mean)
    return drawn


def _measured(pool: Pool, damages: Mapping[str, Sequence[float]]) -> list[_Measured]:
    """Return one candidate for each measured damage that is neither nothing nor estimated to be."""
    by_key = {candidate.damage_key: candidate for candidate in pool.candidates}
    found = [_Measured(pool, by_key[key], np.array(values)) for key, values in damages.items() if key in by_key]
    return [each for each in found if each.damages.mean() > 0 and pool.estimates[each.candidate.key] > 0]


def _variances(rows: Sequence[Floats]) -> Floats:
    """Return the variance of the logarithm of each row's mean, relative to the others' on the same images.

    What all rows share, such as an image on which the network wavers, moves no choice among them.
    """
    relative = np.array([row / row.mean() for row in rows])
    images = relative.shape[1]
    if images < 2:
        return np.full(len(rows), np.inf)
    variances: Floats = (relative - relative.mean(0)).var(1, ddof=1) / images
    return variances
