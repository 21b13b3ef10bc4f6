"""What tuning found as the JSON object that docs/TUNE_JSON.md describes: schema 1."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fmapzip.documents.tuning import TUNING
from fmapzip.eval.request import Request
from fmapzip.torch.tuning.results import Epoch, Tuned

SCHEMA = 1


def to_json(
    found: Tuned,
    request: Request,
    tuned_on: str,
    images: tuple[int, int],
    protocol: dict[str, Any],
    environment: dict[str, Any],
) -> dict[str, Any]:
    """The report of a tuned network.

    Parameters
    ----------
    found, request
        What tuning made, and of what.
    tuned_on
        The images it was tuned on, as typed.
    images
        How many they are, and how many calibrated the plan.
    protocol, environment
        Stored beside the figures.

    Returns
    -------
    dict
        Of JSON values only; what is infinite or no number is None.
    """
    maps = zip(found.plan, found.before, found.after, strict=True)
    report = {
        "schema": SCHEMA,
        "kind": "tune",
        "model": request.model,
        "data": request.data,
        "tuned_on": tuned_on,
        "tuning_images": images[0],
        "calibration_images": images[1],
        "distortion": "kl" if found.classes else "error",
        "epochs": [epoch_json(epoch) for epoch in found.epochs],
        "untuned": [asdict(point) for point in found.untuned],
        "kept": found.kept,
        "stopped": found.stopped,
        "taps": [
            {
                "name": planned.name,
                "shape": list(planned.shape),
                "codec": planned.codec.id,
                "config": planned.codec.config(),
                "values": after.values,
                "bits_before": before.real / before.values,
                "bits_after": after.real / after.values,
                "expected_bits_after": after.expected / after.values,
                "zeros_before": before.zeros / before.values,
                "zeros_after": after.zeros / after.values,
            }
            for planned, before, after in maps
        ],
        "plan": {"hash": found.plan.hash.hex(), "bytes": len(found.plan.to_bytes())},
        "protocol": protocol,
        "environment": environment,
    }
    return TUNING.checked(report)


def epoch_json(epoch: Epoch) -> dict[str, Any]:
    """An epoch as reports have it."""
    return {name.rstrip("_"): value for name, value in asdict(epoch).items()}
