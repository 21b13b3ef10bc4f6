"""Wrapping a network so that it runs with its feature maps stored as compressed bytes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import nn

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput, PlanMismatch
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.torch.actions import Store
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import calibrate
from fmapzip.torch.capture import METHODS, Captured, Tap, capture, select
from fmapzip.torch.choose import DEFAULT_LIMIT, DistortionLimit, choose
from fmapzip.torch.fit import fitted_taps, weights_notes
from fmapzip.torch.inputs import Inputs, first_sample, plan_inputs
from fmapzip.torch.metrics import MetricsChoice
from fmapzip.torch.report import Report


class CompressedModel(nn.Module):
    """A network whose feature maps are stored as bytes; made by :func:`compress_model`.

    At each tap the map is quantized, each sample is encoded to a frame, the frames are decoded, and the network goes
    on with those values. Gradients, where they are asked for, pass straight through the taps.

    Attributes
    ----------
    plan : Plan
        What is done to each tap; `Plan.save` keeps it.
    taps : tuple of Tap
        The taps that are stored.
    notes : tuple of str
        What one should know about the capture and the choice of settings.
    """

    def __init__(
        self, captured: Captured, taps: Sequence[Tap], plan: Plan, threads: int = 1, notes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.network = captured.module
        self.plan = plan
        self.taps = tuple(taps)
        self.notes = (*captured.notes, *notes)
        self._codes = [Store(tap, plan, threads) for tap in taps]
        by_name = dict(zip((tap.name for tap in taps), self._codes, strict=True))
        for slot in captured.slots:
            slot.action = by_name.get(slot.name)
        self.training = False  # the network is in eval mode already, and an exported one refuses train()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the network."""
        return self.network(*args, **kwargs)

    def report(self) -> Report:
        """Return the figures of all images since the last reset."""
        return Report(tuple(code.statistics.result() for code in self._codes), len(self.plan.to_bytes()))

    def reset_report(self) -> None:
        """Start the figures anew."""
        for code in self._codes:
            code.statistics.reset()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: scales and tables are calibrated for inference. Asking for training mode is an error."""
        if mode:
            raise InvalidInput("a compressed model runs in eval mode only; train the original and compress it again")
        return self


def compress_model(
    model: nn.Module,
    plan_or_codec: Plan | Codec | str,
    calibration: Any = None,
    taps: Sequence[str] | str | None = None,
    quantizer: str = DEFAULT_CALIBRATOR,
    *,
    example: Inputs | None = None,
    metrics: MetricsChoice = "auto",
    limit: DistortionLimit = DEFAULT_LIMIT,
    threads: int = 1,
    methods: Sequence[str] = METHODS,
    progress: Progress = ignore_progress,
) -> CompressedModel:
    """Return a copy of a network that stores its feature maps compressed while it runs.

    Parameters
    ----------
    model : nn.Module
        Copied, in eval mode; the original is untouched.
    plan_or_codec : Plan, Codec or str
        A plan; or a codec or its id, which calibration makes a plan for. Of a codec with ``candidates()``, the
        settings are chosen as for `evaluate`.
    calibration : Tensor, or iterable of batches, optional
        Images to calibrate on, gone through several times; needed for a codec. Each batch is inputs or a pair
        ``(inputs, labels)``.
    taps : names or globs, optional
        Feature maps to store; default all. A plan has its own.
    quantizer : str
        Calibrator, as in `fmapzip.quantize.make_observer`. A plan has its own.
    example : Tensor, tuple or dict, optional
        Inputs to capture the network with; default the first calibration image, or zeros of the plan's input shape.
    metrics, limit, threads, methods, progress
        As for `evaluate`.

    Returns
    -------
    CompressedModel
        Takes any batch size; each sample is its own frame, and results do not depend on the batch.

    Raises
    ------
    CaptureError, PlanMismatch, UnknownCodec, InvalidInput

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))
    >>> images = torch.rand(4, 3, 8, 8)
    >>> stored = compress_model(net, "zvc", calibration=images)
    >>> with torch.inference_mode():
    ...     error = (stored(images) - net(images)).abs().max()
    >>> bool(error < 0.01), stored.report().raw_bytes
    (True, 1152)
    """
    copied = copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model
    if isinstance(plan_or_codec, Plan):
        if taps is not None:
            raise InvalidInput("a plan has its own taps; taps= goes with a codec")
        inputs = _example_for(plan_or_codec, copied) if example is None else example
        captured = capture(copied, inputs, methods)
        fitting = fitted_taps(plan_or_codec, captured)
        return CompressedModel(captured, fitting, plan_or_codec, threads, weights_notes(plan_or_codec, copied))
    codec = registry.make(plan_or_codec)
    if calibration is None:
        raise InvalidInput(f"codec {codec.id!r} needs calibration images; only a plan runs without")
    batches = Batches(calibration, "calibration")
    captured = capture(copied, first_sample(batches.first()) if example is None else example, methods)
    found = calibrate(captured, select(captured.taps, taps), batches, quantizer, progress)
    classes = found.class_scores if metrics == "auto" else metrics == "classes"
    choice = choose(captured, batches, found, codec, classes, limit, progress)
    return CompressedModel(captured, found.taps, choice.plan, threads, choice.notes)


def _example_for(plan: Plan, model: nn.Module) -> Inputs:
    parameter = next(model.parameters(), torch.zeros(()))
    try:
        tensors = plan_inputs(plan, parameter.device, parameter.dtype)
    except PlanMismatch as error:
        raise InvalidInput(f"{error}; give example=") from error
    return tensors[0] if len(tensors) == 1 else tensors
