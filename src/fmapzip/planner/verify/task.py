"""Keeping to what a metric may lose: distortion is planned, the metric decides how much of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import Any

from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.planner.allocate.choice import Choice, Chooser
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.images import Images
from fmapzip.planner.verify.verify import Stage, Trainer, Verified, checked
from fmapzip.torch.actions import Store
from fmapzip.torch.batches import Progress
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import batch_size, call
from fmapzip.torch.outputs import of_image
from fmapzip.torch.results import TaskResult
from fmapzip.torch.slot import Action
from fmapzip.torch.tasks import Metric
from fmapzip.torch.tasks.judge import compared, detached

_MOST_TRIALS = 8
_STRIDE = 4.0
_NEAR = 1.25
_CAUTION = 0.8


@dataclass(frozen=True)
class TaskCheck:
    """A metric, and the images that it judges a plan on: all that calibrate, since on few of them chance rules.

    Parameters
    ----------
    metric : Metric
    figure : str
        The figure that is limited.
    limit : float
        The most that it may lose against the float network.
    captured, taps, groups, threads, progress
        The network, what to store, the images, and how.
    """

    metric: Metric
    figure: str
    limit: float
    captured: Captured
    taps: Sequence[Tap]
    groups: Sequence[Images]
    threads: int
    progress: Progress

    def result(self, plan: Plan) -> TaskResult:
        """Run a plan and judge it."""
        kept = self._kept({tap.name: Store(tap, plan, self.threads) for tap in self.taps})
        found = {each.figure: each for each in compared(self.metric, [self._exact, kept])[1]}
        if self.figure not in found:
            raise InvalidInput(f"--metric {self.metric.name} has no figure {self.figure!r}; it has {', '.join(found)}")
        return found[self.figure]

    def excess(self, result: TaskResult) -> float:
        """Return the loss over what may be lost; at most 1 where the plan keeps to it."""
        loss = result.loss or 0.0
        if self.limit > 0:
            return loss / self.limit
        return 0.0 if loss <= 0 else float("inf")

    @cached_property
    def _exact(self) -> list[Any]:
        return self._kept({})

    def _kept(self, actions: Mapping[str, Action]) -> list[Any]:
        """Run the network and return what the metric keeps of each image."""
        found: list[Any] = []
        total = sum(map(len, self.groups))
        for images in self.groups:
            place = 0
            for batch in images.batches:
                count = batch_size(batch)
                with running(self.captured, actions):
                    output = detached(call(self.captured.module, batch))
                for i in range(count):
                    target = None if images.targets is None else images.targets[place + i]
                    found.append(self.metric.image(of_image(output, i, count), target))
                place += count
                self.progress(f"judging by {self.metric.name}", len(found), total)
        return found


def kept_by_task(
    chooser: Chooser, train: Trainer, choosing: Stage, verifying: Stage, images: int, check: TaskCheck
) -> tuple[Verified, TaskResult]:
    """Choose and train until the metric holds with the most distortion that it allows; else return the nearest.

    The stages' own limit is where the search starts.

    Parameters
    ----------
    chooser : Chooser
    train : callable
        Trains chosen candidates on the calibration images.
    choosing, verifying : Stage
    images : int
        Calibration images, which share the plan's bytes.
    check : TaskCheck
    """
    trials: list[tuple[Verified, TaskResult]] = []

    def holds(choice: Choice) -> bool:
        plan = train(choice.candidates)
        found = checked(plan, choice.candidates, choosing, verifying, images, len(trials))
        result = check.result(plan)
        trials.append((replace(found, excess=check.excess(result)), result))
        return trials[-1][0].met

    most: float | None = None
    least: float | None = None
    choice = chooser.choose(choosing.objective.limit)
    tried: set[tuple[Candidate, ...]] = set()
    while choice.candidates not in tried and len(tried) < _MOST_TRIALS:
        tried.add(choice.candidates)
        if holds(choice):
            most = choice.outcome.distortion
        else:
            least = choice.outcome.distortion
            if not choice.within:
                break
        if most is not None and least is not None and least < most * _NEAR:
            break
        limit = _between(most, least)
        choice = chooser.tighten(limit)
        for _ in range(_MOST_TRIALS):
            if choice.candidates not in tried or least is not None:
                break
            limit *= _STRIDE  # it was less than what the network's 8 bits do, or than the next plan
            choice = chooser.tighten(limit)
        if choice.candidates in tried and least is None:
            choice = chooser.choose(limit)  # among coarser candidates too, around the coarsest so far
    if most is not None:
        refined = chooser.choose(most)
        if refined.candidates not in tried and not holds(refined):
            holds(chooser.tighten(most * _CAUTION))
    met = [trial for trial in trials if trial[0].met]
    if met:
        return min(met, key=lambda trial: trial[0].verifying.outcome.bytes)
    return min(trials, key=lambda trial: trial[0].excess)


def _between(most: float | None, least: float | None) -> float:
    """Return the distortion to try next, above `most`, which held, and below `least`, which did not."""
    if most is not None and least is not None:
        return sqrt(most * least)
    if most is not None:
        return most * _STRIDE
    assert least is not None
    return least / _STRIDE
