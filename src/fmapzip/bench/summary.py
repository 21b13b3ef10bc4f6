"""A bench in words: who is smallest, who is fastest, and where a baseline is ahead of us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Entry = dict[str, Any]

UNSTEADY = 0.1
"""Share of a method's time by which its runs may differ before a reader is told."""


def sentences(report: dict[str, Any]) -> list[str]:
    """What a reader should take from a bench, in a few plain sentences.

    Sizes count every byte, side information included; speeds are those of methods whose speed says something.
    """
    raw = report["totals"]["raw_bytes"]
    rows = [entry for entry in report["codecs"] if entry["status"] == "ok"]
    exact = [entry for entry in rows if entry["lossless"]]
    found = _smallest(exact, raw)
    found += _per_tap(exact, report["taps"])
    found += _plans_pay(exact, report["source"].get("images"))
    found += _fastest(exact, raw)
    found += _beaten(exact, raw)
    found += _unsteady(rows)
    return found


def ahead_of(entry: Entry, others: Sequence[Entry], way: str) -> list[Entry]:
    """The methods that are smaller than `entry` and faster one way, "encode" or "decode"."""
    return [
        other
        for other in others
        if other["speed_meaningful"]
        and other["total_bytes"] < entry["total_bytes"]
        and other[f"{way}_seconds"] < entry[f"{way}_seconds"]
    ]


def _smallest(exact: Sequence[Entry], raw: int) -> list[str]:
    ours, theirs = _best(exact, True), _best(exact, False)
    if ours is None or theirs is None:
        best = ours or theirs
        return [] if best is None else [f"Smallest without loss: {_named(best, raw)}."]
    first, second = sorted((ours, theirs), key=lambda entry: entry["total_bytes"])
    less = 1 - first["total_bytes"] / second["total_bytes"]
    whose = "ours" if first is ours else "a baseline"
    rival = "best baseline" if first is ours else "best of ours"
    return [
        f"Smallest without loss: {_named(first, raw)}, {whose}; "
        f"{less:.1%} less than the {rival}, {_named(second, raw)}."
    ]


def _per_tap(exact: Sequence[Entry], taps: Sequence[dict[str, Any]]) -> list[str]:
    ours = [entry for entry in exact if entry["ours"]]
    theirs = [entry for entry in exact if not entry["ours"]]
    if not ours or not theirs or len(taps) < 2:
        return []
    lost = []
    for i, tap in enumerate(taps):
        best_ours = min(ours, key=lambda e: e["taps"][i]["bytes"])
        best_theirs = min(theirs, key=lambda e: e["taps"][i]["bytes"])
        gap = 1 - best_theirs["taps"][i]["bytes"] / best_ours["taps"][i]["bytes"]
        if gap > 0:
            lost.append(f"{tap['name']} ({best_theirs['label']}, {gap:.1%} less)")
    if not lost:
        return [f"On each of the {len(taps)} taps the smallest is ours."]
    shown = "; ".join(lost[:6]) + (f"; and {len(lost) - 6} more" if len(lost) > 6 else "")
    return [f"A baseline is smaller on {len(lost)} of {len(taps)} taps (side information left out): {shown}."]


def _plans_pay(exact: Sequence[Entry], images: int | None) -> list[str]:
    """From how many images on a plan of ours and the frames are smaller than what needs nothing beside its maps."""
    rival = min((e for e in exact if not e["side_bytes"]), key=lambda entry: entry["bytes"], default=None)
    planned = [entry for entry in exact if entry["ours"] and entry["side_bytes"]]
    if images is None or rival is None or not planned:
        return []
    found = []
    for entry in planned:
        saved = rival["bytes"] - entry["bytes"]
        # n images: plan + n frames < n frames of the rival.
        pays = _from(entry["side_bytes"] * images // saved + 1) if saved > 0 else "never"
        found.append(f"{entry['label']} {pays}")
    return [f"Plan and frames are smaller than {rival['label']}, which needs no plan: {', '.join(found)}."]


def _from(images: int) -> str:
    return "from the first image on" if images == 1 else f"from {images} images on"


def _fastest(exact: Sequence[Entry], raw: int) -> list[str]:
    timed = [entry for entry in exact if entry["speed_meaningful"]]
    if len(timed) < 2:
        return []
    encode = min(timed, key=lambda entry: entry["encode_seconds"])
    decode = min(timed, key=lambda entry: entry["decode_seconds"])
    return [
        f"Fastest without loss: {encode['label']} encodes {_rate(raw, encode['encode_seconds'])}, "
        f"{decode['label']} decodes {_rate(raw, decode['decode_seconds'])}."
    ]


def _beaten(exact: Sequence[Entry], raw: int) -> list[str]:
    baselines = [entry for entry in exact if not entry["ours"]]
    ours = [entry for entry in exact if entry["ours"]]
    if not baselines or not ours:
        return []
    found = []
    for entry in ours:
        for way in ("encode", "decode"):
            better = ahead_of(entry, baselines, way)
            if better:
                names = ", ".join(_named(other, raw) for other in better[:4])
                found.append(f"Both smaller than our {_named(entry, raw)} and faster to {way}: {names}.")
    return found or ["No baseline is both smaller than one of our lossless codecs and faster to encode or to decode."]


def _unsteady(rows: Sequence[Entry]) -> list[str]:
    """Which times are not to be trusted to a tenth; reports of earlier releases do not know."""
    found = []
    for entry in rows:
        for way in ("encode", "decode") if entry["speed_meaningful"] else ():
            share = entry.get(f"{way}_spread", 0.0)
            if share > UNSTEADY:
                found.append(f"{entry['label']} to {way} ({share:.0%})".replace("%", " %"))
    return [f"Times that differ much between runs, as on a busy machine: {', '.join(found)}."] if found else []


def _best(entries: Sequence[Entry], ours: bool) -> Entry | None:
    return min((e for e in entries if e["ours"] is ours), key=lambda entry: entry["total_bytes"], default=None)


def _named(entry: Entry, raw: int) -> str:
    return f"{entry['label']} ({raw / entry['total_bytes']:.3f})"


def _rate(raw: int, seconds: float) -> str:
    return f"at {raw / 1e6 / seconds:.0f} MB/s" if seconds else "in no time"
