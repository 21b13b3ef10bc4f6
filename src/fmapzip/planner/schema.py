"""What planning found as the JSON object that docs/PLAN_JSON.md describes: schema 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import log10, prod, sqrt
from statistics import mean, stdev
from typing import Any

from fmapzip.documents.planning import PLANNING
from fmapzip.planner.allocate.choice import points
from fmapzip.planner.allocate.hull import lower_hull
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.result import Measured, Planned
from fmapzip.torch.results import TaskResult

SCHEMA = 1
ENOUGH = 16
"""Verifying images from which on nothing is said of their number."""
_STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145)
"""Student's t at 97.5 % with 1 to 14 degrees of freedom."""
_MISSED = "the budget cannot be met; this plan comes nearest to it"


def to_json(planned: Planned, model: str, data: str, protocol: dict[str, Any], environment: dict[str, Any]) -> Any:
    """Return the report of a plan.

    Parameters
    ----------
    planned : Planned
    model, data : str
        As they were typed.
    protocol, environment : dict
        Stored beside the figures.

    Returns
    -------
    dict
        Of JSON values only; what does not apply, or is infinite, is None.
    """
    verified = planned.verifying.outcome.distortions
    report = {
        "schema": SCHEMA,
        "kind": "plan",
        "model": model,
        "data": data,
        "budget": {"kind": planned.budget.kind, "value": planned.budget.value, "words": str(planned.budget)},
        "met": planned.met,
        "task": None if planned.task is None else _task(planned, planned.task),
        "metric": planned.metric,
        "calibration_images": planned.calibration_images,
        "plan": {"hash": planned.plan.hash.hex(), "bytes": len(planned.plan.to_bytes())},
        "raw_bytes": planned.raw_bytes,
        "choosing": _measured(planned, planned.choosing),
        "verifying": _measured(planned, planned.verifying),
        "back_offs": planned.back_offs,
        "curve": [
            {"predicted": step.predicted, "distortion": step.distortion, "bytes": step.bytes}
            for step in sorted(planned.steps, key=lambda step: step.bytes)
        ],
        "taps": [_tap(options, chosen) for options, chosen in zip(planned.candidate_sets, planned.chosen, strict=True)],
        "notes": [
            *planned.notes,
            *([] if planned.met else [_MISSED]),
            *few_images(planned.metric, verified),
            *_uncertain(planned),
        ],
        "protocol": protocol,
        "environment": environment,
        "seconds": planned.seconds,
    }
    return PLANNING.checked(report)


def few_images(metric: str, distortions: Sequence[float]) -> list[str]:
    """Return a warning where the plan was verified on so few images that it may not hold on others.

    Examples
    --------
    >>> few_images("kl", [0.01, 0.02, 0.03])
    ['verified on 3 images only: their mean KL is 0.02, its 95 % interval 0 to 0.0448']
    """
    count = len(distortions)
    if count >= ENOUGH:
        return []
    text = f"verified on {count} {'image' if count == 1 else 'images'} only"
    if count == 1 or metric != "kl":
        return [text]
    middle, half = mean(distortions), _STUDENT[count - 2] * stdev(distortions) / sqrt(count)
    interval = f"{max(middle - half, 0):.3g} to {middle + half:.3g}"
    return [f"{text}: their mean KL is {middle:.3g}, its 95 % interval {interval}"]


def _task(planned: Planned, found: TaskResult) -> dict[str, Any]:
    images = sum(len(group.outcome.distortions) for group in (planned.choosing, planned.verifying))
    return {**asdict(found), "images": images, "float_value": found.value + (found.loss or 0.0)}


def _uncertain(planned: Planned) -> list[str]:
    """Return a warning where chance alone might hide a loss beyond the budget."""
    found = planned.task
    if found is None or found.loss_interval is None or found.loss_interval[1] <= planned.budget.value:
        return []
    low, high = found.loss_interval
    return [f"{found.figure} lost is {found.loss:.3g}, but its 95 % interval is {low:.3g} to {high:.3g}"]


def _measured(planned: Planned, found: Measured) -> dict[str, Any]:
    frames, share = found.outcome.bytes, len(planned.plan.to_bytes()) / planned.calibration_images
    kl = planned.metric == "kl"
    return {
        "images": len(found.outcome.distortions),
        "frame_bytes": frames,
        "ratio": planned.raw_bytes / frames,
        "ratio_with_plan": planned.raw_bytes / (frames + share),
        "kl_vs_float": found.outcome.distortion if kl else None,
        "int8_kl_vs_float": found.eight_bit.distortion if kl else None,
        "output_sqnr_db": None if kl else _decibels(found.outcome.distortion),
        "int8_output_sqnr_db": None if kl else _decibels(found.eight_bit.distortion),
        "expected_drop": found.expected_drop,
        "drop": None if found.drop is None else found.drop[0],
        "drop_interval": None if found.drop is None else list(found.drop[1:]),
    }


def _decibels(noise: float) -> float | None:
    return -10 * log10(noise) if noise > 0 else None


def _tap(options: CandidateSet, chosen: Candidate) -> dict[str, Any]:
    on_hull = {options.candidates[point.place].key for point in lower_hull(points(options))}
    runner_up = _runner_up(options, chosen)
    return {
        "name": options.tap.name,
        "shape": list(options.tap.shape),
        "raw_bytes": prod(options.tap.shape),
        "choice": _candidate(options, chosen, on_hull),
        "runner_up": None if runner_up is None else _candidate(options, runner_up, on_hull),
        "candidates": [
            _candidate(options, candidate, on_hull)
            for candidate in sorted(options.candidates, key=options.size, reverse=True)
        ],
    }


def _runner_up(options: CandidateSet, chosen: Candidate) -> Candidate | None:
    """Return the candidate that would come next: the smallest of those that distort no more, or the nearest in size."""
    others = [candidate for candidate in options.candidates if candidate != chosen]
    if not others:
        return None
    gentle = [c for c in others if options.distortion(c) <= options.distortion(chosen)]
    return min(gentle or others, key=lambda candidate: abs(options.size(candidate) - options.size(chosen)))


def _candidate(options: CandidateSet, candidate: Candidate, on_hull: set[str]) -> dict[str, Any]:
    planned = options.rates[candidate.key].planned
    return {
        **candidate.to_json(),
        "path": candidate.codec.path_taken(planned.parameters),
        "bytes": options.size(candidate),
        "parameter_bytes": len(planned.parameters),
        "distortion_alone": options.distortion(candidate),
        "measured": candidate.key in options.measured,
        "estimate": options.estimates[candidate.key],
        "on_hull": candidate.key in on_hull,
    }
