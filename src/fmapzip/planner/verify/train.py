"""From choices to a plan: tables trained on the calibration images, in the network that the plan makes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fmapzip.measurements import MeasurementCache
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
    cache: MeasurementCache,
) -> Plan:
    """Train the chosen codecs on maps of at most 64 calibration images, and return the plan.

    The maps are those that occur where every tap has its chosen quantizer. Parameters of each are in `cache` as soon as
    they are known: some take minutes.
    """

    def keep(name: str, train: Callable[[], bytes]) -> bytes:
        kept: str = cache.get(f"parameters {name}", lambda: base64.b64encode(train()).decode())
        return base64.b64decode(kept)

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
    return found.plan([candidate.codec for candidate in chosen], progress, keep)
