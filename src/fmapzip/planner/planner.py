"""From a network, calibration images and a budget to a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from torch import nn

from fmapzip.codecs.base import Codec
from fmapzip.measurements import MeasurementCache
from fmapzip.planner.budget import Budget, Metric
from fmapzip.planner.candidates.families import codecs_of
from fmapzip.planner.measure.meter import Deadline
from fmapzip.planner.result import Planned
from fmapzip.planner.session import CALIBRATOR, MEASUREMENTS, Session, groups_of, metric_of, open_session
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import calibrate
from fmapzip.torch.capture import METHODS, Captured
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.tasks import Metric as TaskMetric


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
    options = codecs_of(codecs)
    with evaluation_mode(model):
        session = open_session(
            model,
            calibration,
            budget,
            validation=validation,
            taps=taps,
            metrics=metrics,
            task=task,
            threads=threads,
            deadline=Deadline(time_limit),
            seed=seed,
            state=state,
            methods=methods,
            progress=progress,
        )
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
    found = calibrate(captured, captured.taps, batches, CALIBRATOR, progress)
    groups, planned = groups_of(batches, None), []
    known: dict[Metric, MeasurementCache] = {}
    for budget in budgets:
        start = perf_counter()
        metric = metric_of(budget, found.class_scores if metrics == "auto" else metrics == "classes")
        cache = known.setdefault(metric, MeasurementCache(None, MEASUREMENTS, ""))
        session = Session(captured, batches, found, groups, metric, cache, threads, deadline, progress, None)
        planned.append(session.plan(budget, options, None, 0, start))
    return planned
