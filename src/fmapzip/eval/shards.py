"""An evaluation in shards: each counts whole batches of the images; merged they give the report of one run.

A shard is a range of batches, the same batches that one run has: what a network computes may depend on the batch that
an image is in. Every shard calibrates on all calibration images.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from fmapzip.codecs.base import Codec
from fmapzip.documents.document import Environment
from fmapzip.documents.evaluation import Pictures as PicturesPart
from fmapzip.documents.evaluation import Protocol as ProtocolPart
from fmapzip.documents.shard import Asked, Facts, PlanOfCodec, Shard, StoredTap
from fmapzip.errors import InvalidInput
from fmapzip.eval.copies import reported
from fmapzip.eval.environment import OtherPrograms, environment
from fmapzip.eval.identity import asked, other_shard
from fmapzip.eval.loading import Batches as Images
from fmapzip.eval.loading import with_totals
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.eval.shard_file import KIND, SCHEMA, read_shard, write_shard
from fmapzip.eval.shard_rows import shard_rows
from fmapzip.plan import Plan
from fmapzip.torch.batches import Batches
from fmapzip.torch.compare import Comparison
from fmapzip.torch.evaluate import prepare
from fmapzip.torch.pictures import Pictures
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.tasks import Metric

SAVE_SECONDS = 10.0
"""How much work an interruption may cost."""


class Counted(NamedTuple):
    """What a shard has counted: images and batches in all, and how many of the batches were there already."""

    images: int
    batches: int
    known: int


def inputs_of(request: Request, tasks: Sequence[Metric] = ()) -> Inputs:
    """Load what a request names, with the images that its metrics ask for."""
    return reported(load(request), tasks)


def run_shard(
    request: Request,
    codecs: Sequence[Codec | Plan],
    part: tuple[int, int],
    file: Path,
    progress: Progress,
    tasks: Sequence[Metric] = (),
    metrics: Sequence[str] = (),
    inputs: Inputs | None = None,
) -> Counted:
    """Evaluate on one shard of the images, and write its document; what the file has already is not done again.

    Parameters
    ----------
    request, codecs, tasks
        As `fmapzip.eval.run.run` takes them, the same for every shard.
    part
        ``(i, n)``: of `n` shards the one of index `i`.
    file
        The document. It is written every ten seconds.
    progress
        Told how far each stage has come.
    metrics
        The tasks, as typed.
    inputs
        What `inputs_of` gave for the same request and tasks; None: loaded here.

    Raises
    ------
    FmapzipError
        The file is no shard's, or another's; or what `fmapzip.eval.run.run` raises.
    """
    inputs = inputs or inputs_of(request, tasks)
    rows, count = shard_rows(len(inputs.parts.images), inputs.batch, part)
    wanted = asked(request, inputs, codecs, metrics)
    known = _known(file, wanted, part) if file.exists() else None
    if known is not None and known.done == count:
        return Counted(known.sums.images, count, count)
    others = OtherPrograms()
    with evaluation_mode(inputs.model):
        comparison = prepare(
            inputs.model,
            torch.from_numpy(inputs.parts.images.read(0)[None]),
            codecs,
            None if all(isinstance(item, Plan) for item in codecs) else inputs.calibration,
            request.metrics,
            quantizer=request.quantizer,
            taps=request.taps,
            threads=request.threads,
            progress=with_totals(progress, inputs.parts),
            pictures=part[0] == 0,
            tasks=tasks,
        )
        facts = _facts(comparison)
        done = 0
        if known is not None:
            if known.facts != facts:
                raise InvalidInput(f"{file}: calibration gave something else than in its first run; remove it")
            comparison.tally.merge(known.sums)
            comparison.tally.pictures = drawn(known.pictures)
            done = known.done

        def save(batches: int) -> None:
            machine = {**environment(request.threads), "others_cpu": others.share()}
            write_shard(file, _document(request, inputs, part, batches, count, machine, wanted, facts, comparison))

        images = inputs.parts.images.select(rows[done * inputs.batch :])
        given = Batches(Images(images, inputs.batch), "images", repeatable=False).with_targets()
        comparison.run(_saved(given, done, save), lambda stage, n, _: progress(stage, n, len(rows)))
        save(count)
    return Counted(comparison.tally.images, count, done)


def _known(file: Path, wanted: Asked, part: tuple[int, int]) -> Shard:
    """The shard's document, if it is this shard's."""
    known = read_shard(file)
    differs = other_shard(wanted, part, known)
    if differs is not None:
        raise InvalidInput(f"{file} exists and is {differs}; remove it, or name another file")
    return known


def _facts(comparison: Comparison) -> Facts:
    tally, captured = comparison.tally, comparison.captured
    plans = [
        PlanOfCodec(
            one.plan.hash.hex(), [StoredTap(each.name, list(each.readers)) for each in one.statistics], list(one.notes)
        )
        for one in tally.coded
    ]
    calibrated = (comparison.calibrator, comparison.calibration_images, tally.classes)
    return Facts(
        *calibrated, captured.method, list(captured.notes), list(comparison.skipped), list(tally.int8.taps), plans
    )


def drawn(pictures: PicturesPart | None) -> Pictures | None:
    """Pictures of a document as an evaluation has them."""
    return None if pictures is None else msgspec.convert(msgspec.to_builtins(pictures), Pictures)


def _document(
    request: Request,
    inputs: Inputs,
    part: tuple[int, int],
    done: int,
    batches: int,
    machine: dict[str, Any],
    wanted: Asked,
    facts: Facts,
    comparison: Comparison,
) -> Shard:
    tally, first = comparison.tally, part[0] == 0
    protocol = {
        "calib": request.calib,
        "preprocess": request.preprocess,
        "taps": request.taps,
        "limit": request.limit,
        "images": request.images,
        "batch": inputs.batch,
        "labels": inputs.parts.images.label_rule,
        "metrics": "classes" if tally.classes else "output",
        "input": inputs.described,
    }
    return Shard(
        schema=SCHEMA,
        kind=KIND,
        digest="",
        shard=part[0] + 1,
        shards=part[1],
        done=done,
        batches=batches,
        model=request.model,
        data=request.data,
        protocol=msgspec.convert(protocol, ProtocolPart),
        environment=msgspec.convert(machine, Environment),
        asked=wanted,
        facts=facts,
        sums=tally.sums(),
        plans=[base64.b64encode(one.plan.to_bytes()).decode() for one in tally.coded] if first else [],
        pictures=None if tally.pictures is None else msgspec.convert(asdict(tally.pictures), PicturesPart),
    )


def _saved(batches: Iterable[Any], done: int, save: Callable[[int], None]) -> Iterator[Any]:
    """The batches; between two of them what was counted is saved now and then."""
    saved = time.monotonic()
    for number, batch in enumerate(batches, start=done):
        if number > done and time.monotonic() - saved >= SAVE_SECONDS:
            save(number)
            saved = time.monotonic()
        yield batch
