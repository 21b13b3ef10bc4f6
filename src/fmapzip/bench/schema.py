"""A bench as JSON values: what docs/BENCH_JSON.md describes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from fmapzip.baselines.base import PARTS
from fmapzip.documents.bench import BENCH
from fmapzip.documents.bench_shard import Figures, MethodFigures, TapFigures, TapMaps
from fmapzip.documents.maps import pooled
from fmapzip.documents.shard import NetworkSums
from fmapzip.histogram import ValueHistogram

SCHEMA = 1
MB = 1e6
_POOLED = ("zeros", "entropy_bits")


def report(figures: Figures, source: dict[str, Any], repeat: int, environment: dict[str, Any]) -> dict[str, Any]:
    """The report that docs/BENCH_JSON.md describes.

    Parameters
    ----------
    figures
        Of all maps.
    source
        What is said of where they come from.
    repeat, environment
        Timed runs of each map, and the machine.
    """
    taps = [_tap_entry(tap) for tap in figures.taps]
    entries = better_layouts([codec_entry(method, figures.classes) for method in figures.methods])
    found = {
        "schema": SCHEMA,
        "kind": "bench",
        "source": source,
        "repeat": repeat,
        "environment": environment,
        "taps": taps,
        "totals": totals(taps),
        "codecs": sorted(entries, key=lambda entry: entry["total_bytes"])
        + [missing_entry(label, module) for label, module in figures.missing],
        "int8": _distortion(figures.int8, figures.classes, ("float",)),
    }
    return BENCH.checked(found)


def _tap_entry(tap: TapMaps) -> dict[str, Any]:
    """Shape, zeros, histogram and order-0 entropy of a tap's integers."""
    seen = ValueHistogram(tap.dtype, tap.zero_point)
    seen.counts += tap.counts
    facts = {"name": tap.name, "shape": tap.shape, "dtype": tap.dtype, "samples": tap.samples}
    return {**facts, **seen.to_json()}


def totals(taps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Raw bytes, share of zeros and mean entropy over all taps."""
    return {"raw_bytes": sum(tap["raw_bytes"] for tap in taps), **{key: pooled(taps, key) for key in _POOLED}}


def codec_entry(method: MethodFigures, classes: bool | None) -> dict[str, Any]:
    """The row of a method, over all taps."""
    taps = method.taps
    coded = sum(tap.bytes for tap in taps)
    side = sum(tap.side_bytes for tap in taps) if method.plan_bytes is None else method.plan_bytes
    parts = {part: sum(tap.parts[part] for tap in taps) for part in PARTS}
    wrong = [tap.wrong for tap in taps if tap.wrong]
    peaks = [tap.peak_bytes for tap in taps if tap.peak_bytes is not None]
    return {
        "label": method.label,
        "layout": method.layout,
        **method.facts,
        "status": f"wrong: {wrong[0]}" if wrong else "ok",
        "bytes": coded,
        "side_bytes": side,
        "total_bytes": coded + side,
        "parts": parts,
        "encode_seconds": sum(tap.encode_seconds for tap in taps),
        "decode_seconds": sum(tap.decode_seconds for tap in taps),
        "encode_spread": _share(sum(tap.encode_excess for tap in taps), sum(tap.encode_seconds for tap in taps)),
        "decode_spread": _share(sum(tap.decode_excess for tap in taps), sum(tap.decode_seconds for tap in taps)),
        "peak_bytes": max(peaks, default=None),
        "sqnr_db": sqnr(sum(tap.signal for tap in taps), sum(tap.squared_error for tap in taps)),
        "max_error": max((tap.max_error for tap in taps), default=0),
        "other_layout_bytes": None,
        "distortion": _distortion(method.outputs, classes, ("float", "int8")),
        "notes": method.notes,
        "taps": [_tap(tap) for tap in taps],
    }


def missing_entry(label: str, module: str) -> dict[str, Any]:
    """The row of a method whose package is not installed."""
    return {"label": label, "status": f"missing: the module {module!r} (extra 'baselines')"}


def better_layouts(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the rows of one general codec, the one with fewer bytes."""
    kept: dict[str, dict[str, Any]] = {}
    for entry in entries:
        other = kept.get(entry["label"])
        if other is None:
            kept[entry["label"]] = entry
            continue
        better, worse = sorted((other, entry), key=lambda e: e["total_bytes"])
        kept[entry["label"]] = {**better, "other_layout_bytes": worse["total_bytes"]}
    return list(kept.values())


def sqnr(signal: int, noise: int) -> float | None:
    """Signal-to-noise ratio in dB; None where there is no noise or no signal."""
    return 10 * math.log10(signal / noise) if signal and noise else None


def _distortion(
    sums: NetworkSums | None, classes: bool | None, against: Sequence[Literal["float", "int8"]]
) -> dict[str, Any] | None:
    """What `eval` gives of a network's outputs, against others; None where it did not run."""
    if sums is None:
        return None
    from fmapzip.torch.metrics import OutputFigures

    figures = OutputFigures()
    figures.merge(sums)
    found: dict[str, Any] = {"output_sqnr_db": figures.sqnr_db}
    found |= {"top1": figures.top1 if classes else None, "top5": figures.top5 if classes else None}
    for other in against:
        found[f"changed_vs_{other}"] = figures.changed(other) if classes else None
        found[f"kl_vs_{other}"] = figures.divergence(other) if classes else None
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _tap(found: TapFigures) -> dict[str, Any]:
    return {
        "bytes": found.bytes,
        "side_bytes": found.side_bytes,
        "parts": found.parts,
        "path": found.path,
        "largest": found.largest,
        "encode_seconds": found.encode_seconds,
        "decode_seconds": found.decode_seconds,
        "sqnr_db": sqnr(found.signal, found.squared_error),
        "max_error": found.max_error,
    }
