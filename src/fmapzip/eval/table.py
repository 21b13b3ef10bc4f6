"""The report as tables for a terminal, from the report's JSON object alone."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Report = dict[str, Any]
NARROW = 100
"""Below this width some columns are left out; the JSON file has them all."""


def render(report: Report, console: Console) -> RenderableType:
    """The whole report: a heading, one table of taps for each codec, the totals, and what it costs.

    Parameters
    ----------
    report
        A JSON object of schema 1 (docs/EVAL_JSON.md).
    console
        Where it will be shown; narrow ones get fewer columns.
    """
    wide = console.width >= NARROW
    parts: list[RenderableType] = [_heading(report)]
    parts += [_taps(entry, wide) for entry in report["codecs"]]
    parts += [_sizes(report, wide), _damage(report), _notes(report)]
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts[:-1]), parts[-1])


def _heading(report: Report) -> Text:
    counts = f"{report['images']} images, {report['calibration_images']} more for calibration"
    return Text.assemble(
        (str(report["model"]), "bold"), " on ", (str(report["data"]), "bold"),
        f"\n{counts}, quantizer {report['quantizer']}",
    )  # fmt: skip


def table(title: str, *columns: str) -> Table:
    """An empty table: the first column is text that may wrap, the others are figures."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        made.add_column(column, justify="right", no_wrap=True)
    return made


def _taps(entry: Report, wide: bool) -> Table:
    paths = any(tap["path"] for tap in entry["taps"])
    columns = ["tap", "shape", "zeros", *(["path"] if paths else []), "bits", "ratio", "largest", "SQNR"]
    shown = table(codec_label(entry), *columns)
    for tap in entry["taps"]:
        row = [
            tap["name"],
            "x".join(map(str, tap["shape"])),
            _number(tap["zeros"], 1, 100, "%"),
            *([tap["path"] or ""] if paths else []),
            _number(_over(tap["total_bytes"], tap["raw_bytes"]), 2, 8),
            _number(_over(tap["raw_bytes"], tap["total_bytes"]), 2),
            size(tap["frame_bytes_max"]),
            _number(tap["sqnr_db"], 1, 1, " dB"),
        ]
        shown.add_row(*map(_plain, row))
    shown.add_section()
    raw = sum(tap["raw_bytes"] for tap in entry["taps"])
    total = [f"{len(entry['taps'])} taps", size(raw), "", *([""] if paths else [])]
    ratios = [_number(entry["bits_per_value"], 2), _number(entry["ratio_total"], 2)]
    largest = max((tap["frame_bytes_max"] for tap in entry["taps"]), default=0)
    shown.add_row(*total, *ratios, size(largest), "", style="bold")
    return shown


def _sizes(report: Report, wide: bool) -> Table:
    columns = ["size and speed", "payload", "ratio", "vs fp32", "bits", "plan", "encode", "decode", "seconds"]
    shown = table("", *columns)
    baselines = report["baselines"]
    blank = [""] * (len(columns) - 2)
    shown.add_row("float", *blank, _number(baselines["float"]["seconds"], 1))
    shown.add_row("8-bit", *blank, _number(baselines["int8"]["seconds"], 1))
    for entry in report["codecs"]:
        row = [
            _number(entry["ratio_payload"], 3),
            _number(entry["ratio_total"], 3),
            _number(entry["ratio_vs_fp32"], 2),
            _number(entry["bits_per_value"], 2),
            size(entry["plan_bytes"]),
            _number(entry["encode_mb_per_s"], 0, 1, " MB/s"),
            _number(entry["decode_mb_per_s"], 0, 1, " MB/s"),
            _number(entry["seconds"], 1),
        ]
        shown.add_row(_plain(codec_label(entry)), *row)
    return shown


def _damage(report: Report) -> Table:
    baselines = report["baselines"]
    rows = [("float", baselines["float"]), ("8-bit", baselines["int8"])]
    rows += [(codec_label(entry), entry) for entry in report["codecs"]]
    scored = baselines["float"]["top1"] is not None
    if not scored:
        shown = table("", "damage", "output SQNR")
        for label, entry in rows[1:]:
            shown.add_row(_plain(label), _number(entry.get("output_sqnr_db"), 1, 1, " dB"))
        return shown
    shown = table("", "damage", "top-1", "top-5", "changed vs 8-bit", "vs float", "KL vs 8-bit", "vs float")
    for label, entry in rows:
        shown.add_row(
            _plain(label),
            _number(entry["top1"], 1, 100, "%"),
            _number(entry["top5"], 1, 100, "%"),
            _number(entry.get("changed_vs_int8"), 0),
            _number(entry.get("changed_vs_float"), 0),
            _number(entry.get("kl_vs_int8"), 4),
            _number(entry.get("kl_vs_float"), 4),
        )
    return shown


def _notes(report: Report) -> Text:
    lines = [
        "ratio: 8-bit bytes over all bytes of the frames and the plan; payload: over tile bodies alone.",
        "largest: the largest frame of one image. SQNR: against the float input of the tap in that pass.",
    ]
    if report["baselines"]["float"]["top1"] is not None:
        one = 100 / report["images"]
        lines.append(f"KL in nats, mean over images. One image is worth {one:.2g} points of accuracy.")
    return Text("\n".join(lines), style="dim")


def codec_label(entry: Report) -> str:
    """How a codec was asked for, short: its id and those of its settings that are not the default."""
    return str(entry["codec"])


def size(count: float | None) -> str:
    """A number of bytes with its unit; 1 kB is 1000 bytes."""
    if count is None:
        return "-"
    for unit, scale, digits in (("B", 1, 0), ("kB", 1e3, 1), ("MB", 1e6, 1), ("GB", 1e9, 2)):
        if count < 999.95 * scale or unit == "GB":
            return f"{count / scale:.{digits}f} {unit}"
    raise AssertionError


def _number(value: float | None, digits: int, times: float = 1, unit: str = "") -> str:
    return "-" if value is None else f"{value * times:.{digits}f}{unit}"


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _plain(text: str) -> Text:
    return Text(text)
