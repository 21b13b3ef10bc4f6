"""Choosing among the pools' candidates, corrected for how the maps' damages act together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmapzip.plan import Plan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.explore import Explorer
from fmapzip.planner.hull import Allocation, allocations
from fmapzip.planner.joint import Outcome, Theatre
from fmapzip.planner.judge import Judge
from fmapzip.planner.planned import Step
from fmapzip.planner.search import least_damage, most_saving


@dataclass(frozen=True)
class Choice:
    """A candidate for each tap, what they did on the choosing images, and whether that is within the limit."""

    candidates: tuple[Candidate, ...]
    outcome: Outcome
    within: bool


class Chooser:
    """Spends a limit.

    Parameters
    ----------
    explorer : Explorer
        Its pools hold the coarse candidates.
    theatre : Theatre
        The choosing images.
    judge : Judge
        Says what is limited.
    """

    def __init__(self, explorer: Explorer, theatre: Theatre, judge: Judge) -> None:
        self._explorer, self._theatre, self._judge = explorer, theatre, judge
        self.pools = explorer.pools
        self.steps: list[Step] = []
        self._way: list[Allocation] = []

    def choose(self, limit: float) -> Choice:
        """Choose among the coarse candidates, then again with finer steps around the first choice."""
        self._way = allocations([pool.points() for pool in self.pools])
        choice = self._best(self._way, limit)
        if not choice.within or self._explorer.bench.deadline.passed:
            return choice
        self._explorer.fine(choice.candidates)
        self._way = allocations([pool.points() for pool in self.pools])
        found = self._best(self._way, limit)
        return found if self._better(found, choice) else choice

    def tighten(self, limit: float) -> Choice:
        """Choose again for a tighter limit, without finer steps around the choice."""
        return self._best(self._way, limit)

    def _better(self, one: Choice, other: Choice) -> bool:
        if one.within != other.within:
            return one.within
        if self._judge.limits_size:
            return one.outcome.damage < other.outcome.damage
        return one.outcome.bytes < other.outcome.bytes

    def _best(self, path: Sequence[Allocation], limit: float) -> Choice:
        """Return the allocation of `path` that spends the limit, or the one nearest to it."""
        if self._judge.limits_size:
            at = least_damage(path, limit)
            where = path[-1 if at is None else at]
        else:
            at = most_saving(path, limit, lambda step: self._judge.value(self._run(step)))
            where = path[at or 0]
        return Choice(self._candidates(where), self._run(where), at is not None)

    def _run(self, allocation: Allocation) -> Outcome:
        """Run an allocation on the choosing images."""
        outcome = self._theatre.run(self._plan(self._candidates(allocation)))
        step = Step(allocation.damage, outcome.damage, outcome.bytes)
        if step not in self.steps:
            self.steps.append(step)
        return outcome

    def _candidates(self, allocation: Allocation) -> tuple[Candidate, ...]:
        return tuple(pool.candidates[at] for pool, at in zip(self.pools, allocation.places, strict=True))

    def _plan(self, chosen: Sequence[Candidate]) -> Plan:
        """Return the choice as it was trained for measuring."""
        return Plan(
            tuple(pool.rates[candidate.key].planned for pool, candidate in zip(self.pools, chosen, strict=True))
        )
