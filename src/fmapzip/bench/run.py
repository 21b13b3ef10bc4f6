"""One run of ``fmapzip bench``: every method on every tap, then the report."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fmapzip.atomic import beside
from fmapzip.bench.baseline_codec import baseline_plan
from fmapzip.bench.measure import measure
from fmapzip.bench.methods import BaselineMethod, Method, OurMethod
from fmapzip.bench.schema import better_layouts, codec_entry, report
from fmapzip.bench.source import Source, Tap
from fmapzip.bench.specs import Chosen
from fmapzip.codecs.base import IntegerMap
from fmapzip.documents.bench_shard import Figures, MethodFigures, TapFigures, TapMaps
from fmapzip.errors import FmapzipError
from fmapzip.eval.environment import PACKAGES, OtherPrograms, environment
from fmapzip.eval.request import Progress
from fmapzip.histogram import ValueHistogram
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan

BASELINE_PACKAGES = ("zstandard", "lz4", "blosc2", "pcodec", "zfpy", "brotli", "imagecodecs")
BENCHING = "encoding and decoding"
PARTIAL = ".partial"
"""Behind the name of a report: the file of what is finished."""


def bench(
    source: Source,
    chosen: Chosen,
    repeat: int,
    threads: int,
    progress: Progress,
    report_file: Path | None = None,
    distortion: bool = True,
) -> dict[str, Any]:
    """Measure methods on the maps of a source.

    Parameters
    ----------
    source
        The taps and their maps; one tap's maps are in memory at a time.
    chosen
        The methods, and those that are missing.
    repeat
        Timed runs of each map.
    threads
        Threads of codecs of ours; baselines have one.
    progress
        Told how far the work has come.
    report_file
        Beside it lies what is finished, until the bench is over; a bench that is started again goes on from there.
    distortion
        Whether to run the network with the lossy methods, where the source has one.

    Returns
    -------
    dict
        The report that docs/BENCH_JSON.md describes.
    """
    others = OtherPrograms()
    conditions = conditions_of(source, repeat, threads)
    partial = None if report_file is None else beside(report_file, PARTIAL)
    cache = MeasurementCache(partial, "bench", conditions, restart=True)
    figures = measured(source, chosen, repeat, threads, progress, cache, distortion)
    machine = {**conditions["environment"], "others_cpu": others.share()}
    found = report(figures, conditions["source"], repeat, machine)
    cache.remove()
    return found


def measured(
    source: Source,
    chosen: Chosen,
    repeat: int,
    threads: int,
    progress: Progress,
    cache: MeasurementCache,
    distortion: bool = True,
    whole: bool = True,
) -> Figures:
    """Measure methods on the maps of a source; the arguments are those of `bench`.

    Parameters
    ----------
    cache
        What is finished.
    whole
        Whether these are all maps: then the network runs with the better layout of a lossy method alone, which
        shards do not know.
    """
    plans = {
        method.label: source.plan(method.codec)
        for method in chosen.methods
        if isinstance(method, OurMethod) and method.codec is not None
    }
    figures = _figures(source.taps, chosen, plans, repeat, cache, progress)
    if distortion:
        _add_distortion(source, chosen.methods, figures, plans, whole)
    return figures


def conditions_of(source: Source, repeat: int, threads: int) -> dict[str, Any]:
    """What measurements are made under."""
    machine = environment(threads, (*PACKAGES, *BASELINE_PACKAGES))
    return {"source": source.description, "repeat": repeat, "environment": machine}


def _figures(
    taps: Sequence[Tap],
    chosen: Chosen,
    plans: dict[str, Plan | None],
    repeat: int,
    cache: MeasurementCache,
    progress: Progress,
) -> Figures:
    methods = chosen.methods
    found = Figures([], [_about(method, plans.get(method.label)) for method in methods], list(chosen.missing))
    for place, tap in enumerate(taps):
        if not tap.samples:
            continue
        maps: list[IntegerMap] = [tap.load(i) for i in range(tap.samples)]
        found.taps.append(_maps(tap, maps))
        identity = f"{tap.name} {_fingerprint(maps):08x}"
        for number, (method, figures) in enumerate(zip(methods, found.methods, strict=True)):
            plan = plans.get(method.label)
            figures.taps.append(_one(method, tap, place, plan, maps, repeat, cache, identity))
            progress(BENCHING, place * len(methods) + number + 1, len(taps) * len(methods))
    return found


def _about(method: Method, plan: Plan | None) -> MethodFigures:
    """A method without its figures."""
    about, notes = msgspec.to_builtins(method.facts), list(method.notes(plan))
    sha256, size = (None, None) if plan is None else (plan.hash.hex(), len(plan.to_bytes()))
    return MethodFigures(method.label, method.layout, about, sha256, size, notes, [])


def _maps(tap: Tap, maps: Sequence[IntegerMap]) -> TapMaps:
    seen = ValueHistogram(maps[0].dtype, tap.zero_point)
    for q in maps:
        seen.add(q)
    dtype: Any = str(maps[0].dtype)
    return TapMaps(tap.name, list(maps[0].shape), dtype, tap.zero_point, len(maps), seen.counts.tolist())


def _one(
    method: Method,
    tap: Tap,
    place: int,
    plan: Plan | None,
    maps: Sequence[IntegerMap],
    repeat: int,
    cache: MeasurementCache,
    identity: str,
) -> TapFigures:
    key = " ".join((identity, method.label, method.layout, "" if plan is None else plan.hash8.hex()))

    def work() -> dict[str, Any]:
        try:
            found: dict[str, Any] = msgspec.to_builtins(measure(method, method.job(tap, place, plan), maps, repeat))
            return found
        except FmapzipError:
            raise
        except Exception as error:
            raise RuntimeError(f"{method.label} on {tap.name}: {type(error).__name__}: {error}") from error

    return msgspec.convert(cache.get(key, work), TapFigures)


def _fingerprint(maps: Sequence[IntegerMap]) -> int:
    found = 0
    for q in maps:
        found = zlib.crc32(np.ascontiguousarray(q).data, found)
    return found


def _add_distortion(
    source: Source, methods: Sequence[Method], figures: Figures, plans: dict[str, Plan | None], whole: bool
) -> None:
    """Add to each lossy method what it does to the network's output, and what 8 bits do."""
    lossy = [(each, method) for each, method in zip(figures.methods, methods, strict=True) if not method.lossless]
    if whole:
        kept = {(e["label"], e["layout"]) for e in better_layouts([codec_entry(e, None) for e, _ in lossy])}
        lossy = [(each, method) for each, method in lossy if (each.label, each.layout) in kept]
    found: list[tuple[MethodFigures, Plan]] = []
    for each, method in lossy:
        plan = plans.get(method.label)
        if isinstance(method, BaselineMethod) and method.baseline is not None:
            plan = baseline_plan(method.baseline, [method.side(tap) for tap in source.taps], source)
        if plan is not None:
            found.append((each, plan))
    outputs = source.outputs([plan for _, plan in found])
    if outputs is None:
        return
    figures.classes, figures.int8 = outputs.classes, outputs.int8
    for (each, _), sums in zip(found, outputs.coded, strict=True):
        each.outputs = sums
