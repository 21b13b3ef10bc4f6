"""The candidates of one feature map with what is known of them, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fmapzip.planner.candidate import Candidate
from fmapzip.planner.damage import mean
from fmapzip.planner.hull import Point
from fmapzip.planner.rate import Rate
from fmapzip.torch.capture import Tap


@dataclass
class Pool:
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
    alone: dict[str, float] = field(default_factory=dict)
    """By `key`: mean damage when this map alone is stored; measured, or expected from what was."""
    measured: set[str] = field(default_factory=set)
    """Keys whose damage was measured."""
    estimates: dict[str, float] = field(default_factory=dict)
    """By `key`: the damage that the noise gains let expect."""

    def add(self, candidate: Candidate, rate: Rate) -> None:
        """Take in a candidate."""
        if candidate.key not in self.rates:
            self.candidates.append(candidate)
        self.rates[candidate.key] = rate

    def learn(self, damages: Mapping[str, Sequence[float]]) -> None:
        """Take in measured damages of images, by `damage_key`."""
        for candidate in self.candidates:
            if candidate.damage_key in damages:
                self.alone[candidate.key] = mean(damages[candidate.damage_key])
                self.measured.add(candidate.key)

    def size(self, candidate: Candidate) -> float:
        """Return bytes an image, its share of the plan included."""
        return self.rates[candidate.key].size(self.images)

    def points(self, damages: Mapping[str, float] | None = None) -> list[Point]:
        """Return the candidates whose damage is known, for the choice."""
        known = self.alone if damages is None else damages
        return [
            Point(self.size(candidate), known[candidate.key], place)
            for place, candidate in enumerate(self.candidates)
            if candidate.key in known
        ]

    def beside(self, chosen: Candidate, each_way: int) -> list[Candidate]:
        """Return the candidates next to `chosen` in size, it among them."""
        ordered = sorted(self.candidates, key=self.size)
        at = ordered.index(chosen)
        return ordered[max(0, at - each_way) : at + each_way + 1]
