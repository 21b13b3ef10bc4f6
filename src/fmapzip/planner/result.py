"""What planning found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fmapzip.plan import Plan
from fmapzip.planner.budget import Budget, Metric
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.measure.evaluator import Outcome
from fmapzip.torch.results import TaskResult


@dataclass(frozen=True)
class Measured:
    """A plan and what it does on some images.

    Parameters
    ----------
    outcome : Outcome
    eight_bit : Outcome
        Of the 8-bit network on the same images.
    expected_drop : float or None
        Top-1 expected to be lost against the 8-bit network, as a fraction; None without class scores.
    drop : tuple of float or None
        Top-1 lost, and its 95 % confidence interval, as fractions; None without labels or class scores.
    """

    outcome: Outcome
    eight_bit: Outcome
    expected_drop: float | None
    drop: tuple[float, float, float] | None


@dataclass(frozen=True)
class Step:
    """A plan that was run on the choosing images: what was predicted of it, and what was measured."""

    predicted: float
    distortion: float
    bytes: float


@dataclass(frozen=True)
class Planned:
    """A plan, whether it keeps to the budget, and how it came about.

    Parameters
    ----------
    plan : Plan
    budget : Budget
    met : bool
        Whether the budget held on the images that choose and on those that verify.
    metric : {"kl", "noise"}
        What distortion is measured in.
    raw_bytes : int
        One byte a value: all the taps of an image.
    calibration_images : int
    choosing, verifying : Measured
        The plan on the images that chose it, and on the others.
    candidate_sets : tuple of CandidateSet
        One a tap.
    chosen : tuple of Candidate
        One a tap.
    steps : sequence of Step
        Plans that were run on the way.
    back_offs : int
        Plans that were verified before this one.
    notes : sequence of str
    seconds : float
    task : TaskResult or None
        The plan by the metric that the budget is in, on all the images.
    """

    plan: Plan
    budget: Budget
    met: bool
    metric: Metric
    raw_bytes: int
    calibration_images: int
    choosing: Measured
    verifying: Measured
    candidate_sets: tuple[CandidateSet, ...] = field(repr=False)
    chosen: tuple[Candidate, ...] = field(repr=False)
    steps: Sequence[Step] = field(repr=False)
    back_offs: int
    notes: Sequence[str]
    seconds: float
    task: TaskResult | None = None

    def ratio(self, images: int | None = None) -> float:
        """Return 8-bit raw over frames and plan, on the verifying images; the plan is shared by `images`.

        By default by the calibration images.
        """
        frames = self.verifying.outcome.bytes
        return self.raw_bytes / (frames + len(self.plan.to_bytes()) / (images or self.calibration_images))
