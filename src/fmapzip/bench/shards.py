"""One shard of a bench: every method on the maps of a range of the images' batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fmapzip.atomic import beside
from fmapzip.bench.merging import KIND, read_bench_shard
from fmapzip.bench.methods import Method
from fmapzip.bench.network import NetworkSource
from fmapzip.bench.run import BASELINE_PACKAGES, PARTIAL, conditions_of, measured
from fmapzip.bench.specs import Chosen
from fmapzip.documents.bench import Source
from fmapzip.documents.bench_shard import BenchShard
from fmapzip.documents.document import Environment
from fmapzip.documents.shard import Asked
from fmapzip.errors import InvalidInput
from fmapzip.eval.environment import OtherPrograms, environment
from fmapzip.eval.identity import asked, other_shard
from fmapzip.eval.request import Inputs, Progress, Request, load
from fmapzip.eval.shard_file import SCHEMA, write_shard
from fmapzip.measurements import MeasurementCache


def run_shard(
    request: Request,
    chosen: Chosen,
    repeat: int,
    part: tuple[int, int],
    file: Path,
    progress: Progress,
    distortion: bool = True,
    inputs: Inputs | None = None,
) -> int | None:
    """Measure methods on the maps of one shard of the images, and write its document.

    Parameters
    ----------
    request
        The network and the images of all shards.
    chosen, repeat, progress, distortion
        As `fmapzip.bench.run.bench` takes them, the same for every shard.
    part
        ``(i, n)``: of `n` shards the one of index `i`.
    file
        The document; beside it lies what is finished, until all is.
    inputs
        What `fmapzip.eval.request.load` gave for the request; None: loaded here.

    Returns
    -------
    int or None
        How many images the shard has; None where the file was there already.

    Raises
    ------
    InvalidInput
        The file is no shard's, or another's.
    """
    inputs = inputs or load(request)
    wanted = _asked(request, inputs, chosen.methods, repeat, distortion)
    if file.exists():
        _check(file, wanted, part)
        return None
    others = OtherPrograms()
    source = NetworkSource(request, progress, inputs, part)
    try:
        conditions = {**conditions_of(source, repeat, request.threads), "shard": part}
        cache = MeasurementCache(beside(file, PARTIAL), "bench", conditions, restart=True)
        whole = part[1] == 1
        figures = measured(source, chosen, repeat, request.threads, progress, cache, distortion, whole)
    finally:
        source.close()
    machine = {**conditions["environment"], "others_cpu": others.share()}
    document = BenchShard(
        schema=SCHEMA,
        kind=KIND,
        digest="",
        shard=part[0] + 1,
        shards=part[1],
        source=msgspec.convert(source.description, Source),
        repeat=repeat,
        environment=msgspec.convert(machine, Environment),
        asked=wanted,
        figures=figures,
    )
    write_shard(file, document)
    cache.remove()
    return source.images


def _asked(request: Request, inputs: Inputs, methods: Sequence[Method], repeat: int, distortion: bool) -> Asked:
    """What was asked for, the same in every shard."""
    found = asked(request, inputs, [], [])
    packages = environment(1, BASELINE_PACKAGES)["packages"]
    codecs = [{"label": each.label, "layout": each.layout, **each.facts["config"]} for each in methods]
    return msgspec.structs.replace(
        found,
        versions={**found.versions, **packages},
        codecs=msgspec.to_builtins(codecs),
        settings={**found.settings, "repeat": repeat, "distortion": distortion},
    )


def _check(file: Path, wanted: Asked, part: tuple[int, int]) -> None:
    """Refuse a document that is not this shard's."""
    known = read_bench_shard(file)
    differs = other_shard(wanted, part, known)
    if differs is not None:
        raise InvalidInput(f"{file} exists and is {differs}; remove it, or name another file")
