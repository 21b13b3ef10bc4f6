"""From a network, calibration images and a budget to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import nn

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.fallbacks import fallbacks_of
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan
from fmapzip.planner.allocate.choice import Chooser
from fmapzip.planner.allocate.objective import BudgetObjective
from fmapzip.planner.budget import Budget, Metric
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.candidates.families import codecs_of
from fmapzip.planner.candidates.search import CandidateSearch
from fmapzip.planner.measure.distortion import reference
from fmapzip.planner.measure.evaluator import PlanEvaluator
from fmapzip.planner.measure.fingerprint import fingerprint
from fmapzip.planner.measure.images import Images, divide, gather
from fmapzip.planner.measure.meter import Deadline, DistortionMeter
from fmapzip.planner.measure.rate import Rates
from fmapzip.planner.measure.sensitivities import noise_sensitivities
from fmapzip.planner.measure.speed import fast_enough
from fmapzip.planner.result import Planned, Step
from fmapzip.planner.verify.task import TaskCheck, kept_by_task
from fmapzip.planner.verify.train import trained
from fmapzip.planner.verify.verify import Stage, Verified, checked, verified
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import Calibration, calibrate
from fmapzip.torch.capture import METHODS, Captured, capture, select
from fmapzip.torch.inputs import first_sample
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.results import TaskResult
from fmapzip.torch.tasks import Metric as TaskMetric

_GROUPS = ("choosing", "verifying")
_MEASURING: dict[Metric, int] = {"kl": 64, "noise": 12}  # images; noise varies far less from one to the next than KL
_CALIBRATOR = "minmax:offset"
_STARTS: dict[Metric, Budget] = {"kl": Budget("kl", 0.03), "noise": Budget("sqnr", 18)}
"""The distortion that the search for what a metric allows starts from."""
_PROBES = 4
_SENSITIVITY_IMAGES = 128


def make_plan(
    model: nn.Module,
    calibration: Any,
    budget: Budget,
    *,
    codecs: Sequence[str | Codec] = ("auto",),
    validation: Any = None,
    taps: Sequence[str] | str | None = None,
    metrics: MetricsChoice = "auto",
    task: TaskMetric | None = None,
    threads: int = 1,
    time_limit: float | None = None,
    min_decode: float | None = None,
    seed: int = 0,
    state: Path | None = None,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
) -> Planned:
    """Find the plan that saves the most within a budget, or distortions least within a size.

    Every feature map's candidates (grids, codecs, settings) are measured alone: bytes by real frames, distortion by the
    change of the network's output. A Lagrangian allocation over their lower convex hulls, measured jointly and
    corrected for how maps act together, spends the budget; images that took no part in the choice verify it.

    Parameters
    ----------
    model : nn.Module
        Run in eval mode and left as it was.
    calibration : iterable
        Batches, as `fmapzip.torch.evaluate` takes them; gone through several times.
    budget : Budget
    codecs : sequence of str or Codec
        To choose from; ``auto``: every built-in one. A codec's given settings stay as they are.
    validation : iterable, optional
        Batches that verify; by default every fourth calibration image does, and takes no part in the choice.
    taps : names or globs, optional
        Feature maps to plan; default all.
    metrics : {"auto", "classes", "output"}
        Whether the output is class scores, as in `fmapzip.torch.evaluate`.
    task : Metric, optional
        What a budget of kind ``task`` is in. Distortion of the output is planned, and as much of it allowed as the
        metric allows on all the calibration and validation images.
    threads : int
        Threads of the codecs.
    time_limit : float, optional
        Seconds after which single maps are no longer measured with care: fewer candidates are tried, sizes are of two
        images, and distortion is estimated. The choice among them and its verification follow.
    min_decode : float, optional
        MB/s at least: codecs that decode the calibration maps more slowly, on one thread of this machine, are left out.
    seed : int
        Of the random vectors that estimate noise sensitivities.
    state : Path, optional
        A file for measurements: planning that was interrupted goes on from it, and other budgets reuse it.
    methods, progress
        As in `fmapzip.torch.evaluate`.

    Raises
    ------
    InvalidInput
        Fewer than 2 images, a budget in KL or top-1 for a network whose output is not class scores, one of a metric
        without it, or no codec that decodes as fast as it must.
    CaptureError, UnknownCodec
    """
    start = perf_counter()
    if (task is not None) != (budget.kind == "task"):
        raise InvalidInput("a budget of kind 'task' needs task=, and only it takes one")
    batches = Batches(calibration, "calibration")
    options, deadline = codecs_of(codecs), Deadline(time_limit)
    with evaluation_mode(model):
        captured = capture(model, first_sample(batches.first()), methods)
        found = calibrate(captured, select(captured.taps, taps), batches, _CALIBRATOR, progress)
        metric = _metric(budget, found.class_scores if metrics == "auto" else metrics == "classes")
        groups = _groups(batches, None if validation is None else Batches(validation, "validation"))
        measured_in = f"{metric} by {task.name}" if task is not None and task.weighs_errors else metric
        known = MeasurementCache(state, "plan", fingerprint(model, groups, found, measured_in, seed))
        session = _Session(captured, batches, found, groups, metric, known, threads, deadline, progress, task)
        return session.plan(budget, options, min_decode, seed, start)


def plans_of(
    captured: Captured,
    calibration: Any,
    budgets: Sequence[Budget],
    codecs: Sequence[str | Codec] = ("auto",),
    *,
    metrics: MetricsChoice = "auto",
    threads: int = 1,
    progress: Progress = ignore_progress,
) -> list[Planned]:
    """Find a plan of all the taps of a captured network for each of some budgets of distortion.

    Parameters
    ----------
    captured : Captured
        In eval mode.
    calibration, budgets, codecs, metrics, threads, progress
        As of `make_plan`; measurements are made once for all budgets.

    Raises
    ------
    InvalidInput
        As of `make_plan`.
    """
    batches, options, deadline = Batches(calibration, "calibration"), codecs_of(codecs), Deadline(None)
    found = calibrate(captured, captured.taps, batches, _CALIBRATOR, progress)
    groups, planned = _groups(batches, None), []
    known: dict[Metric, MeasurementCache] = {}
    for budget in budgets:
        start = perf_counter()
        metric = _metric(budget, found.class_scores if metrics == "auto" else metrics == "classes")
        cache = known.setdefault(metric, MeasurementCache(None, "plan", ""))
        session = _Session(captured, batches, found, groups, metric, cache, threads, deadline, progress, None)
        planned.append(session.plan(budget, options, None, 0, start))
    return planned


@dataclass(frozen=True)
class _Session:
    captured: Captured
    batches: Batches
    calibration: Calibration
    groups: tuple[Images, Images]
    metric: Metric
    cache: MeasurementCache
    threads: int
    deadline: Deadline
    progress: Progress
    task: TaskMetric | None

    def plan(
        self, budget: Budget, options: Sequence[Codec], min_decode: float | None, seed: int, start: float
    ) -> Planned:
        planned = _STARTS[self.metric] if self.task is not None else budget
        choosing, verifying = (self._stage(name, planned) for name in _GROUPS)
        in_draft = not (budget.lossless or budget.limits_size)
        search, slow = self._search(choosing, options, min_decode, seed, in_draft)
        search.fixed()
        steps: Sequence[Step] = ()
        judged: TaskResult | None = None
        if budget.lossless:
            chosen = tuple(_smallest_lossless(options) for options in search.candidate_sets)
            found = checked(self._train(chosen), chosen, choosing, verifying, self.calibration.images)
        else:
            search.coarse()
            chooser = Chooser(search, choosing.evaluator, choosing.objective)
            if self.task is None:
                found = verified(chooser, self._train, choosing, verifying, self.calibration.images)
            else:
                check = self._check(self.task, budget)
                found, judged = kept_by_task(chooser, self._train, choosing, verifying, self.calibration.images, check)
            steps = chooser.steps
            if in_draft:
                found = self._finished(search, found, choosing, verifying)
        return Planned(
            plan=found.plan,
            budget=budget,
            met=budget.lossless or found.met,
            metric=self.metric,
            raw_bytes=choosing.objective.raw_bytes,
            calibration_images=self.calibration.images,
            choosing=found.choosing,
            verifying=found.verifying,
            candidate_sets=search.candidate_sets,
            chosen=found.chosen,
            steps=steps,
            back_offs=found.back_offs,
            notes=(*self.captured.notes, *slow, *fallbacks_of(found.plan)),
            seconds=perf_counter() - start,
            task=judged,
        )

    def _finished(self, search: CandidateSearch, found: Verified, choosing: Stage, verifying: Stage) -> Verified:
        """Return a plan of drafts with the codecs that they stand for: the same values in fewer bytes."""
        chosen = search.finish(found.chosen)
        if chosen == found.chosen:
            return found
        done = checked(self._train(chosen), chosen, choosing, verifying, self.calibration.images, found.back_offs)
        return replace(done, excess=found.excess)  # which a metric may have judged

    def _check(self, task: TaskMetric, budget: Budget) -> TaskCheck:
        return TaskCheck(
            metric=task,
            figure=str(budget.figure),
            limit=budget.value,
            captured=self.captured,
            taps=self.calibration.taps,
            groups=self.groups,
            threads=self.threads,
            progress=self.progress,
        )

    def _stage(self, name: str, budget: Budget) -> Stage:
        images, taps = self.groups[_GROUPS.index(name)], self.calibration.taps
        exact = reference(self.captured, images, self.metric, self.task)
        evaluator = PlanEvaluator(name, self.captured, taps, images, exact, self.cache, self.threads)
        eight_bit = evaluator.run(self.calibration.plan(registry.make("raw")))
        return Stage(evaluator, BudgetObjective(budget, evaluator, eight_bit, sum(prod(tap.shape) for tap in taps)))

    def _search(
        self, stage: Stage, options: Sequence[Codec], min_decode: float | None, seed: int, in_draft: bool
    ) -> tuple[CandidateSearch, tuple[str, ...]]:
        """Return what fills the sets of candidates, and what to tell of the codecs that are not among them."""
        taps, images = self.calibration.taps, stage.evaluator.images.some(_MEASURING[self.metric])
        exact = reference(self.captured, images, self.metric, self.task)
        meter = DistortionMeter(
            captured=self.captured,
            taps=taps,
            choosing=images,
            reference=exact,
            rates=Rates(self.captured, taps, stage.evaluator.images, self.cache, self.threads),
            cache=self.cache,
            threads=self.threads,
            progress=self.progress,
            deadline=self.deadline,
        )
        bases = self.calibration.quantizers
        slow: tuple[str, ...] = ()
        if min_decode is not None:
            options, slow = fast_enough(options, min_decode, taps, bases, meter.rates, self.cache)
        weights = exact.weights if self.metric == "noise" else None
        sensitivities = noise_sensitivities(
            self.captured, taps, images.some(_SENSITIVITY_IMAGES).batches, self.metric, _PROBES, seed, weights
        )
        return CandidateSearch(meter, bases, sensitivities, options, self.calibration.images, in_draft), slow

    def _train(self, chosen: Sequence[Candidate]) -> Plan:
        return trained(self.captured, self.calibration, self.batches, chosen, {}, self.progress)


def _metric(budget: Budget, class_scores: bool) -> Metric:
    """Return what distortion is measured in."""
    if budget.kind in ("kl", "drop") and not class_scores:
        raise InvalidInput(
            "the network's output does not look like class scores: give --min-sqnr, or --metrics classes if it is"
        )
    return "kl" if class_scores and budget.kind != "sqnr" else "noise"


def _groups(batches: Batches, validation: Batches | None) -> tuple[Images, Images]:
    """Return the images that choose and those that verify."""
    return divide(gather(batches)) if validation is None else (gather(batches), gather(validation))


def _smallest_lossless(options: CandidateSet) -> Candidate:
    """Return the lossless candidate of the fewest bytes."""
    lossless = [candidate for candidate in options.candidates if candidate.codec.lossless]
    if not lossless:
        raise InvalidInput("a budget of 0 needs a lossless codec among those to choose from")
    return min(lossless, key=options.size)
