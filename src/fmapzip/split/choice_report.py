"""What a cut is chosen from, as JSON values: what docs/PARTITION_JSON.md describes."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from fmapzip.documents.partition import PARTITION
from fmapzip.split.partition import Conditions, Way, best, break_even
from fmapzip.split.survey import Survey

BANDWIDTHS = tuple(10 ** (5 + i / 10) for i in range(41))
"""From 0.1 to 1000 Mbit/s."""


def report_of(
    found: Survey,
    conditions: Conditions,
    goal: str,
    most_distortion: float | None,
    names: tuple[str, str],
    environment: dict[str, Any],
) -> dict[str, Any]:
    """The report.

    Parameters
    ----------
    found
        What was measured.
    conditions, goal, most_distortion
        What the cut was chosen for.
    names
        Of the model and the data.
    environment
        As `fmapzip.eval.environment.environment` gives it.
    """
    report = {
        "schema": 1,
        "kind": "partition",
        "model": names[0],
        "data": names[1],
        "environment": environment,
        "conditions": asdict(conditions),
        "goal": goal,
        "most_distortion": most_distortion,
        "distortion": "kl" if found.class_scores else "noise",
        "images": found.images,
        "cuts": found.cuts,
        "measured_cuts": found.measured_cuts,
        "bandwidths": list(BANDWIDTHS),
        "ways": [
            _way(way, plain_of(way, found), conditions, most_distortion)
            for way in best(found.ways, conditions, goal, None)
        ],
    }
    return PARTITION.checked(report)


def plain_of(way: Way, found: Survey) -> Way | None:
    """Plain 8-bit integers at the same cut; None without a cut."""
    plain = (other for other in found.ways if other.codec == "raw" and other.reduction == "none")
    return next((other for other in plain if way.at and other.at == way.at), None)


def _way(way: Way, plain: Way | None, conditions: Conditions, most_distortion: float | None) -> dict[str, Any]:
    there = [replace(conditions, bandwidth=bandwidth) for bandwidth in BANDWIDTHS]
    return {
        **asdict(way),
        "allowed": most_distortion is None or way.distortion <= most_distortion,
        "latency": way.latency(conditions),
        "interval": way.interval(conditions),
        "energy": way.energy(conditions),
        "break_even": None if plain is None else asdict(break_even(way, plain, conditions.client_slower)),
        "latencies": [way.latency(each) for each in there],
        "intervals": [way.interval(each) for each in there],
    }
