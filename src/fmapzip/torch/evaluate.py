"""The engine of ``fmapzip eval``: one network, several codecs, the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from torch import nn

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import Calibration, calibrate
from fmapzip.torch.capture import METHODS, Captured, capture, select
from fmapzip.torch.choose import DEFAULT_LIMIT, DistortionLimit, choose
from fmapzip.torch.compare import Comparison
from fmapzip.torch.fit import fitted_taps, weights_notes
from fmapzip.torch.inputs import Inputs, first_sample
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.passes import CodedPass, Int8Pass
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.results import Evaluation, ImageResult
from fmapzip.torch.tasks.metric import Metric


def evaluate(
    model: nn.Module,
    loader: Any,
    codecs: Sequence[str | Codec | Plan],
    calibration: Any = None,
    metrics: MetricsChoice = "auto",
    *,
    quantizer: str = DEFAULT_CALIBRATOR,
    taps: Sequence[str] | str | None = None,
    threads: int = 1,
    limit: DistortionLimit = DEFAULT_LIMIT,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
    per_image: Callable[[ImageResult], None] | None = None,
    pictures: bool = False,
    tasks: Sequence[Metric] = (),
) -> Evaluation:
    """Run a network in float, in 8 bits, and with its feature maps stored by each codec, and compare.

    All networks see a batch before the next is loaded, so `loader` is gone through once and memory does not depend on
    the number of images.

    Parameters
    ----------
    model : nn.Module
        Run in eval mode and left as it was.
    loader : iterable
        Batches: inputs, or pairs ``(inputs, labels)`` with class indices.
    codecs : sequence of str, Codec or Plan
        What to compare, one pass each. Of a codec with ``candidates()``, calibration chooses the settings.
    calibration : iterable, optional
        Batches to calibrate on, gone through several times; not needed where `codecs` are plans.
    metrics : {"auto", "classes", "output"}
        Whether the output is class scores; ``auto``: whether the float network hits labels more often than chance.
    quantizer : str
        Calibrator, as in `fmapzip.quantize.make_observer`.
    taps : names or globs, optional
        Feature maps to store; default all. The others stay float.
    threads : int
        Threads of the codecs.
    limit : DistortionLimit
        What chosen settings may do to the output on the calibration images.
    methods : sequence of str
        Ways of capturing, as in `taps`.
    progress : callable
        Called with a stage, images done, and their number or None.
    per_image : callable, optional
        Called with an `ImageResult` for each image, in order.
    pictures : bool
        Draw some channels of some maps of the first image, before and after, for a report.
    tasks : sequence of Metric
        What judges the outputs besides, as `fmapzip.torch.tasks` has it. Targets may be of any kind then: those that
        are no class indices are a list, one an image.

    Raises
    ------
    CaptureError, PlanMismatch, UnknownCodec, InvalidInput
    """
    batches = Batches(loader, "loader", repeatable=False).with_targets()
    head = next(batches, None)
    if head is None:
        raise InvalidInput("loader: there are no images")
    with evaluation_mode(model):
        comparison = prepare(
            model,
            head[0],
            codecs,
            calibration,
            metrics,
            quantizer=quantizer,
            taps=taps,
            threads=threads,
            limit=limit,
            methods=methods,
            progress=progress,
            pictures=pictures,
            tasks=tasks,
        )
        comparison.run(chain([head], batches), progress, per_image)
        return comparison.evaluation()


def prepare(
    model: nn.Module,
    inputs: Inputs,
    codecs: Sequence[str | Codec | Plan],
    calibration: Any = None,
    metrics: MetricsChoice = "auto",
    *,
    quantizer: str = DEFAULT_CALIBRATOR,
    taps: Sequence[str] | str | None = None,
    threads: int = 1,
    limit: DistortionLimit = DEFAULT_LIMIT,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
    pictures: bool = False,
    tasks: Sequence[Metric] = (),
) -> Comparison:
    """Capture and calibrate a network in eval mode: what `evaluate` does before it goes through its images.

    Parameters
    ----------
    inputs
        A batch of what the network reads.
    model, codecs, calibration, metrics, quantizer, taps, threads, limit, methods, progress, pictures, tasks
        As in `evaluate`.
    """
    chosen = [item if isinstance(item, Plan) else registry.make(item) for item in codecs]
    if not chosen:
        raise InvalidInput("there is no codec to evaluate")
    if calibration is None and not all(isinstance(item, Plan) for item in chosen):
        raise InvalidInput("codecs need calibration images; only plans run without")
    captured = capture(model, first_sample(inputs), methods)
    if calibration is None:
        return _of_plans(model, captured, chosen, metrics, threads, pictures, tasks)
    wanted = select(captured.taps, taps)
    calibrating = Batches(calibration, "calibration")
    found = calibrate(captured, wanted, calibrating, quantizer, progress)
    return _of_codecs(model, captured, chosen, metrics, threads, calibrating, found, limit, progress, pictures, tasks)


def _of_plans(
    model: nn.Module,
    captured: Captured,
    plans: Sequence[Any],
    metrics: MetricsChoice,
    threads: int,
    pictures: bool,
    tasks: Sequence[Metric],
) -> Comparison:
    """Compare plans; the 8-bit network has the first one's quantizers."""
    taps = fitted_taps(plans[0], captured)
    coded = [_planned(model, captured, plan, threads) for plan in plans]
    int8 = Int8Pass(captured, taps, [plans[0][tap.name].quantizer for tap in taps])
    classes = None if metrics == "auto" else metrics == "classes"
    calibrator = str(plans[0].metadata.get("calibrator", "as planned"))
    return Comparison(model, captured, int8, coded, classes, calibrator, 0, pictures, tasks)


def _planned(model: nn.Module, captured: Captured, plan: Plan, threads: int) -> CodedPass:
    taps = fitted_taps(plan, captured)
    return CodedPass(captured, taps, plan, threads, weights_notes(plan, model), inspects=True)


def _of_codecs(
    model: nn.Module,
    captured: Captured,
    chosen: Sequence[Codec | Plan],
    metrics: MetricsChoice,
    threads: int,
    batches: Batches,
    found: Calibration,
    limit: DistortionLimit,
    progress: Progress,
    pictures: bool,
    tasks: Sequence[Metric],
) -> Comparison:
    """Compare codecs, trained and where needed chosen by calibration, and plans."""
    classes = found.class_scores if metrics == "auto" else metrics == "classes"
    coded = []
    for item in chosen:
        if isinstance(item, Plan):
            coded.append(_planned(model, captured, item, threads))
        else:
            choice = choose(captured, batches, found, item, classes, limit, progress)
            coded.append(CodedPass(captured, found.taps, choice.plan, threads, choice.notes, inspects=True))
    int8 = Int8Pass(captured, found.taps, found.quantizers)
    return Comparison(model, captured, int8, coded, classes, found.calibrator, found.images, pictures, tasks)
