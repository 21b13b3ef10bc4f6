"""Making the plan that is handed out, and checking it on images that took no part in the choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fmapzip.plan import Plan
from fmapzip.planner.allocate.choice import Chooser
from fmapzip.planner.allocate.objective import BudgetObjective
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.evaluator import Outcome, PlanEvaluator, drop_interval
from fmapzip.planner.result import Measured

_MOST_BACK_OFFS = 8
_CAUTION = 0.97

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

    Parameters
    ----------
    chooser : Chooser
    train : callable
        Trains chosen candidates on the calibration images.
    choosing, verifying : Stage
    images : int
        Calibration images, which share the plan's bytes.
    """
    limit = choosing.objective.limit
    best: Verified | None = None
    choice = chooser.choose(limit)
    for back_offs in range(_MOST_BACK_OFFS + 1):
        found = checked(train(choice.candidates), choice.candidates, choosing, verifying, images, back_offs)
        if best is None or found.excess < best.excess:
            best = found
        if found.met or not choice.within:
            break
        limit *= _CAUTION / found.excess
        choice = chooser.tighten(limit)
    assert best is not None
    return best


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
