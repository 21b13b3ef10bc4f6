"""A bench as tables for the terminal and for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO, Any

from rich.console import Group, RenderableType
from rich.text import Text

from fmapzip.bench.break_even import break_even_of, mbit
from fmapzip.bench.schema import MB
from fmapzip.bench.summary import sentences
from fmapzip.eval.environment import busy_note
from fmapzip.tables import Figures

Report = dict[str, Any]

_CSV = (
    "label", "layout", "ours", "lossless", "status", "tap", "raw_bytes", "bytes", "side_bytes", "payload_bytes",
    "mask_bytes", "table_bytes", "header_bytes", "ratio", "encode_mb_per_s", "decode_mb_per_s",
    "pays_below_mbit_per_s", "overlapped_mbit_per_s", "sqnr_db", "max_error",
)  # fmt: skip

_KINDS = (("lossless", True), ("lossy", False))

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""How a cell begins that spreadsheets run, in some of them in full width too."""


def render(report: Report) -> RenderableType:
    """The table of methods, the lossless ones apart, the fewest bytes first, and what to read from it."""
    raw = report["totals"]["raw_bytes"]
    table = Figures(
        [
            "method",
            "ratio",
            "without\nside",
            "bits",
            "encode\nMB/s",
            "decode\nMB/s",
            "pays below\nMbit/s",
            "over-\nlapped",
            "SQNR",
            "KL",
            "side",
            "peak",
            "order",
        ],
        left_out=("peak", "order", "bits", "side", "over-\nlapped", "pays below\nMbit/s"),
        left_aligned=("order",),
        title=_title(report),
    )
    found = [entry for entry in report["codecs"] if not entry["status"].startswith("missing")]
    missing = [f"{entry['label']}: {entry['status']}" for entry in report["codecs"] if entry not in found]
    kinds = {name: [x for x in found if x["lossless"] == lossless] for name, lossless in _KINDS}
    for name, entries in kinds.items():
        if all(kinds.values()):
            table.rows.append([f"{name}:", *[""] * (len(table.columns) - 1)])
        table.rows += [_row(entry, raw) for entry in entries]
    busy = busy_note(report)
    told = [f"note: {note}" for entry in found for note in entry["notes"]]
    notes = [*sentences(report), *missing, *_wrong(report), *told, *([busy] if busy else [])]
    notes.append(
        "Ratio: 8-bit values over all bytes; side: tables kept once, beside the maps. ~: a time that says nothing. "
        "Pays below: the bandwidth below which coded maps arrive sooner than 8-bit values; overlapped: coded meanwhile."
    )
    return Group(table, Text(), *(Text(note) for note in notes))


def _title(report: Report) -> str:
    source = report["source"]
    what = ", ".join(source["files"] or []) or f"{source['model']} on {source['data']}"
    raw = report["totals"]["raw_bytes"]
    zeros, entropy = report["totals"]["zeros"], report["totals"]["entropy_bits"]
    taps = len(report["taps"])
    maps = f"{zeros:.0%} zeros, {entropy:.2f} bits of order-0 entropy".replace("%", " %")
    return f"{what}: {taps} {'tap' if taps == 1 else 'taps'}, {raw / MB:.1f} MB, {maps}"


def _row(entry: dict[str, Any], raw: int) -> list[str]:
    mark = "" if entry["speed_meaningful"] else "~"
    distortion = entry["distortion"] or {}
    pays = break_even_of(entry, raw)
    return [
        entry["label"] + (" *" if entry["ours"] else ""),
        f"{raw / entry['total_bytes']:.3f}",
        f"{raw / entry['bytes']:.3f}",
        f"{8 * entry['total_bytes'] / raw:.2f}",
        mark + speed(raw, entry["encode_seconds"]),
        mark + speed(raw, entry["decode_seconds"]),
        mark + mbit(pays.serial),
        mark + mbit(pays.overlapped),
        "exact" if entry["sqnr_db"] is None else f"{entry['sqnr_db']:.1f} dB",
        "" if distortion.get("kl_vs_float") is None else f"{distortion['kl_vs_float']:.4f}",
        f"{entry['side_bytes'] / 1e3:.0f} kB" if entry["side_bytes"] else "",
        "" if entry["peak_bytes"] is None else f"{entry['peak_bytes'] / MB:.1f} MB",
        entry["layout"],
    ]


def speed(raw: int, seconds: float) -> str:
    """MB/s in few digits."""
    rate = raw / MB / seconds if seconds else 0.0
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def _wrong(report: Report) -> Iterator[str]:
    for entry in report["codecs"]:
        if entry["status"].startswith("wrong"):
            yield f"{entry['label']} {entry['status'].removeprefix('wrong: ')}"


def write_csv(report: Report, file: IO[str]) -> None:
    """One line for each method and tap."""
    writer = csv.DictWriter(file, _CSV, lineterminator="\n")
    writer.writeheader()
    for entry in report["codecs"]:
        for tap, found in zip(report["taps"], entry.get("taps", []), strict=False):
            writer.writerow(_line(entry, tap, found))


def _text(text: str) -> str:
    """A cell of words; an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _line(entry: dict[str, Any], tap: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    raw = tap["raw_bytes"]
    pays = break_even_of(found, raw)
    return {
        **{name: _text(entry[name]) for name in ("label", "layout", "status")},
        **{name: entry[name] for name in ("ours", "lossless")},
        "tap": _text(tap["name"]),
        "raw_bytes": raw,
        "bytes": found["bytes"],
        "side_bytes": found["side_bytes"],
        "payload_bytes": found["parts"]["payload"],
        "mask_bytes": found["parts"]["masks"],
        "table_bytes": found["parts"]["tables"],
        "header_bytes": found["parts"]["headers"],
        "ratio": f"{raw / found['bytes']:.4f}" if found["bytes"] else "",
        "encode_mb_per_s": speed(raw, found["encode_seconds"]),
        "decode_mb_per_s": speed(raw, found["decode_seconds"]),
        "pays_below_mbit_per_s": mbit(pays.serial),
        "overlapped_mbit_per_s": mbit(pays.overlapped),
        "sqnr_db": "" if found["sqnr_db"] is None else f"{found['sqnr_db']:.2f}",
        "max_error": found["max_error"],
    }
