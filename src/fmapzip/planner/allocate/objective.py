"""What a budget means for a plan that was run."""

from __future__ import annotations

from dataclasses import dataclass

from fmapzip.planner.budget import Budget
from fmapzip.planner.measure.evaluator import Outcome, PlanEvaluator


@dataclass(frozen=True)
class BudgetObjective:
    """Turns outcomes on some images into the figure that is limited.

    Parameters
    ----------
    budget : Budget
    evaluator : PlanEvaluator
        The images.
    eight_bit : Outcome
        Of the 8-bit network on them.
    raw_bytes : int
        Of an image's taps.
    """

    budget: Budget
    evaluator: PlanEvaluator
    eight_bit: Outcome
    raw_bytes: int

    @property
    def limits_size(self) -> bool:
        """Whether bytes are limited, not distortion."""
        return self.budget.limits_size

    @property
    def limit(self) -> float:
        """The most that `value` may be: nats, a fraction of top-1, noise over signal, or bytes an image."""
        value = self.budget.value
        return {
            "kl": value,
            "drop": value / 100,
            "sqnr": 10 ** (-value / 10),
            "ratio": self.raw_bytes / value if value else 0.0,
            "bytes": value,
        }[self.budget.kind]

    def value(self, outcome: Outcome, plan_bytes: float = 0.0) -> float:
        """Return the figure of an outcome; `plan_bytes` are the plan's, an image."""
        if self.limits_size:
            return outcome.bytes + plan_bytes
        if self.budget.kind == "drop":
            return self.evaluator.expected_drop(outcome, self.eight_bit)
        return outcome.distortion
