"""Running figures of one coded feature map, in memory that does not grow with the number of images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from fmapzip.plan import TapPlan
from fmapzip.torch.results import TapResult
from fmapzip.torch.tap_coder import Stored

_SIZE_BINS = 4096


class TapStatistics:
    """Sums over the samples of one tap."""

    def __init__(self, plan: TapPlan, readers: tuple[str, ...]) -> None:
        self._plan, self._readers = plan, readers
        self._bin = max(1, math.ceil(prod(plan.shape) / _SIZE_BINS))  # bytes; frames of small maps are counted exactly
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.samples = self.nonzeros = self.payload_bytes = self.total_bytes = self.largest = 0
        self.signal = self.noise = self.encode_seconds = self.decode_seconds = 0.0
        self.sections: dict[str, int] = {}
        self._sizes: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, stored: Stored) -> None:
        """Count what storing a batch took, a frame for each sample."""
        sizes = stored.frame_bytes
        self.samples += len(sizes)
        self.nonzeros += stored.nonzeros
        self.payload_bytes += sum(stored.payload_bytes)
        self.total_bytes += sum(sizes)
        self.largest = max(self.largest, *sizes)
        self.encode_seconds += stored.encode_seconds
        self.decode_seconds += stored.decode_seconds
        for signal, noise in stored.energies:
            self.signal += signal
            self.noise += noise
        places = [-(-size // self._bin) for size in sizes]
        if max(places) >= len(self._sizes):
            self._sizes = np.append(self._sizes, np.zeros(max(places) + 1 - len(self._sizes), np.int64))
        for place in places:
            self._sizes[place] += 1

    def add_sections(self, sections: Mapping[str, int]) -> None:
        """Count where the bytes of one frame went."""
        for part, size in sections.items():
            self.sections[part] = self.sections.get(part, 0) + size

    @property
    def raw_bytes(self) -> int:
        """One byte a value, over the samples seen."""
        return self.samples * prod(self._plan.shape)

    def result(self) -> TapResult:
        """Return the figures; all sizes are 0 where no sample was seen."""
        return TapResult(
            name=self._plan.name,
            shape=self._plan.shape,
            readers=self._readers,
            zeros=1 - self.nonzeros / self.raw_bytes if self.samples else 0.0,
            path=self._plan.codec.path_taken(self._plan.parameters),
            raw_bytes=self.raw_bytes,
            payload_bytes=self.payload_bytes,
            total_bytes=self.total_bytes,
            frame_bytes_max=self.largest,
            frame_bytes_p99=self._percentile(99),
            sqnr_db=decibels(self.signal, self.noise),
            encode_seconds=self.encode_seconds,
            decode_seconds=self.decode_seconds,
            sections={part: size for part, size in self.sections.items() if size},
        )

    def _percentile(self, percent: int) -> int:
        wanted = math.ceil(self.samples * percent / 100)
        below = np.cumsum(self._sizes)
        return min(int(np.searchsorted(below, wanted)) * self._bin, self.largest)


def decibels(signal: float, noise: float) -> float | None:
    """Return ``10 log10(signal / noise)``; None where either is zero."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None
