"""One bench from its shards: what methods made of maps, summed, and the report of all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from fmapzip.bench.schema import report
from fmapzip.documents.bench_shard import BenchShard, Figures, MethodFigures, TapFigures
from fmapzip.documents.shard import NetworkSums
from fmapzip.errors import InvalidInput
from fmapzip.eval.identity import other_run
from fmapzip.eval.shard_file import in_order, read_document

KIND: Literal["bench shard"] = "bench shard"


def read_bench_shard(file: Path) -> BenchShard:
    """Read a document.

    Raises
    ------
    InvalidInput
        The file is missing, no such document, of a newer schema, or not as it was written.
    """
    return read_document(file, KIND, BenchShard)


def is_of_bench(file: Path) -> bool:
    """Whether a file is such a document, as far as a glance tells."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def merge(files: Sequence[Path]) -> dict[str, Any]:
    """The report of a bench from the documents of all its shards, in any order.

    Returns
    -------
    dict
        What `fmapzip.bench.run.bench` gives for all images, but for times, which are summed, and memory, which is the
        first shard's.

    Raises
    ------
    InvalidInput
        Shards are missing, doubled, damaged, or of different runs; the message names the file.
    """
    found = [(file, read_bench_shard(file)) for file in files]
    for file, shard in found[1:]:
        differs = other_run(found[0][1], shard)
        if differs is None and _facts(shard.figures) != _facts(found[0][1].figures):
            differs = "of another calibration"
        if differs is not None:
            raise InvalidInput(f"{file}: not of the same run as {found[0][0]}: {differs}")
    shards = [shard for _, shard in in_order(found)]
    first = shards[0]
    try:
        figures = total([shard.figures for shard in shards])
    except InvalidInput:
        raise
    except Exception as error:  # files of strangers may say anything
        raise InvalidInput(f"these shards give no figures: {type(error).__name__}: {error}") from error
    machine = msgspec.to_builtins(first.environment)
    busy = [shard.environment.others_cpu for shard in shards if shard.environment.others_cpu is not None]
    machine["others_cpu"] = max(busy, default=None)
    return report(figures, msgspec.to_builtins(first.source), first.repeat, machine)


def total(figures: Sequence[Figures]) -> Figures:
    """The figures of several shards together, in their order.

    Raises
    ------
    InvalidInput
        They are of other taps.
    """
    seen = [each for each in figures if each.taps]
    if not seen:
        raise InvalidInput("the shards have no images")
    whole = msgspec.convert(msgspec.to_builtins(seen[0]), Figures)
    for other in seen[1:]:
        if [_kind(tap) for tap in other.taps] != [_kind(tap) for tap in whole.taps]:
            raise InvalidInput("the shards are of other taps")
        for tap, more in zip(whole.taps, other.taps, strict=True):
            tap.samples += more.samples
            tap.counts = [a + b for a, b in zip(tap.counts, more.counts, strict=True)]
        for method, its in zip(whole.methods, other.methods, strict=True):
            _add(method, its)
        whole.int8 = _joined(whole.int8, other.int8)
    return whole


def _add(method: MethodFigures, more: MethodFigures) -> None:
    for tap, other in zip(method.taps, more.taps, strict=True):
        _add_tap(tap, other)
    method.outputs = _joined(method.outputs, more.outputs)


def _add_tap(tap: TapFigures, other: TapFigures) -> None:
    tap.parts = {part: size + other.parts[part] for part, size in tap.parts.items()}
    tap.bytes += other.bytes
    tap.largest = max(tap.largest, other.largest)
    tap.encode_seconds += other.encode_seconds
    tap.decode_seconds += other.decode_seconds
    tap.encode_excess += other.encode_excess
    tap.decode_excess += other.decode_excess
    tap.squared_error += other.squared_error
    tap.signal += other.signal
    tap.max_error = max(tap.max_error, other.max_error)
    tap.wrong = other.wrong or tap.wrong


def _joined(one: NetworkSums | None, other: NetworkSums | None) -> NetworkSums | None:
    if one is None or other is None:
        return one
    from fmapzip.torch.tally import NetworkTally

    tally = NetworkTally()
    tally.merge(one)
    tally.merge(other)
    return tally.sums()


def _facts(figures: Figures) -> Any:
    """What is the same in every shard of a run."""
    methods = [
        (each.label, each.layout, each.facts, each.plan, each.plan_bytes, each.notes) for each in figures.methods
    ]
    return methods, figures.missing, figures.classes


def _kind(tap: Any) -> Any:
    return tap.name, tap.shape, tap.dtype, tap.zero_point
