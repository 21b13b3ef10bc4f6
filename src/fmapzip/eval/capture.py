"""The 8-bit feature maps of a network on images, stored in an archive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fmapzip
from fmapzip import registry
from fmapzip.archive import ArchiveWriter
from fmapzip.eval.loading import with_totals
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.torch.actions import FakeQuantize
from fmapzip.torch.batches import Batches
from fmapzip.torch.calibrate import Calibration, calibrate, running
from fmapzip.torch.capture import Captured, capture, select
from fmapzip.torch.inputs import batch_size, call

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from fmapzip.codecs.base import Codec
    from fmapzip.plan import Plan


def capture_maps(request: Request, path: Path, progress: Progress, codec: Codec | str = "zvc") -> tuple[int, int]:
    """Store the maps that the 8-bit network makes of each reported image, without loss.

    They are what a codec gets in `fmapzip.eval.run`: the quantizers come from the calibration images, and every
    chosen tap is read on as its 8-bit values. One batch of images is in memory at a time.

    Parameters
    ----------
    request
        The model, the images, and how to run them.
    path
        The archive to write. Its plan holds the quantizers, its metadata the images' names and classes.
    progress
        Told how far each stage has come.
    codec
        The lossless codec that stores them, trained on the calibration images.

    Returns
    -------
    taps, images : int
        How many there are; the archive holds a frame for each pair.
    """
    ready = prepare(request, progress)
    plan = ready.calibration.plan(registry.make(codec), ready.progress)
    with ArchiveWriter(path, plan=plan, metadata=_metadata(request, ready.inputs)) as archive:
        ready.store(archive, plan)
    return len(ready.calibration.taps), len(ready.inputs.parts.images)


@dataclass(frozen=True)
class Prepared:
    """A network whose taps are found and calibrated.

    Attributes
    ----------
    inputs, captured, calibration
        The loaded network and images, the network with its taps, and what calibration found.
    batches
        The calibration images.
    progress
        Told how far each stage has come.
    threads
        Of the codec.
    """

    inputs: Inputs
    captured: Captured
    calibration: Calibration
    batches: Batches
    progress: Progress
    threads: int = 1

    def store(self, archive: ArchiveWriter, plan: Plan) -> None:
        """Encode the maps of every reported image by `plan`: those of a batch of images in one call."""
        taps = self.calibration.taps
        kept: dict[str, list[NDArray[Any]]] = {tap.name: [] for tap in taps}
        pairs = zip(taps, self.calibration.quantizers, strict=True)
        actions = {tap.name: FakeQuantize(tap, quantizer, partial(_keep, kept[tap.name])) for tap, quantizer in pairs}
        done, total = 0, len(self.inputs.parts.images)
        seen = dict.fromkeys(kept, 0)
        with running(self.captured, actions):
            for images, _ in self.inputs.images:
                call(self.captured.module, images)
                maps = {name: np.stack(samples) for name, samples in kept.items()}
                for name, frames in fmapzip.encode_many(maps, plan, threads=self.threads).items():
                    for sample, frame in enumerate(frames, seen[name]):
                        archive.add(name, sample, frame)
                    seen[name] += len(frames)
                    kept[name].clear()
                done += batch_size(images)
                self.progress("storing maps", done, total)


def _keep(samples: list[NDArray[Any]], sample: Tensor) -> None:
    samples.append(sample.numpy().copy())


def prepare(request: Request, progress: Progress) -> Prepared:
    """Load what a request names, find the chosen taps and calibrate their quantizers."""
    inputs = load(request)
    progress = with_totals(progress, inputs.parts)
    batches = Batches(inputs.calibration, "calibration")
    captured = capture(inputs.model, batches.first())
    selected = select(captured.taps, request.taps)
    calibration = calibrate(captured, selected, batches, request.quantizer, progress)
    return Prepared(inputs, captured, calibration, batches, progress, request.threads)


def _metadata(request: Request, inputs: Inputs) -> dict[str, Any]:
    labels = inputs.parts.images.labels
    return {
        "model": request.model,
        "data": request.data,
        "calib": request.calib,
        "quantizer": request.quantizer,
        "preprocess": request.preprocess,
        "input": inputs.described,
        "images": list(inputs.parts.images.names),
        "labels": None if labels is None else labels.tolist(),
    }
