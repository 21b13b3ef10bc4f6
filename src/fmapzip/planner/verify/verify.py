"""Making the plan that is handed out, and checking it on images that took no part in the choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from fmapzip.plan import Plan
from fmapzip.planner.allocate.choice import Chooser
from fmapzip.planner.allocate.objective import BudgetObjective
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.evaluator import Outcome, PlanEvaluator, drop_interval
from fmapzip.planner.result import Measured

_MOST_TRIALS = 9
_MOST_CLIMBS = 3
_CAUTION = 0.97
_SPENT = 0.9  # of a budget: what is left after a plan that was too far back is worth another trial

Trainer = Callable[[Sequence[Candidate]], Plan]


@dataclass(frozen=True)
class Stage:
    """Images to check a plan on, and what is limited there."""

    evaluator: PlanEvaluator
    objective: BudgetObjective

    def measured(self, plan: Plan) -> Measured:
        """Run a plan."""
        outcome, eight_bit, labels = self.evaluator.run(plan), self.objective.eight_bit, self.evaluator.images.labels
        if not outcome.predictions:
            return Measured(outcome, eight_bit, None, None)
        expected = self.evaluator.expected_drop(outcome, eight_bit)
        drop = None if labels is None else drop_interval(labels, outcome.predictions, eight_bit.predictions)
        return Measured(outcome, eight_bit, expected, drop)


@dataclass(frozen=True)
class Verified:
    """A trained plan with what it does, and by how much it exceeds the budget (at most 1 where it keeps to it)."""

    plan: Plan
    chosen: tuple[Candidate, ...]
    choosing: Measured
    verifying: Measured
    excess: float
    back_offs: int

    @property
    def met(self) -> bool:
        """Whether the budget holds on both groups of images."""
        return self.excess <= 1


def verified(chooser: Chooser, train: Trainer, choosing: Stage, verifying: Stage, images: int) -> Verified:
    """Choose and train until the budget holds on the verifying images too; else return what comes nearest.

    The first choice is the best of many on the choosing images, and may do worse on others by far: the limit is then
    taken back by as much, which may be too far, and halfway up again while much of the budget is left.

    Parameters
    ----------
    chooser : Chooser
    train : callable
        Trains chosen candidates on the calibration images.
    choosing, verifying : Stage
    images : int
        Calibration images, which share the plan's bytes.
    """
    limit, climbs = choosing.objective.limit, 0
    kept: float | None = None
    exceeded: float | None = None
    trials: dict[tuple[Candidate, ...], Verified] = {}
    choice = chooser.choose(limit)
    for back_offs in range(_MOST_TRIALS):
        if choice.candidates not in trials:
            plan = train(choice.candidates)
            trials[choice.candidates] = checked(plan, choice.candidates, choosing, verifying, images, back_offs)
        found = trials[choice.candidates]
        kept, exceeded = (limit, exceeded) if found.met else (kept, limit)
        if not choice.within:
            break
        if kept is None:
            limit *= _CAUTION / found.excess
        elif exceeded is None or climbs == _MOST_CLIMBS or chooser.late or _spent(trials.values()):
            break
        else:
            limit, climbs = sqrt(kept * exceeded), climbs + 1
        choice = chooser.tighten(limit)
    met = [trial for trial in trials.values() if trial.met]
    if met:
        return min(met, key=lambda trial: trial.choosing.outcome.bytes)
    return min(trials.values(), key=lambda trial: trial.excess)


def _spent(trials: Iterable[Verified]) -> bool:
    return any(_SPENT < trial.excess <= 1 for trial in trials)


def checked(
    plan: Plan, chosen: tuple[Candidate, ...], choosing: Stage, verifying: Stage, images: int, back_offs: int = 0
) -> Verified:
    """Run a trained plan on both groups of images."""
    share = len(plan.to_bytes()) / images
    found = [stage.measured(plan) for stage in (choosing, verifying)]
    excess = max(
        _over(stage.objective, each.outcome, share) for stage, each in zip((choosing, verifying), found, strict=True)
    )
    return Verified(plan, chosen, found[0], found[1], excess, back_offs)


def _over(objective: BudgetObjective, outcome: Outcome, share: float) -> float:
    """Return the figure that is limited over its limit."""
    value = objective.value(outcome, share)
    if objective.limit > 0:
        return value / objective.limit
    return 0.0 if value <= 0 else float("inf")
