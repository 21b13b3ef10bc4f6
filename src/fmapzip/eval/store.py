"""The feature maps of a network on all images, kept in a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmapzip.archive import StoreWriter
from fmapzip.errors import InvalidInput
from fmapzip.eval.capture import STORING, described, prepare_loaded
from fmapzip.eval.loading import Batches as Images
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.eval.shard_rows import shard_rows
from fmapzip.plan import Plan
from fmapzip.torch.batches import Batches
from fmapzip.torch.capture import Captured, Tap, capture
from fmapzip.torch.fit import fitted_taps
from fmapzip.torch.inputs import first_sample
from fmapzip.torch.keeping import Frames, kept

if TYPE_CHECKING:
    from fmapzip.codecs.base import Codec
    from fmapzip.eval.dataset import Dataset


@dataclass(frozen=True)
class Kept:
    """What `capture_store` did: how many taps and images the store has now, and how many of them are new."""

    taps: int
    images: int
    new: int


def capture_store(
    request: Request,
    folder: Path,
    progress: Progress,
    codec: Codec | Plan,
    shard_bytes: int,
    part: tuple[int, int] = (0, 1),
    inputs: Inputs | None = None,
) -> Kept:
    """Store the maps of every image in a store; what it has already is left as it is.

    Every chosen tap is read on as what is read back from its frame. One batch of images is in memory at a time.

    Parameters
    ----------
    request
        The model, the images, those that calibrate among them, and how to run them.
    folder
        The store.
    progress
        Told how far each stage has come.
    codec
        A codec that is trained on the calibration images, or a plan with its quantizers.
    shard_bytes
        As `fmapzip.archive.StoreWriter` takes it.
    part
        ``(i, n)``: of `n` shards of the images only the one of index `i`, by a writer of its own.
    inputs
        What `load` gave for the request; None: loaded here.

    Raises
    ------
    InvalidInput
        Two images have one name, or a tap has several maps an image.
    FmapzipError
    """
    inputs = inputs or load(request)
    whole = inputs.parts.whole
    images = whole.select(shard_rows(len(whole), inputs.batch, part)[0])
    if len(set(whole.names)) < len(whole):
        raise InvalidInput(f"{request.data}: two images have one name, by which a store knows them")
    captured, taps, plan = _planned(request, inputs, codec, progress)
    writer = f"{part[0]:0{len(str(part[1] - 1))}d}"
    about = described(request, inputs)
    with StoreWriter(folder, plan=plan, metadata=about, writer=writer, shard_bytes=shard_bytes) as out:
        missing = [name not in out.names for name in images.names]
        todo = images.select(_whole_batches(missing, inputs.batch))
        batches = (given for given, _ in Images(todo, inputs.batch))
        done = before = len(images) - sum(missing)
        row = 0
        for samples in kept(captured, taps, plan, batches, request.threads):
            for frames in samples:
                if todo.names[row] not in out.names:
                    out.add(todo.names[row], _single(frames), _label(todo, row))
                    done += 1
                row += 1
            progress(STORING, done, len(images))
    return Kept(len(taps), len(images), done - before)


def _whole_batches(missing: Sequence[bool], batch: int) -> list[int]:
    """Rows of all batches in which one is missing: what a network computes may depend on the batch."""
    firsts = range(0, len(missing), batch)
    return [row for i in firsts if any(missing[i : i + batch]) for row in range(i, min(i + batch, len(missing)))]


def _planned(
    request: Request, inputs: Inputs, codec: Codec | Plan, progress: Progress
) -> tuple[Captured, tuple[Tap, ...], Plan]:
    if isinstance(codec, Plan):
        captured = capture(inputs.model, first_sample(Batches(inputs.images, "images").first()))
        return captured, fitted_taps(codec, captured), codec
    ready = prepare_loaded(request, inputs, progress)
    return ready.captured, ready.calibration.taps, ready.calibration.plan(codec, ready.progress)


def _single(frames: Frames) -> dict[str, bytes]:
    for name, found in frames.items():
        if len(found) != 1:
            raise InvalidInput(f"{name!r} has {len(found)} maps an image; a store keeps one: leave it out by --taps")
    return {name: found[0] for name, found in frames.items()}


def _label(images: Dataset, row: int) -> int | None:
    return None if images.labels is None else int(images.labels[row])
