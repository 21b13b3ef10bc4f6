"""The report of an evaluation from the documents of its shards."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from fmapzip.documents.shard import Shard
from fmapzip.errors import FmapzipError, InvalidInput
from fmapzip.eval.identity import other_run
from fmapzip.eval.report import Protocol, to_json
from fmapzip.eval.shard_file import in_order, read_shard
from fmapzip.eval.shard_rows import shard_rows
from fmapzip.eval.shards import drawn
from fmapzip.plan import Plan
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tally import CodedTally, FloatTally, Int8Tally, Tally
from fmapzip.torch.tasks import Metric
from fmapzip.torch.tasks.judge import Judge


def merge(
    files: Sequence[Path], tasks: Sequence[Metric] = (), metrics: Sequence[str] = (), pictures: bool = False
) -> dict[str, Any]:
    """The report of an evaluation from the documents of all its shards, in any order.

    Parameters
    ----------
    files
        The documents.
    tasks, metrics
        As for the shards.
    pictures
        Whether the report gets the pictures.

    Returns
    -------
    dict
        What `fmapzip.eval.run.run` gives for all images, but for times, which are summed.

    Raises
    ------
    InvalidInput
        Shards are missing, doubled, unfinished, damaged, or of different runs; the message names the file.
    """
    found = _complete(files)
    shards = [shard for _, shard in found]
    first = shards[0]
    if list(metrics) != first.asked.metrics:
        given = " ".join(f"--metric {name}" for name in first.asked.metrics) or "no --metric"
        raise InvalidInput(f"the shards were judged by {given}: give the same")
    tally = _tally(found[0][0], first, tasks)
    for file, shard in found:
        try:
            tally.merge(shard.sums)
        except InvalidInput as error:
            raise InvalidInput(f"{file}: {error}") from error
    tally.pictures = drawn(first.pictures) if pictures else None
    facts, protocol = first.facts, msgspec.to_builtins(first.protocol)
    del protocol["metrics"]
    notes = [*facts.notes, *_machines(shards)]
    try:
        figures = tally.evaluation(facts.quantizer, facts.calibration_images, facts.method, notes, facts.skipped_taps)
    except Exception as error:  # files of strangers may say anything to the figures, and to metrics of users
        raise InvalidInput(f"these shards give no figures: {type(error).__name__}: {error}") from error
    machine = msgspec.to_builtins(first.environment)
    busy = [shard.environment.others_cpu for shard in shards if shard.environment.others_cpu is not None]
    machine["others_cpu"] = max(busy, default=None)
    return to_json(figures, first.model, first.data, Protocol(**protocol), machine)


def _complete(files: Sequence[Path]) -> list[tuple[Path, Shard]]:
    """All shards of one run, in order."""
    found: list[tuple[Path, Shard]] = []
    for file in files:
        shard = read_shard(file)
        _check_alone(file, shard)
        if found:
            _check_beside(file, shard, *found[0])
        found.append((file, shard))
    return in_order(found)


def _check_alone(file: Path, shard: Shard) -> None:
    """Refuse a shard that is unfinished, or contradicts itself."""
    rows, batches = shard_rows(shard.asked.count, max(1, shard.protocol.batch), (shard.shard - 1, shard.shards))
    if shard.shard > shard.shards or shard.batches != batches:
        raise InvalidInput(f"{file}: says that it is shard {shard.shard}/{shard.shards}, which it is not")
    if shard.done < batches:
        raise InvalidInput(f"{file} is unfinished: {shard.done} of {batches} batches; run its command again")
    plans = len(shard.facts.plans)
    sums = shard.sums
    hits, seen = sums.evidence.hits, sums.evidence.images
    if (sums.images, len(sums.codecs)) != (len(rows), plans) or not hits <= seen <= len(rows):
        raise InvalidInput(f"{file}: its sums are of another number of images or codecs")
    if shard.shard == 1 and len(shard.plans) != plans:
        raise InvalidInput(f"{file}: has {len(shard.plans)} plans, not {plans}")


def _check_beside(file: Path, shard: Shard, other: Path, first: Shard) -> None:
    """Refuse a shard that is not of the same run as another."""
    differs = other_run(first, shard)
    if differs is None and shard.facts != first.facts:
        differs = "of another calibration or capture"
    if differs is not None:
        raise InvalidInput(f"{file}: not of the same run as {other}: {differs}")


def _tally(file: Path, first: Shard, tasks: Sequence[Metric]) -> Tally:
    """The sums, all zero, of the run that a first shard is of."""
    coded = []
    for text, about in zip(first.plans, first.facts.plans, strict=True):
        try:
            plan = Plan.from_bytes(base64.b64decode(text, validate=True))
            statistics = [TapStatistics(plan[tap.name], tuple(tap.readers)) for tap in about.taps]
        except (FmapzipError, ValueError) as error:
            raise InvalidInput(f"{file}: its plans: {error}") from error
        if plan.hash.hex() != about.sha256:
            raise InvalidInput(f"{file}: its plans are others than it says")
        coded.append(CodedTally(plan, statistics, about.notes))
    judge = Judge(tasks, 2 + len(coded))
    return Tally(FloatTally(), Int8Tally(first.facts.taps), coded, first.facts.classes, judge)


def _machines(shards: Sequence[Shard]) -> list[str]:
    """What to say of shards that ran on different machines: digits may then differ from those of one run."""
    found = {(x.environment.cpu, x.environment.simd, x.environment.torch_threads) for x in shards}
    if len(found) == 1:
        return []
    named = "; ".join(sorted(f"{cpu} ({simd}, {threads} threads of PyTorch)" for cpu, simd, threads in found))
    return [f"shards ran on different machines, whose networks may differ in the last digits: {named}"]
