"""What the page shows of a report of ``fmapzip plan``."""

from __future__ import annotations

import math
from typing import Any

from fmapzip.report.names import short
from fmapzip.report.tasks import task_words

Values = dict[str, Any]


def model_of_plan(report: Values, conditions: list[tuple[str, str]]) -> Values:
    """The page's data.

    Parameters
    ----------
    report
        As docs/PLAN_JSON.md describes it, of kind "plan".
    conditions
        Names and values of the environment.
    """
    kl = report["metric"] == "kl"
    chosen = report["choosing"]
    return {
        "title": f"Plan: {short(report['model'])} on {short(report['data'])}",
        "kind": "plan",
        "facts": [
            ("budget", report["budget"]["words"]),
            ("met", "yes" if report["met"] else "no"),
            ("taps", str(len(report["taps"]))),
            ("calibration images", str(report["calibration_images"])),
            ("plan", f"{report['plan']['bytes']} bytes"),
        ],
        "summary": [*_words(report), *report["notes"]],
        "environment": conditions,
        "metric": {"name": "KL to the float network, nats" if kl else "output SQNR, dB", "log": kl},
        "budget": _budget_line(report, kl),
        "chosen": {"bytes": chosen["frame_bytes"], "distortion": chosen["kl_vs_float" if kl else "output_sqnr_db"]},
        "curve": [
            {
                "bytes": step["bytes"],
                "distortion": _distortion(step["distortion"], kl),
                "predicted": _distortion(step["predicted"], kl),
            }
            for step in report["curve"]
        ],
        "taps": [_tap(tap, kl) for tap in report["taps"]],
        "rows": [],
        "notes": [
            "Bytes are of one image's frames. Distortion alone is that of the network with only this map stored by the "
            "plan, the others in float.",
            "Shares of distortion are shares of the sum of the maps' distortions alone.",
        ],
    }


def _words(report: Values) -> list[str]:
    chosen = report["choosing"]
    found = [
        f"The plan stores the maps in {1 / chosen['ratio']:.1%} of their 8-bit size: ratio {chosen['ratio']:.2f}, "
        f"with the plan's own bytes shared among the calibration images {chosen['ratio_with_plan']:.2f}."
    ]
    for name, part in (("it was chosen on", "choosing"), ("it was verified on", "verifying")):
        figures = report[part]
        if figures["kl_vs_float"] is not None:
            distortion = (
                f"KL to the float network {figures['kl_vs_float']:.2g} nats (8-bit {figures['int8_kl_vs_float']:.2g})"
            )
        else:
            whole, eight_bit = (_decibels(figures[key]) for key in ("output_sqnr_db", "int8_output_sqnr_db"))
            distortion = f"output SQNR {whole} (8-bit {eight_bit})"
        found.append(f"On the {figures['images']} images that {name}: {distortion}.")
    if report.get("task") is not None:
        found.append(f"On all {report['task']['images']} of them: {task_words(report['task'])}")
    found.append(_largest(report))
    return found


def _largest(report: Values) -> str:
    """Which maps take most of the bytes, and which cause most of the distortion."""
    taps = report["taps"]
    by_bytes = max(taps, key=lambda tap: tap["choice"]["bytes"])
    share = by_bytes["choice"]["bytes"] / sum(tap["choice"]["bytes"] for tap in taps)
    text = f"{by_bytes['name']} takes the most bytes, {share:.1%} of them"
    known = [tap for tap in taps if tap["choice"]["distortion_alone"]]
    if not known:
        return text + "."
    worst = max(known, key=lambda tap: tap["choice"]["distortion_alone"])
    part = worst["choice"]["distortion_alone"] / sum(tap["choice"]["distortion_alone"] for tap in known)
    return f"{text}; {worst['name']} causes the most distortion, {part:.1%} of the sum."


def _budget_line(report: Values, kl: bool) -> float | None:
    """The budget as a value of distortion, where it is one."""
    wanted = "kl" if kl else "sqnr"
    return float(report["budget"]["value"]) if report["budget"]["kind"] == wanted else None


def _tap(tap: Values, kl: bool) -> Values:
    chosen = tap["choice"]
    runner_up = tap["runner_up"]
    return {
        "name": tap["name"],
        "shape": tap["shape"],
        "raw_bytes": tap["raw_bytes"],
        "choice": _candidate(chosen, kl, chosen),
        "runner_up": None if runner_up is None else _candidate(runner_up, kl, chosen),
        "candidates": [_candidate(candidate, kl, chosen) for candidate in tap["candidates"]],
    }


def _candidate(found: Values, kl: bool, chosen: Values) -> Values:
    return {
        "label": label_of(found),
        "bytes": found["bytes"],
        "alone": found["distortion_alone"],
        "distortion": _distortion(found["distortion_alone"], kl),
        "measured": found["measured"],
        "on_hull": found["on_hull"],
        "chosen": all(found[key] == chosen[key] for key in ("config", "step", "clip_ratio", "shaped")),
        "path": found["path"],
    }


def label_of(candidate: Values) -> str:
    """A candidate in a few words: codec, the step between its points in calibrated steps, and its clip ratio."""
    level = candidate["config"].get("level")
    words = [candidate["codec"], *([level] if level not in (None, "default") else [])]
    if candidate["path"]:
        words.append(candidate["path"])
    if candidate["step"] != 1 or candidate["clip_ratio"] != 1:
        words.append(f"step {candidate['step']:.3g}")
    if candidate["clip_ratio"] != 1:
        words.append(f"clip ratio {candidate['clip_ratio']:.3g}")
    return ", ".join([*words, *(["by channel"] if candidate["shaped"] else [])])


def _distortion(value: float | None, kl: bool) -> float | None:
    """KL as it is; noise as dB."""
    if value is None or kl:
        return value
    return -10 * math.log10(value) if value > 0 else None


def _decibels(value: float | None) -> str:
    return "without noise" if value is None else f"{value:.1f} dB"
