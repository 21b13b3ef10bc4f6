"""The 8-bit feature maps of a network on images, stored in an archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmapzip import registry
from fmapzip.archive import ArchiveWriter
from fmapzip.eval.loading import with_totals
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.torch.batches import Batches
from fmapzip.torch.calibrate import Calibration, calibrate
from fmapzip.torch.capture import Captured, capture, select
from fmapzip.torch.keeping import kept

if TYPE_CHECKING:
    from fmapzip.codecs.base import Codec
    from fmapzip.eval.dataset import Dataset
    from fmapzip.plan import Plan

STORING = "storing maps"


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
    about = {**described(request, ready.inputs), **_of_samples(ready.inputs.parts.images)}
    with ArchiveWriter(path, plan=plan, metadata=about) as archive:
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
        """Encode the maps of every reported image by `plan`, one batch of images at a time."""
        taps, total = self.calibration.taps, len(self.inputs.parts.images)
        done = 0
        for samples in kept(self.captured, taps, plan, (images for images, _ in self.inputs.images), self.threads):
            for frames in samples:
                for name, found in frames.items():
                    for i, frame in enumerate(found):
                        archive.add(name, done * len(found) + i, frame)
                done += 1
            self.progress(STORING, done, total)


def prepare(request: Request, progress: Progress) -> Prepared:
    """Load what a request names, find the chosen taps and calibrate their quantizers."""
    return prepare_loaded(request, load(request), progress)


def prepare_loaded(request: Request, inputs: Inputs, progress: Progress) -> Prepared:
    """The same, of what is loaded."""
    progress = with_totals(progress, inputs.parts)
    batches = Batches(inputs.calibration, "calibration")
    captured = capture(inputs.model, batches.first())
    selected = select(captured.taps, request.taps)
    calibration = calibrate(captured, selected, batches, request.quantizer, progress)
    return Prepared(inputs, captured, calibration, batches, progress, request.threads)


def described(request: Request, inputs: Inputs) -> dict[str, Any]:
    """What an archive says of where its maps come from."""
    return {
        "model": request.model,
        "data": request.data,
        "calib": request.calib,
        "quantizer": request.quantizer,
        "preprocess": request.preprocess,
        "input": inputs.described,
    }


def _of_samples(images: Dataset) -> dict[str, Any]:
    return {"images": list(images.names), "labels": None if images.labels is None else images.labels.tolist()}
