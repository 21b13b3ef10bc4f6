"""What candidates are expected to distort: measurements and estimates, each trusted as far as it deserves.

A measurement is a mean over images, and KL varies so much from one image to the next that tens of them tell it to a
third at best. An estimate by noise sensitivities sees all errors of all values, and is off where the network is not
near linear. How far measurements scatter about estimates beyond what their images explain tells how far estimates are
off; each measurement is drawn towards the common ratio by the share of its own variance (empirical Bayes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Measured:
    options: CandidateSet
    candidate: Candidate
    distortions: Floats

    @property
    def ratio(self) -> float:
        """Logarithm of the measured distortion over the estimate."""
        return float(np.log(self.distortions.mean() / self.options.estimates[self.candidate.key]))


def learn(sets: Sequence[CandidateSet], distortions: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Tell sets what all their candidates are expected to distort alone.

    Parameters
    ----------
    sets : sequence of CandidateSet
    distortions : mapping
        Measured distortions of images, by tap and by a candidate's `distortion_key`.
    """
    found = [each for options in sets for each in _measured(options, distortions.get(options.tap.name, {}))]
    ratios: dict[str, dict[float, float]] = {options.tap.name: {} for options in sets}
    for step in {each.candidate.step for each in found}:
        rows = [each for each in found if each.candidate.step == step]
        drawn = drawn_together(np.array([row.ratio for row in rows]), _variances([row.distortions for row in rows]))
        for row, ratio in zip(rows, drawn, strict=True):
            ratios[row.options.tap.name][step] = float(ratio)
            row.options.measured |= {
                c.key for c in row.options.candidates if c.distortion_key == row.candidate.distortion_key
            }
    for options in sets:
        options.ratios = tuple(sorted(ratios[options.tap.name].items()))


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


def _measured(options: CandidateSet, distortions: Mapping[str, Sequence[float]]) -> list[_Measured]:
    """Return one candidate for each measured distortion that is neither nothing nor estimated to be."""
    by_key = {candidate.distortion_key: candidate for candidate in options.candidates}
    found = [_Measured(options, by_key[key], np.array(values)) for key, values in distortions.items() if key in by_key]
    return [each for each in found if each.distortions.mean() > 0 and options.estimates[each.candidate.key] > 0]


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
