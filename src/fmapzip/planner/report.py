"""What planning found as the JSON object that docs/PLAN_JSON.md describes: schema 1."""

from __future__ import annotations

from math import log10, prod
from typing import Any

from fmapzip.planner.candidate import Candidate
from fmapzip.planner.hull import lower_hull
from fmapzip.planner.planned import Measured, Planned
from fmapzip.planner.pool import Pool

SCHEMA = 1
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
    return {
        "schema": SCHEMA,
        "kind": "plan",
        "model": model,
        "data": data,
        "budget": {"kind": planned.budget.kind, "value": planned.budget.value, "words": str(planned.budget)},
        "met": planned.met,
        "metric": planned.metric,
        "calibration_images": planned.calibration_images,
        "plan": {"hash": planned.plan.hash.hex(), "bytes": len(planned.plan.to_bytes())},
        "raw_bytes": planned.raw_bytes,
        "choosing": _measured(planned, planned.choosing),
        "verifying": _measured(planned, planned.verifying),
        "back_offs": planned.back_offs,
        "curve": [
            {"predicted": step.predicted, "damage": step.damage, "bytes": step.bytes}
            for step in sorted(planned.steps, key=lambda step: step.bytes)
        ],
        "taps": [_tap(pool, chosen) for pool, chosen in zip(planned.pools, planned.chosen, strict=True)],
        "notes": [*planned.notes, *([] if planned.met else [_MISSED])],
        "protocol": protocol,
        "environment": environment,
        "seconds": planned.seconds,
    }


def _measured(planned: Planned, found: Measured) -> dict[str, Any]:
    frames, share = found.outcome.bytes, len(planned.plan.to_bytes()) / planned.calibration_images
    kl = planned.metric == "kl"
    return {
        "images": len(found.outcome.damages),
        "frame_bytes": frames,
        "ratio": planned.raw_bytes / frames,
        "ratio_with_plan": planned.raw_bytes / (frames + share),
        "kl_vs_float": found.outcome.damage if kl else None,
        "int8_kl_vs_float": found.eight_bit.damage if kl else None,
        "output_sqnr_db": None if kl else _decibels(found.outcome.damage),
        "int8_output_sqnr_db": None if kl else _decibels(found.eight_bit.damage),
        "expected_drop": found.expected_drop,
        "drop": None if found.drop is None else found.drop[0],
        "drop_interval": None if found.drop is None else list(found.drop[1:]),
    }


def _decibels(noise: float) -> float | None:
    return -10 * log10(noise) if noise > 0 else None


def _tap(pool: Pool, chosen: Candidate) -> dict[str, Any]:
    on_hull = {pool.candidates[point.place].key for point in lower_hull(pool.points())}
    runner_up = _runner_up(pool, chosen)
    return {
        "name": pool.tap.name,
        "shape": list(pool.tap.shape),
        "raw_bytes": prod(pool.tap.shape),
        "choice": _candidate(pool, chosen, on_hull),
        "runner_up": None if runner_up is None else _candidate(pool, runner_up, on_hull),
        "candidates": [
            _candidate(pool, candidate, on_hull) for candidate in sorted(pool.candidates, key=pool.size, reverse=True)
        ],
    }


def _runner_up(pool: Pool, chosen: Candidate) -> Candidate | None:
    """Return the candidate that would come next: the smallest of those that damage no more, or the nearest in size."""
    others = [candidate for candidate in pool.candidates if candidate != chosen]
    if not others:
        return None
    gentle = [c for c in others if pool.damage(c) <= pool.damage(chosen)]
    return min(gentle or others, key=lambda candidate: abs(pool.size(candidate) - pool.size(chosen)))


def _candidate(pool: Pool, candidate: Candidate, on_hull: set[str]) -> dict[str, Any]:
    planned = pool.rates[candidate.key].planned
    return {
        **candidate.to_json(),
        "path": candidate.codec.path_taken(planned.parameters),
        "bytes": pool.size(candidate),
        "parameter_bytes": len(planned.parameters),
        "damage_alone": pool.damage(candidate),
        "measured": candidate.key in pool.measured,
        "estimate": pool.estimates[candidate.key],
        "on_hull": candidate.key in on_hull,
    }
