"""From choices to a plan: tables trained on the calibration images, in the network that the plan makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fmapzip.plan import Plan
from fmapzip.planner.candidate import Candidate
from fmapzip.torch.batches import Batches, Progress
from fmapzip.torch.calibrate import Calibration, collect
from fmapzip.torch.capture import Captured


def trained(
    captured: Captured,
    calibration: Calibration,
    batches: Batches,
    chosen: Sequence[Candidate],
    metadata: Mapping[str, Any],
    progress: Progress,
) -> Plan:
    """Train the chosen codecs on maps of at most 64 calibration images, and return the plan.

    The maps are those that occur where every tap has its chosen quantizer.
    """
    quantizers = tuple(candidate.quantizer for candidate in chosen)
    frames = calibration.frames
    if quantizers != calibration.quantizers:
        frames = collect(captured, calibration.taps, quantizers, batches, calibration.images, progress)
    found = Calibration(
        taps=calibration.taps,
        quantizers=quantizers,
        calibrator=calibration.calibrator,
        images=calibration.images,
        frames=frames,
        metadata={**calibration.metadata, **metadata},
        class_scores=calibration.class_scores,
    )
    return found.plan([candidate.codec for candidate in chosen])
