"""The report as tables for a terminal, from the report's JSON object alone."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fmapzip.documents.maps import pooled
from fmapzip.eval.environment import busy_note
from fmapzip.printable import printable
from fmapzip.tables import Figures, number, quotient, size, unusual_settings

Report = dict[str, Any]

_KINDS = (("lossless", True), ("lossy", False))


def render(report: Report) -> RenderableType:
    """The whole report: a heading, a table of taps for each codec, then what each saves and what it costs.

    Parameters
    ----------
    report
        A JSON object of schema 1 (docs/EVAL_JSON.md).
    """
    tables = [
        *map(_taps, report["codecs"], labels(report)),
        _sizes(report),
        _distortion(report),
        *_outputs(report),
        *_tasks(report),
    ]
    parts: list[RenderableType] = [_heading(report), *tables, _legend(report)]
    spaced = [part for each in parts for part in (each, Text())]
    return Group(*spaced[:-1])


def labels(report: Report) -> list[str]:
    """A short name for each codec of the report: its id, numbered where there are several of it."""
    ids = [str(entry["codec"]) for entry in report["codecs"]]
    return [f"{x} #{ids[: i + 1].count(x)}" if ids.count(x) > 1 else x for i, x in enumerate(ids)]


def _heading(report: Report) -> Text:
    calibrated = report["calibration_images"]
    counts = f"\n{report['images']} images, " + (f"calibrated on {calibrated} others" if calibrated else "as planned")
    quantizer = f", 8-bit quantizer {report['quantizer']}"
    zeros, entropy = (pooled(report["taps"], key) for key in ("zeros", "entropy_bits"))
    maps = f"\n8-bit maps: {100 * zeros:.1f} % zeros, {entropy:.2f} bits of order-0 entropy a value"
    capture, read = report["capture"], report["protocol"].get("input")
    heading = Text.assemble((report["model"], "bold"), " on ", (report["data"], "bold"), counts, quantizer, maps)
    if read is not None:
        heading.append(f"\ninput {printable(read['words'])}")
    notes = [*capture["notes"], *(note for entry in report["codecs"] for note in entry["notes"]), busy_note(report)]
    for note in filter(None, notes):
        heading.append(f"\nnote: {note}", "yellow")
    return heading


def _taps(entry: Report, label: str) -> Figures:
    settings = unusual_settings(entry["config"])
    table = Figures(
        ["tap", "shape", "zeros %", "path", "bits/value", "ratio", "largest", "SQNR dB"],
        left_out=["bits/value", "largest", "shape", "path"],
        left_aligned=["path"],
        title=f"{label} ({settings})" if settings else label,
    )
    for tap in entry["taps"]:
        shape = "x".join(map(str, tap["shape"]))
        bits = quotient(8 * tap["total_bytes"], tap["raw_bytes"])
        ratio = quotient(tap["raw_bytes"], tap["total_bytes"])
        figures = [number(bits, 2), number(ratio, 2), size(tap["frame_bytes_max"]), number(tap["sqnr_db"], 1)]
        table.rows.append([tap["name"], shape, number(tap["zeros"], 1, 100), tap["path"], *figures])
    if not any(tap["path"] for tap in entry["taps"]):
        _drop(table, "path")
    frames = quotient(sum(tap["raw_bytes"] for tap in entry["taps"]), sum(tap["total_bytes"] for tap in entry["taps"]))
    zeros = quotient(
        sum(tap["zeros"] * tap["raw_bytes"] for tap in entry["taps"]), sum(tap["raw_bytes"] for tap in entry["taps"])
    )
    cells = {
        "tap": f"{len(entry['taps'])} taps, without the plan",
        "zeros %": number(zeros, 1, 100),
        "bits/value": number(quotient(8, frames or 0), 2),
        "ratio": number(frames, 2),
    }
    table.total = [cells.get(heading, "") for heading in table.columns]
    return table


def _drop(table: Figures, heading: str) -> None:
    at = table.columns.index(heading)
    table.rows = [[cell for i, cell in enumerate(row) if i != at] for row in table.rows]
    table.columns = [x for x in table.columns if x != heading]
    table.left_out = [x for x in table.left_out if x != heading]


def _sizes(report: Report) -> Figures:
    columns = ["size and speed", "per image", "ratio", "payload\nratio", "ratio to\nfp32", "bits/\nvalue", "plan"]
    table = Figures(
        [*columns, "encode\nMB/s", "decode\nMB/s", "seconds"],
        left_out=["payload\nratio", "bits/\nvalue", "ratio to\nfp32", "plan", "seconds", "per image"],
    )
    baselines = report["baselines"]
    raw = max((sum(tap["raw_bytes"] for tap in entry["taps"]) for entry in report["codecs"]), default=0)
    each = quotient(raw, report["images"]) or 0
    blank = [""] * 7
    table.rows.append(["float", size(4 * each), *blank, number(baselines["float"]["seconds"], 1)])
    table.rows.append(["8-bit", size(each), *blank, number(baselines["int8"]["seconds"], 1)])
    for label, entry in _apart(report):
        if entry is None:
            table.rows.append([label, *[""] * (len(table.columns) - 1)])
            continue
        stored = sum(tap["total_bytes"] for tap in entry["taps"])
        table.rows.append([
            label,
            size(quotient(stored, report["images"])),
            number(entry["ratio_total"], 3),
            number(entry["ratio_payload"], 3),
            number(entry["ratio_vs_fp32"], 2),
            number(entry["bits_per_value"], 2),
            size(entry["plan_bytes"]),
            number(entry["encode_mb_per_s"], 0),
            number(entry["decode_mb_per_s"], 0),
            number(entry["seconds"], 1),
        ])  # fmt: skip
    return table


def _apart(report: Report) -> list[tuple[str, Report | None]]:
    """Labels and codecs, the lossless ones first; a heading without a codec before each kind where there are both."""
    named = list(zip(labels(report), report["codecs"], strict=True))
    kinds = [(name, [x for x in named if bool(x[1].get("lossless")) == value]) for name, value in _KINDS]
    if not all(found for _, found in kinds):
        return list(named)
    return [row for name, found in kinds for row in [(f"{name}:", None), *found]]


def _distortion(report: Report) -> Figures:
    baselines = report["baselines"]
    rows = [("float", baselines["float"]), ("8-bit", baselines["int8"])]
    rows += [(label, entry) for label, entry in _apart(report) if entry is not None]
    if baselines["int8"]["kl_vs_float"] is None:
        table = Figures(["distortion", "output\nSQNR dB"])
        table.rows = [[label, number(entry.get("output_sqnr_db"), 1)] for label, entry in rows[1:]]
        return table
    table = Figures(
        ["distortion", "top-1 %", "top-5 %", "changed\nvs 8-bit", "changed\nvs float", "KL\nvs 8-bit", "KL\nvs float"],
        left_out=["top-5 %", "KL\nvs 8-bit", "changed\nvs float"],
    )
    for label, entry in rows:
        accuracy = [number(entry[key], 1, 100) for key in ("top1", "top5")]
        changed = [number(entry.get(key), 0) for key in ("changed_vs_int8", "changed_vs_float")]
        table.rows.append(
            [label, *accuracy, *changed, *(number(entry.get(k), 4) for k in ("kl_vs_int8", "kl_vs_float"))]
        )
    return table


def _outputs(report: Report) -> list[Figures]:
    """A table of each output for itself, where the network has several."""
    rows = [("8-bit", report["baselines"]["int8"])]
    rows += [(label, entry) for label, entry in _apart(report) if entry is not None]
    if not rows[0][1].get("outputs"):
        return []
    table = Figures(["each output", "output", "SQNR dB", "KL\nvs float", "in total"], left_aligned=["output"])
    for label, entry in rows:
        for found in entry["outputs"]:
            figures = [number(found["sqnr_db"], 1), number(found["kl_vs_float"], 4)]
            table.rows.append([label, found["name"], *figures, "yes" if found["judged"] else "no"])
    return [table]


def _tasks(report: Report) -> list[Figures]:
    """A table of what the metrics found, where some were asked for."""
    baselines = report["baselines"]
    rows = [("float", baselines["float"]), ("8-bit", baselines["int8"])]
    rows += [(label, entry) for label, entry in _apart(report) if entry is not None]
    if not rows[0][1].get("tasks"):
        return []
    columns = ["task", "figure", "value", "95 % interval", "lost", "95 % interval of it"]
    table = Figures(columns, left_aligned=["figure"])
    for label, entry in rows:
        for found in entry["tasks"]:
            spreads = [_spread(found[key]) for key in ("interval", "loss_interval")]
            table.rows.append(
                [label, found["figure"], number(found["value"], 2), spreads[0], number(found["loss"], 2), spreads[1]]
            )
    return [table]


def _spread(interval: list[float] | None) -> str:
    return "-" if interval is None else " to ".join(number(end, 2) for end in interval)


def _legend(report: Report) -> Text:
    lines = [
        "ratio: 8-bit bytes over all bytes of frames and plan; payload ratio: over tile bodies alone.",
        "largest: the largest frame of one image. SQNR of a tap: against its float input in that pass.",
    ]
    if report["baselines"]["int8"]["kl_vs_float"] is not None:
        one = 100 / report["images"]
        lines.append(
            f"changed: predictions, of {report['images']}. KL: nats, mean over images. "
            f"One image is worth {one:.2g} points of accuracy."
        )
    else:
        lines.append(
            "The output is compared as a tensor: it does not predict labels better than chance, or there are none "
            "(--metrics classes takes it for class scores all the same)."
        )
    return Text("\n".join(lines), style="dim")
