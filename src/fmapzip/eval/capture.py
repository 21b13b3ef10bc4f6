"""The 8-bit feature maps of a network on images, stored in an archive."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fmapzip
from fmapzip import registry
from fmapzip.archive import ArchiveWriter
from fmapzip.eval.loading import with_totals
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.torch.actions import FakeQuantize
from fmapzip.torch.batches import Batches
from fmapzip.torch.calibrate import calibrate, running
from fmapzip.torch.capture import capture, select
from fmapzip.torch.inputs import batch_size, call

if TYPE_CHECKING:
    from torch import Tensor


def capture_maps(request: Request, path: Path, progress: Progress) -> tuple[int, int]:
    """Store the maps that the 8-bit network makes of each reported image, without loss.

    They are what a codec gets in `fmapzip.eval.run`: the quantizers come from the calibration images, and every
    chosen tap is read on as its 8-bit values. One batch of images is in memory at a time.

    Parameters
    ----------
    request
        The model, the images, and how to run them.
    path
        The archive to write. Its plan holds the quantizers, its metadata the images' names.
    progress
        Told how far each stage has come.

    Returns
    -------
    taps, images : int
        How many there are; the archive holds a frame for each pair.
    """
    inputs = load(request)
    progress = with_totals(progress, inputs.parts)
    calibration_batches = Batches(inputs.calibration, "calibration")
    captured = capture(inputs.model, calibration_batches.first())
    selected = select(captured.taps, request.taps)
    calibration = calibrate(captured, selected, calibration_batches, request.quantizer, progress)
    plan = calibration.plan(registry.make("zvc"))
    seen = [0] * len(calibration.taps)

    with ArchiveWriter(path, plan=plan, metadata=_metadata(request, inputs)) as archive:

        def store(place: int, sample: Tensor) -> None:
            frame = fmapzip.encode(sample.numpy(), plan=plan, tap=place)
            archive.add(calibration.taps[place].name, seen[place], frame)
            seen[place] += 1

        pairs = zip(calibration.taps, calibration.quantizers, strict=True)
        actions = {
            tap.name: FakeQuantize(tap, quantizer, partial(store, i)) for i, (tap, quantizer) in enumerate(pairs)
        }
        done, total = 0, len(inputs.parts.images)
        with running(captured, actions):
            for images, _ in inputs.images:
                call(captured.module, images)
                done += batch_size(images)
                progress("storing maps", done, total)
    return len(calibration.taps), total


def _metadata(request: Request, inputs: Inputs) -> dict[str, Any]:
    return {
        "model": request.model,
        "data": request.data,
        "calib": request.calib,
        "quantizer": request.quantizer,
        "preprocess": request.preprocess,
        "images": list(inputs.parts.images.names),
    }
