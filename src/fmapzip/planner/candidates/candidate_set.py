"""The candidates of one feature map with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.rate import Rate
from fmapzip.torch.capture import Tap


@dataclass
class CandidateSet:
    """Candidates of one tap.

    Parameters
    ----------
    tap : Tap
    images : int
        Images that share the parameters in the plan: those of calibration.
    """

    tap: Tap
    images: int
    candidates: list[Candidate] = field(default_factory=list)
    rates: dict[str, Rate] = field(default_factory=dict)
    estimates: dict[str, float] = field(default_factory=dict)
    """By `key`: the distortion that the noise sensitivities let expect when this map alone is stored."""
    measured: set[str] = field(default_factory=set)
    """Keys whose distortion was measured."""
    ratios: Sequence[tuple[float, float]] = ()
    """Steps in rising order, each with the logarithm of what distortion is over its estimate, as far as known."""

    def add(self, candidate: Candidate, rate: Rate, estimate: float) -> None:
        """Take in a candidate."""
        if candidate.key not in self.rates:
            self.candidates.append(candidate)
        self.rates[candidate.key] = rate
        self.estimates[candidate.key] = estimate

    def distortion(self, candidate: Candidate) -> float:
        """Return the mean distortion to expect when this map alone is stored."""
        steps, ratios = zip(*self.ratios, strict=True) if self.ratios else ((1.0,), (0.0,))
        ratio = np.interp(np.log(candidate.step), np.log(steps), ratios)
        return float(np.exp(ratio)) * self.estimates[candidate.key]

    def size(self, candidate: Candidate) -> float:
        """Return bytes an image, its share of the plan included."""
        return self.rates[candidate.key].size(self.images)
