"""Running figures of one coded feature map, in memory that does not grow with the number of images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from fmapzip.documents.shard import TapSums
from fmapzip.errors import InvalidInput
from fmapzip.plan import TapPlan
from fmapzip.sums import ExactSum
from fmapzip.torch.results import TapResult
from fmapzip.torch.tap_coder import Stored

_SIZE_BINS = 4096


class TapStatistics:
    """Sums over the samples of one tap."""

    def __init__(self, plan: TapPlan, readers: tuple[str, ...]) -> None:
        self._plan, self.name, self.readers = plan, plan.name, readers
        self._bin = max(1, math.ceil(prod(plan.shape) / _SIZE_BINS))  # bytes; frames of small maps are counted exactly
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.samples = self.nonzeros = self.payload_bytes = self.total_bytes = self.largest = 0
        self._signal, self._noise, self._encode_seconds, self._decode_seconds = (ExactSum() for _ in range(4))
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
        self._encode_seconds.add(stored.encode_seconds)
        self._decode_seconds.add(stored.decode_seconds)
        for signal, noise in stored.energies:
            self._signal.add(signal)
            self._noise.add(noise)
        self._count_sizes((-(-size // self._bin), 1) for size in sizes)

    def add_sections(self, sections: Mapping[str, int]) -> None:
        """Count where the bytes of one frame went."""
        for part, size in sections.items():
            self.sections[part] = self.sections.get(part, 0) + size

    def sums(self) -> TapSums:
        """Return what was counted."""
        return TapSums(
            samples=self.samples,
            nonzeros=self.nonzeros,
            payload_bytes=self.payload_bytes,
            total_bytes=self.total_bytes,
            largest=self.largest,
            signal=self._signal.text,
            noise=self._noise.text,
            encode_seconds=self._encode_seconds.text,
            decode_seconds=self._decode_seconds.text,
            sections=dict(self.sections),
            sizes=[(int(place), int(self._sizes[place])) for place in np.flatnonzero(self._sizes)],
        )

    def merge(self, sums: TapSums) -> None:
        """Add what was counted elsewhere, on the samples that follow.

        Raises
        ------
        InvalidInput
            The frames' sizes contradict each other.
        """
        most = -(-sums.largest // self._bin)
        if sum(count for _, count in sums.sizes) != sums.samples or any(place > most for place, _ in sums.sizes):
            raise InvalidInput(f"the frame sizes of {self.name!r} contradict each other")
        self.samples += sums.samples
        self.nonzeros += sums.nonzeros
        self.payload_bytes += sums.payload_bytes
        self.total_bytes += sums.total_bytes
        self.largest = max(self.largest, sums.largest)
        for total, text in (
            (self._signal, sums.signal),
            (self._noise, sums.noise),
            (self._encode_seconds, sums.encode_seconds),
            (self._decode_seconds, sums.decode_seconds),
        ):
            total.merge(ExactSum.of_text(text))
        self.add_sections(sums.sections)
        self._count_sizes(sums.sizes)

    @property
    def raw_bytes(self) -> int:
        """One byte a value, over the samples seen."""
        return self.samples * prod(self._plan.shape)

    def result(self) -> TapResult:
        """Return the figures; all sizes are 0 where no sample was seen."""
        return TapResult(
            name=self.name,
            shape=self._plan.shape,
            readers=self.readers,
            zeros=1 - self.nonzeros / self.raw_bytes if self.samples else 0.0,
            path=self._plan.codec.path_taken(self._plan.parameters),
            raw_bytes=self.raw_bytes,
            payload_bytes=self.payload_bytes,
            total_bytes=self.total_bytes,
            frame_bytes_max=self.largest,
            frame_bytes_p99=self._percentile(99),
            sqnr_db=decibels(self._signal.value, self._noise.value),
            encode_seconds=self._encode_seconds.value,
            decode_seconds=self._decode_seconds.value,
            sections={part: size for part, size in self.sections.items() if size},
        )

    def _count_sizes(self, counts: Iterable[tuple[int, int]]) -> None:
        for place, count in counts:
            if place >= len(self._sizes):
                self._sizes = np.append(self._sizes, np.zeros(place + 1 - len(self._sizes), np.int64))
            self._sizes[place] += count

    def _percentile(self, percent: int) -> int:
        wanted = math.ceil(self.samples * percent / 100)
        below = np.cumsum(self._sizes)
        return min(int(np.searchsorted(below, wanted)) * self._bin, self.largest)


def decibels(signal: float, noise: float) -> float | None:
    """Return ``10 log10(signal / noise)``; None where either is zero."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None
