"""What the page shows of reports of ``bench`` and ``eval``: titles, words, taps, and a row a method."""

from __future__ import annotations

import math
from typing import Any

from fmapzip.bench.break_even import break_even_of
from fmapzip.bench.summary import sentences
from fmapzip.documents.maps import pooled
from fmapzip.errors import InvalidInput
from fmapzip.eval.environment import busy_note
from fmapzip.inspection import parts_of
from fmapzip.report.names import short
from fmapzip.report.partition_model import model_of_partition
from fmapzip.report.plan_model import model_of_plan
from fmapzip.report.settings import changed_settings
from fmapzip.report.tasks import task_words
from fmapzip.report.traffic_model import model_of_traffic
from fmapzip.report.tuning_model import model_of_tuning

Values = dict[str, Any]
SCHEMA = 1
_MB = 1e6


def model_of(report: Values) -> Values:
    """The page's data; sizes in bytes, speeds in MB/s, shares as fractions."""
    if report.get("schema") != SCHEMA:
        raise InvalidInput(f"the report has schema {report.get('schema')!r}; this release shows schema {SCHEMA}")
    if report.get("kind") == "bench":
        return _of_bench(report)
    if report.get("kind") == "plan":
        return model_of_plan(report, _environment(report["environment"]))
    if report.get("kind") == "partition":
        return model_of_partition(report, _environment(report["environment"]))
    if report.get("kind") == "tune":
        return model_of_tuning(report, _environment(report["environment"]))
    if report.get("kind") == "traffic":
        return model_of_traffic(report, _environment(report["environment"]))
    if "baselines" in report and "codecs" in report:
        return _of_eval(report)
    raise InvalidInput("not a report of 'fmapzip bench', 'eval', 'plan', 'split', 'traffic' or 'tune'")


def _of_bench(report: Values) -> Values:
    source = report["source"]
    name = ", ".join(source["files"]) if source["files"] else f"{short(source['model'])} on {short(source['data'])}"
    facts = [
        ("taps", str(len(report["taps"]))),
        ("values", f"{report['totals']['raw_bytes'] / _MB:.1f} million"),
        ("zeros", f"{report['totals']['zeros']:.1%}"),
        ("order-0 entropy", f"{pooled(report['taps'], 'entropy_bits'):.2f} bits a value"),
        ("samples", str(max((tap["samples"] for tap in report["taps"]), default=0))),
        ("quantizer", source["quantizer"]),
        ("calibration images", _or_dash(source["calibration_images"])),
        ("timed runs", str(report["repeat"])),
    ]
    rows = [_bench_row(entry, report["taps"]) for entry in report["codecs"]]
    return {
        "title": f"Arena: {name}",
        "kind": "bench",
        "facts": facts,
        "summary": [*sentences(report), *_busy(report)],
        "environment": _environment(report["environment"]),
        "taps": report["taps"],
        "rows": rows,
        "distortion": _distortion_axis(rows),
        "baselines": [("8-bit network", report["int8"])] if report.get("int8") else [],
        "notes": [
            "A ratio counts every byte: 8-bit values over the encoded maps and what is kept beside them. "
            "Along the depth, what is kept beside the maps is left out.",
            "Hollow points and figures in grey are times that say nothing of the method: it is written in NumPy here.",
            "SQNR is of the decoded integers against the integers.",
            "Pays below: the bandwidth of a link below which coded maps arrive sooner than their 8-bit values: map by "
            "map, and where coding and sending overlap.",
        ],
    }


def _bench_row(entry: Values, taps: list[Values]) -> Values:
    if "bytes" not in entry:
        return {"label": entry["label"], "status": entry["status"]}
    raw = sum(tap["raw_bytes"] for tap in taps)
    pays = break_even_of(entry, raw)
    return {
        **{key: entry[key] for key in ("label", "status", "ours", "lossless", "layout", "source", "bytes")},
        "timed": entry["speed_meaningful"],
        "side": entry["side_bytes"],
        "total": entry["total_bytes"],
        "parts": entry["parts"],
        "encode": _speed(raw, entry["encode_seconds"]),
        "decode": _speed(raw, entry["decode_seconds"]),
        "pays_below": _finite(pays.serial),
        "pays_overlapped": _finite(pays.overlapped),
        "sqnr": entry["sqnr_db"],
        "max_error": entry["max_error"],
        "peak": entry["peak_bytes"],
        "distortion": entry["distortion"] or {},
        "taps": [
            {
                "bytes": found["bytes"],
                "side": found["side_bytes"],
                "parts": found["parts"],
                "path": found["path"],
                "sqnr": found["sqnr_db"],
                "max_error": found["max_error"],
                "encode": _speed(tap["raw_bytes"], found["encode_seconds"]),
                "decode": _speed(tap["raw_bytes"], found["decode_seconds"]),
            }
            for tap, found in zip(taps, entry["taps"], strict=True)
        ],
    }


def _of_eval(report: Values) -> Values:
    taps = report["taps"]
    raw = sum(tap["raw_bytes"] for tap in taps)
    facts = [
        ("taps", str(len(taps))),
        ("zeros", f"{pooled(taps, 'zeros'):.1%}"),
        ("order-0 entropy", f"{pooled(taps, 'entropy_bits'):.2f} bits a value"),
        ("images", str(report["images"])),
        ("calibration images", str(report["calibration_images"])),
        ("quantizer", report["quantizer"]),
        *_input(report["protocol"]),
    ]
    rows = [_eval_row(entry, raw) for entry in report["codecs"]]
    baselines = report["baselines"]
    return {
        "title": f"{short(report['model'])} on {short(report['data'])}",
        "kind": "eval",
        "facts": facts,
        "summary": [*_eval_words(report, rows), *_busy(report)],
        "environment": _environment(report["environment"]),
        "taps": report["taps"],
        "rows": rows,
        "distortion": _distortion_axis(rows),
        "baselines": [("float network", baselines["float"]), ("8-bit network", baselines["int8"])],
        "headline": _headline(report, rows, raw),
        "pictures": report.get("pictures"),
        "notes": [
            "A ratio counts every byte: 8-bit values over the frames and the plan once. "
            "Along the depth, the plan is left out.",
            "SQNR of a map is against the tap's own float input in that pass, signal and noise pooled over images.",
        ],
    }


def _input(protocol: Values) -> list[tuple[str, str]]:
    """How images were read, where the report says it."""
    found = protocol.get("input")
    return [] if found is None else [("input", found["words"])]


def _eval_row(entry: Values, raw: int) -> Values:
    coded = sum(tap["total_bytes"] for tap in entry["taps"])
    return {
        "label": entry["codec"] + changed_settings(entry["config"]),
        "status": "ok",
        "ours": True,
        "lossless": entry["kl_vs_int8"] == 0,
        "layout": "",
        "source": "",
        "timed": True,
        "bytes": coded,
        "side": entry["plan_bytes"],
        "total": coded + entry["plan_bytes"],
        "parts": _sum_of([parts_of(tap["sections"]) for tap in entry["taps"]]),
        "encode": entry["encode_mb_per_s"],
        "decode": entry["decode_mb_per_s"],
        "sqnr": None,
        "max_error": None,
        "peak": None,
        "distortion": {key: entry[key] for key in _DISTORTION},
        "taps": [
            {
                "bytes": tap["total_bytes"],
                "side": 0,
                "parts": parts_of(tap["sections"]),
                "path": tap["path"],
                "sqnr": tap["sqnr_db"],
                "max_error": None,
                "encode": None,
                "decode": None,
            }
            for tap in entry["taps"]
        ],
    }


def _sum_of(parts: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(one[name] for one in parts) for name in parts[0]} if parts else {}


_DISTORTION = ("top1", "top5", "changed_vs_int8", "changed_vs_float", "kl_vs_float", "kl_vs_int8", "output_sqnr_db")


def _headline(report: Values, rows: list[Values], raw: int) -> list[Values]:
    """The figures of the first screen: bytes saved without and with loss, and what was kept of the accuracy."""
    cards = []
    for lossless, name in ((True, "without changing an integer"), (False, "with loss")):
        found = [(row, entry) for row, entry in zip(rows, report["codecs"], strict=True) if row["lossless"] == lossless]
        if not found:
            continue
        row, entry = min(found, key=lambda pair: pair[0]["total"])
        cards.append({"figure": f"{raw / row['total']:.2f} x", "words": f"fewer bytes {name}: {row['label']}"})
        if not lossless or len(rows) == 1:
            cards += _kept(report, entry)
    return cards


def _kept(report: Values, entry: Values) -> list[Values]:
    exact = report["baselines"]["float"]["top1"]
    if entry["top1"] is not None and exact is not None:
        return [{"figure": f"{entry['top1']:.1%}", "words": f"top-1 with it, {exact:.1%} in float"}]
    if entry["output_sqnr_db"] is not None:
        return [{"figure": f"{entry['output_sqnr_db']:.1f} dB", "words": "SQNR of the output with it"}]
    return []


def _eval_words(report: Values, rows: list[Values]) -> list[str]:
    found = []
    raw = sum(tap["raw_bytes"] for tap in report["codecs"][0]["taps"])
    for entry, row in zip(report["codecs"], rows, strict=True):
        ratio = raw / row["total"]
        text = f"{row['label']} stores the maps in {1 / ratio:.1%} of their 8-bit size, ratio {ratio:.2f}"
        if entry["changed_vs_int8"] is not None:
            text += f"; {entry['changed_vs_int8']} of {report['images']} predictions differ from the 8-bit network's"
        if entry["kl_vs_float"] is not None:
            text += f", KL to the float network {entry['kl_vs_float']:.2g} nats"
        elif entry["output_sqnr_db"] is not None:
            text += f"; output SQNR {entry['output_sqnr_db']:.1f} dB"
        found.append(text + ".")
        found += [f"{row['label']}: {task_words(task)}" for task in entry.get("tasks") or []]
        found += entry["notes"]
    return found


def _distortion_axis(rows: list[Values]) -> Values | None:
    """The measure of distortion that methods have: KL of class scores, else SQNR of the output or of the integers."""
    for key, name in (
        ("kl_vs_float", "KL to the float network, nats"),
        ("output_sqnr_db", "output SQNR, dB"),
    ):
        if any(row.get("distortion", {}).get(key) is not None for row in rows):
            return {"key": key, "name": name, "log": key == "kl_vs_float"}
    return (
        {"key": "sqnr", "name": "SQNR of the integers, dB", "log": False} if any(r.get("sqnr") for r in rows) else None
    )


def _environment(found: Values) -> list[tuple[str, str]]:
    packages = ", ".join(f"{name} {version}" for name, version in found.get("packages", {}).items())
    shown = [
        (key.replace("_", " "), str(value))
        for key, value in found.items()
        if not isinstance(value, dict) and key != "others_cpu"
    ]
    share = found.get("others_cpu")
    others = [] if share is None else [("other programs", f"used {100 * share:.0f} % of the machine meanwhile")]
    return [*shown, *others, ("packages", packages)]


def _busy(report: Values) -> list[str]:
    """Whether times are to be trusted."""
    note = busy_note(report)
    return [] if note is None else [f"Careful: {note}."]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _speed(raw: int, seconds: float) -> float | None:
    return raw / _MB / seconds if seconds else None


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)
