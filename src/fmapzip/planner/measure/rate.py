"""What a candidate takes: bytes of real frames of calibration maps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

import fmapzip
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan, TapPlan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.images import Images
from fmapzip.torch.actions import check_shape
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import call
from fmapzip.torch.slot import Action

RATE_IMAGES = 32
_MAP_BYTES = 512 << 20


@dataclass(frozen=True)
class Rate:
    """Measured size of a candidate.

    Parameters
    ----------
    frame_bytes : float
        Of whole frames, a mean over the images.
    planned : TapPlan
        The candidate, trained on other images.
    """

    frame_bytes: float
    planned: TapPlan

    def size(self, images: int) -> float:
        """Return the bytes an image where the parameters in the plan are shared by `images` images."""
        return self.frame_bytes + len(self.planned.parameters) / images


class Rates:
    """Trains candidates on the float network's maps of some images, and encodes those of as many others.

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
    images : Images
        At most 32 of them are used, and no more than 512 MiB of float maps.
    cache : MeasurementCache
    threads : int
        Of the codecs.
    """

    def __init__(
        self, captured: Captured, taps: Sequence[Tap], images: Images, cache: MeasurementCache, threads: int
    ) -> None:
        a_sample = 4 * sum(prod(tap.shape) for tap in taps)
        self._images = images.some(max(1, min(RATE_IMAGES, _MAP_BYTES // a_sample)))
        self._taps = {tap.name: tap for tap in taps}
        self._cache, self._threads = cache, threads
        self._maps = _float_maps(captured, taps, self._images)

    def maps(self, tap: Tap) -> Tensor:
        """Return the float maps of a tap, [N, C, ...]."""
        return self._maps[tap.name]

    def measure(self, tap: Tap, candidate: Candidate, most: int = RATE_IMAGES) -> Rate:
        """Train and encode, on at most so many images: every second trains, the others are encoded."""

        def work() -> tuple[float, str]:
            maps = candidate.quantizer.quantize(self.maps(tap).numpy()[:most], 1, tap.name)
            parameters = candidate.codec.train_for(maps[::2], candidate.quantizer)
            plan = Plan((candidate.planned(tap, parameters),))
            frames = fmapzip.encode_batch(
                maps[1::2] if len(maps) > 1 else maps, plan=plan, tap=0, threads=self._threads
            )
            return sum(map(len, frames)) / len(frames), base64.b64encode(parameters).decode()

        frame_bytes, parameters = self._cache.get(f"rate {most} {tap.name} {candidate.key}", work)
        return Rate(frame_bytes, candidate.planned(tap, base64.b64decode(parameters)))


def _float_maps(captured: Captured, taps: Sequence[Tap], images: Images) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {tap.name: [] for tap in taps}

    def keeping(tap: Tap) -> Action:
        def keep(x: Tensor) -> Tensor:
            check_shape(x, tap)
            parts[tap.name].append(x.detach().to("cpu", torch.float32).movedim(tap.axis, 1).clone())
            return x

        return keep

    with running(captured, {tap.name: keeping(tap) for tap in taps}):
        for batch in images.batches:
            call(captured.module, batch)
    return {name: torch.cat(maps).contiguous() for name, maps in parts.items()}
