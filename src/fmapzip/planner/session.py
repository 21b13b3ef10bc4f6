"""A network, its calibration and what was measured of it: what plans are made from."""

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
from fmapzip.torch.batches import Batches, Progress
from fmapzip.torch.calibrate import Calibration, calibrate
from fmapzip.torch.capture import Captured, capture, select
from fmapzip.torch.inputs import first_sample
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.results import TaskResult
from fmapzip.torch.tasks import Metric as TaskMetric

CALIBRATOR = "minmax:offset"
MEASUREMENTS = "plan"
"""Whose measurements they are, in a file of them."""
_GROUPS = ("choosing", "verifying")
_MEASURING: dict[Metric, int] = {"kl": 64, "noise": 12}  # images; noise varies far less from one to the next than KL
_STARTS: dict[Metric, Budget] = {"kl": Budget("kl", 0.03), "noise": Budget("sqnr", 18)}
"""The distortion that the search for what a metric allows starts from."""
_PROBES = 4
_SENSITIVITY_IMAGES = 128


@dataclass(frozen=True)
class Session:
    """What plans are made from.

    Parameters
    ----------
    captured : Captured
    batches : Batches
        Of calibration.
    calibration : Calibration
    groups : tuple of Images
        Those that choose, and those that verify.
    metric : {"kl", "noise"}
    cache : MeasurementCache
    threads : int
        Of the codecs.
    deadline : Deadline
    progress : callable
    task : Metric or None
    """

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
        """Find the plan within a budget; `start` is when that began."""
        planned = _STARTS[self.metric] if self.task is not None else budget
        choosing, verifying = (self._stage(name, planned) for name in _GROUPS)
        in_draft = searched_in_draft(budget)
        search, slow = self.search(options, min_decode, seed, in_draft)
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

    def search(
        self, options: Sequence[Codec], min_decode: float | None, seed: int, in_draft: bool
    ) -> tuple[CandidateSearch, tuple[str, ...]]:
        """Return what fills the sets of candidates, and what to tell of the codecs that are not among them."""
        taps, choosing = self.calibration.taps, self.groups[0]
        images = choosing.some(_MEASURING[self.metric])
        exact = reference(self.captured, images, self.metric, self.task)
        meter = DistortionMeter(
            captured=self.captured,
            taps=taps,
            choosing=images,
            reference=exact,
            rates=Rates(self.captured, taps, choosing, self.cache, self.threads),
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
        return trained(self.captured, self.calibration, self.batches, chosen, {}, self.progress, self.cache)


def open_session(
    model: nn.Module,
    calibration: Any,
    budget: Budget,
    *,
    validation: Any,
    taps: Sequence[str] | str | None,
    metrics: MetricsChoice,
    task: TaskMetric | None,
    threads: int,
    deadline: Deadline,
    seed: int,
    state: Path | None,
    methods: Sequence[str],
    progress: Progress,
) -> Session:
    """Capture and calibrate a network in eval mode, and open what was measured of it.

    The arguments, and what is raised, are those of `fmapzip.planner.make_plan`.
    """
    if (task is not None) != (budget.kind == "task"):
        raise InvalidInput("a budget of kind 'task' needs task=, and only it takes one")
    batches = Batches(calibration, "calibration")
    captured = capture(model, first_sample(batches.first()), methods)
    found = calibrate(captured, select(captured.taps, taps), batches, CALIBRATOR, progress)
    metric = metric_of(budget, found.class_scores if metrics == "auto" else metrics == "classes")
    groups = groups_of(batches, None if validation is None else Batches(validation, "validation"))
    measured_in = f"{metric} by {task.name}" if task is not None and task.weighs_errors else metric
    known = MeasurementCache(state, MEASUREMENTS, fingerprint(model, groups, found, measured_in, seed))
    return Session(captured, batches, found, groups, metric, known, threads, deadline, progress, task)


def searched_in_draft(budget: Budget) -> bool:
    """Return whether drafts are measured in the place of codecs."""
    return not (budget.lossless or budget.limits_size)


def metric_of(budget: Budget, class_scores: bool) -> Metric:
    """Return what distortion is measured in."""
    if budget.kind in ("kl", "drop") and not class_scores:
        raise InvalidInput(
            "the network's output does not look like class scores: give --min-sqnr, or --metrics classes if it is"
        )
    return "kl" if class_scores and budget.kind != "sqnr" else "noise"


def groups_of(batches: Batches, validation: Batches | None) -> tuple[Images, Images]:
    """Return the images that choose and those that verify."""
    return divide(gather(batches)) if validation is None else (gather(batches), gather(validation))


def _smallest_lossless(options: CandidateSet) -> Candidate:
    """Return the lossless candidate of the fewest bytes."""
    lossless = [candidate for candidate in options.candidates if candidate.codec.lossless]
    if not lossless:
        raise InvalidInput("a budget of 0 needs a lossless codec among those to choose from")
    return min(lossless, key=options.size)
