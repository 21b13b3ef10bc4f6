"""One run of ``fmapzip bench``: every method on every tap, then the report."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmapzip.atomic import beside
from fmapzip.bench.baseline_codec import baseline_plan
from fmapzip.bench.measure import TapFigures, measure
from fmapzip.bench.methods import BaselineMethod, Method, OurMethod
from fmapzip.bench.schema import better_layouts, codec_entry, missing_entry, tap_entry, totals
from fmapzip.bench.source import Source, Tap
from fmapzip.bench.specs import Chosen
from fmapzip.codecs.base import IntegerMap
from fmapzip.documents.bench import BENCH
from fmapzip.errors import FmapzipError
from fmapzip.eval.environment import PACKAGES, OtherPrograms, environment
from fmapzip.eval.request import Progress
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan

SCHEMA = 1
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
    conditions = _conditions(source, repeat, threads)
    partial = None if report_file is None else beside(report_file, PARTIAL)
    cache = MeasurementCache(partial, "bench", conditions, restart=True)
    plans = {
        method.label: source.plan(method.codec)
        for method in chosen.methods
        if isinstance(method, OurMethod) and method.codec is not None
    }
    taps, figures = _figures(source.taps, chosen.methods, plans, repeat, cache, progress)
    entries = better_layouts([codec_entry(m, found, plans.get(m.label)) for m, found in figures])
    if distortion:
        _add_distortion(source, chosen.methods, entries, plans)
    report = {
        "schema": SCHEMA,
        "kind": "bench",
        **conditions,
        "taps": taps,
        "totals": totals(taps),
        "codecs": sorted(entries, key=lambda entry: entry["total_bytes"])
        + [missing_entry(label, module) for label, module in chosen.missing],
    }
    report["int8"] = next((e.pop("_int8") for e in entries if "_int8" in e), None)
    report["environment"] = {**conditions["environment"], "others_cpu": others.share()}
    cache.remove()
    return BENCH.checked(report)


def _conditions(source: Source, repeat: int, threads: int) -> dict[str, Any]:
    machine = environment(threads, (*PACKAGES, *BASELINE_PACKAGES))
    return {"source": source.description, "repeat": repeat, "environment": machine}


def _figures(
    taps: Sequence[Tap],
    methods: Sequence[Method],
    plans: dict[str, Plan | None],
    repeat: int,
    cache: MeasurementCache,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[tuple[Method, list[TapFigures]]]]:
    entries = []
    results: list[list[TapFigures]] = [[] for _ in methods]
    for place, tap in enumerate(taps):
        maps: list[IntegerMap] = [tap.load(i) for i in range(tap.samples)]
        entries.append(tap_entry(tap.name, maps, tap.zero_point))
        identity = f"{tap.name} {_fingerprint(maps):08x}"
        for number, (method, found) in enumerate(zip(methods, results, strict=True)):
            plan = plans.get(method.label)
            found.append(_one(method, tap, place, plan, maps, repeat, cache, identity))
            progress(BENCHING, place * len(methods) + number + 1, len(taps) * len(methods))
    return entries, list(zip(methods, results, strict=True))


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
            return measure(method, method.job(tap, place, plan), maps, repeat).to_json()
        except FmapzipError:
            raise
        except Exception as error:
            raise RuntimeError(f"{method.label} on {tap.name}: {type(error).__name__}: {error}") from error

    return TapFigures(**cache.get(key, work))


def _fingerprint(maps: Sequence[IntegerMap]) -> int:
    found = 0
    for q in maps:
        found = zlib.crc32(np.ascontiguousarray(q).data, found)
    return found


def _add_distortion(
    source: Source, methods: Sequence[Method], entries: list[dict[str, Any]], plans: dict[str, Plan | None]
) -> None:
    """Add to each lossy method what it does to the network's output."""
    lossy = [(entry, method) for entry in entries for method in methods if _is(entry, method) and not method.lossless]
    found: list[tuple[dict[str, Any], Plan]] = []
    for entry, method in lossy:
        plan = plans.get(method.label)
        if isinstance(method, BaselineMethod) and method.baseline is not None:
            plan = baseline_plan(method.baseline, [method.side(tap) for tap in source.taps], source)
        if plan is not None:
            found.append((entry, plan))
    figures = source.distortion([plan for _, plan in found])
    if figures is None:
        return
    for (entry, _), distortion in zip(found, figures, strict=False):
        entry["distortion"] = distortion
    if entries:
        entries[0]["_int8"] = figures[-1]


def _is(entry: dict[str, Any], method: Method) -> bool:
    return bool(entry["label"] == method.label and entry["layout"] == method.layout)
