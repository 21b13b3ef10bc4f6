"""What the page shows of a report of ``fmapzip traffic``: bytes, time and what bounds it, map by map."""

from __future__ import annotations

from typing import Any

from fmapzip.report.names import short

Values = dict[str, Any]


def model_of_traffic(report: Values, conditions: list[tuple[str, str]]) -> Values:
    """The page's data.

    Parameters
    ----------
    report
        As docs/TRAFFIC_JSON.md describes it.
    conditions
        Names and values of the environment.
    """
    chip = report["chip"]
    names = [short(report[key]) for key in ("model", "data")]
    return {
        "title": f"Traffic: {names[0]} on {names[1]}",
        "kind": "traffic",
        "facts": [
            ("codec", report["codec"]),
            ("images", str(report["images"])),
            ("buffer", f"{chip['buffer_bytes'] / 1024:g} KB"),
            ("DRAM", f"{chip['bandwidth'] / 1e9:g} GB/s, {chip['dram_pj_per_bit']:g} pJ a bit"),
            ("codec's energy", _coding_words(chip)),
            ("multiplications", f"{chip['macs_per_second'] / 1e9:g} G a second"),
        ],
        "summary": _words(report),
        "environment": conditions,
        "taps": [],
        "rows": [],
        "maps": [_map(tap) for tap in report["taps"]],
        "notes": [
            "Each map is written once and read by each of its layers, which read their weights too; a layer takes the "
            "cheaper of two orders. Bytes of frames are measured; the chip is a model.",
            "Time is the longer of computing and moving bytes; where that is computing, fewer bytes save only energy.",
            *_uncounted(report),
        ],
    }


def _coding_words(chip: Values) -> str:
    given = chip["codec_pj_per_value"]
    return f"estimated, {chip['gate_fj']:g} fJ a gate that changes" if given is None else f"{given:g} pJ a value"


def _uncounted(report: Values) -> list[str]:
    unknown = report["without_energy"]
    named = "all maps" if len(unknown) == len(report["taps"]) else ", ".join(unknown)
    return [f"The energy of coding is not counted of {named}: no block was measured."] if unknown else []


def _words(report: Values) -> list[str]:
    total, taps = report["total"], report["taps"]
    found = [
        f"{total['raw_bytes'] / 1e6:.3g} MB for an image without the codec, {total['coded_bytes'] / 1e6:.3g} MB with "
        f"it: {total['raw_bytes'] / total['coded_bytes']:.2f} times less, weights and input included.",
        f"{total['raw_millijoules']:.3g} mJ and {total['coded_millijoules']:.3g} mJ, "
        f"{total['codec_millijoules']:.3g} mJ of them for coding; "
        f"{1000 * total['raw_seconds']:.3g} ms and {1000 * total['coded_seconds']:.3g} ms.",
    ]
    turned = sum(tap["raw_bound"] == "memory" and tap["coded_bound"] == "compute" for tap in taps)
    bound = sum(tap["coded_bound"] == "compute" for tap in taps)
    found.append(
        f"From {total['ridge']:.3g} multiplications a byte on a map is bound by computing. The largest frames together "
        f"are {total['worst_over_mean']:.2f} times the mean ones: buffers must hold them."
    )
    return [*found, f"With the codec {bound} of {len(taps)} maps are bound by computing, {turned} of them through it."]


def _map(tap: Values) -> Values:
    kept = ("name", "shape", "raw_frame", "mean_frame", "worst_frame", "raw_bound", "coded_bound")
    intensities = ("raw_macs_per_byte", "coded_macs_per_byte")
    return {
        **{key: tap[key] for key in (*kept, *intensities)},
        "reads": sum(layer["coded_reads"] for layer in tap["layers"]),
        "weights": sum(layer["weight_bytes"] for layer in tap["layers"]),
        "label": " x ".join(map(str, tap["shape"])),
        "bytes_before": tap["raw_bytes"],
        "bytes_after": tap["coded_bytes"],
        "ms_before": 1000 * tap["raw_seconds"],
        "ms_after": 1000 * tap["coded_seconds"],
    }
