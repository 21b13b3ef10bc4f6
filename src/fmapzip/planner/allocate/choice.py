"""Choosing among the sets' candidates, corrected for how the maps' distortions act together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmapzip.plan import Plan
from fmapzip.planner.allocate.hull import Allocation, Point, allocations
from fmapzip.planner.allocate.objective import BudgetObjective
from fmapzip.planner.allocate.search import least_distortion, most_saving
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.candidates.search import CandidateSearch
from fmapzip.planner.measure.evaluator import Outcome, PlanEvaluator
from fmapzip.planner.result import Step

_MOST_ROUNDS = 6
_ROUGHLY = 0.005  # of its bytes: how near the budget a choice must come that is made again


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
    search : CandidateSearch
        Its sets hold the coarse candidates.
    evaluator : PlanEvaluator
        The choosing images.
    objective : BudgetObjective
        Says what is limited.
    """

    def __init__(self, search: CandidateSearch, evaluator: PlanEvaluator, objective: BudgetObjective) -> None:
        self._search, self._evaluator, self._objective = search, evaluator, objective
        self.candidate_sets = search.candidate_sets
        self.steps: list[Step] = []
        self._way: list[Allocation] = []
        self._factor = 1.0

    @property
    def late(self) -> bool:
        """Whether the time for measurements is over."""
        return self._search.meter.deadline.passed

    def choose(self, limit: float) -> Choice:
        """Choose among the coarse candidates, again with what is near while that is better, then with finer steps."""
        self._way = allocations([points(options) for options in self.candidate_sets])
        choice = self._best(self._way, limit, _ROUGHLY)
        for _ in range(_MOST_ROUNDS):
            if not choice.within or not self._search.near(choice.candidates):
                break
            found, way = self._again(limit, _ROUGHLY)
            if not self._better(found, choice):
                break
            choice, self._way = found, way
        if not choice.within or self.late:
            return choice
        self._search.fine(choice.candidates)
        found, way = self._again(limit)
        if self._better(found, choice):
            choice, self._way = found, way
        return choice

    def _again(self, limit: float, tolerance: float = 0.0) -> tuple[Choice, list[Allocation]]:
        """Choose among all candidates that there are by now."""
        way = allocations([points(options) for options in self.candidate_sets])
        return self._best(way, limit, tolerance), way

    def tighten(self, limit: float) -> Choice:
        """Choose again for a tighter limit, without finer steps around the choice."""
        return self._best(self._way, limit)

    def _better(self, one: Choice, other: Choice) -> bool:
        if one.within != other.within:
            return one.within
        if self._objective.limits_size:
            return one.outcome.distortion < other.outcome.distortion
        return one.outcome.bytes < other.outcome.bytes

    def _best(self, path: Sequence[Allocation], limit: float, tolerance: float = 0.0) -> Choice:
        """Return the allocation of `path` that spends the limit to within a share of its size, or the nearest to it."""
        if self._objective.limits_size:
            at = least_distortion(path, limit)
            where = path[-1 if at is None else at]
        else:
            at = most_saving(path, limit, lambda step: self._objective.value(self._run(step)), self._factor, tolerance)
            where = path[at or 0]
        return Choice(self._candidates(where), self._run(where), at is not None)

    def _run(self, allocation: Allocation) -> Outcome:
        """Run an allocation on the choosing images."""
        outcome = self._evaluator.run(self._plan(self._candidates(allocation)))
        if allocation.distortion > 0 and outcome.distortion > 0:
            self._factor = outcome.distortion / allocation.distortion
        step = Step(allocation.distortion, outcome.distortion, outcome.bytes)
        if step not in self.steps:
            self.steps.append(step)
        return outcome

    def _candidates(self, allocation: Allocation) -> tuple[Candidate, ...]:
        return tuple(options.candidates[at] for options, at in zip(self.candidate_sets, allocation.places, strict=True))

    def _plan(self, chosen: Sequence[Candidate]) -> Plan:
        """Return the choice as it was trained for measuring."""
        return Plan(
            tuple(
                options.rates[candidate.key].planned
                for options, candidate in zip(self.candidate_sets, chosen, strict=True)
            )
        )


def points(options: CandidateSet) -> list[Point]:
    """Return a feature map's candidates as the points to choose from."""
    return [
        Point(options.size(candidate), options.distortion(candidate), place)
        for place, candidate in enumerate(options.candidates)
    ]
