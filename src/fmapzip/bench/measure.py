"""One method on the maps of one tap: encode, decode, compare, and the times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from fmapzip.bench.memory import peak_of
from fmapzip.bench.methods import Job, Method
from fmapzip.codecs.base import IntegerMap
from fmapzip.peers.base import PARTS

ENOUGH_SECONDS = 0.25
"""A map that has taken so long is not repeated."""


@dataclass
class TapFigures:
    """What one method made of one tap, summed over the samples.

    Attributes
    ----------
    bytes, parts
        All bytes of the encoded maps, and where they went.
    side_bytes, path, layout
        What is kept beside them; which way the tap took; for general codecs, the order of the values.
    largest
        Bytes of the largest map.
    encode_seconds, decode_seconds
        Sums of the medians.
    squared_error, signal, max_error
        Of the decoded integers against the integers.
    peak_bytes
        Memory beyond what was there before that encoding or decoding the first sample took, or None.
    wrong
        In words, where a promise was broken; empty where none was.
    """

    bytes: int = 0
    parts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    side_bytes: int = 0
    path: str = ""
    layout: str = ""
    largest: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    squared_error: int = 0
    signal: int = 0
    max_error: int = 0
    peak_bytes: int | None = None
    wrong: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def measure(method: Method, job: Job, maps: Sequence[IntegerMap], repeat: int) -> TapFigures:
    """Run a method on the maps of a tap.

    Every map is encoded, decoded into a preallocated array and compared. Times are medians over `repeat` runs after
    one that is not counted; methods whose time says nothing, and maps that take long, run once.
    """
    found = TapFigures(side_bytes=job.side_bytes, path=job.path, layout=method.layout)
    for position, q in enumerate(maps):
        out = np.empty_like(q)
        if position == 0:
            found.peak_bytes = peak_of(lambda q=q, out=out: job.decode(bytes(job.encode(q)), out))  # type: ignore[misc]
        encoded, encode_seconds = _timed(lambda q=q: job.encode(q), repeat if method.timed else 1)  # type: ignore[misc]
        data = bytes(encoded)
        _, decode_seconds = _timed(lambda d=data, o=out: job.decode(d, o), repeat if method.timed else 1)  # type: ignore[misc]
        found.encode_seconds += encode_seconds
        found.decode_seconds += decode_seconds
        found.bytes += len(data)
        found.largest = max(found.largest, len(data))
        for part, size in job.parts(data, q.shape).items():
            found.parts[part] += size
        _compare(found, method, job, q, out)
    return found


def _timed(run: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """The result of the last run and the median time, without the first run where there are others."""
    times: list[float] = []
    while True:
        start = perf_counter()
        result = run()
        times.append(perf_counter() - start)
        if repeat == 1 or len(times) > repeat or sum(times) > ENOUGH_SECONDS:
            return result, median(times[1:] or times)


def _compare(found: TapFigures, method: Method, job: Job, q: IntegerMap, out: IntegerMap) -> None:
    found.signal += int(np.square(q, dtype=np.int64).sum())
    if np.array_equal(q, out):
        return
    error = out.astype(np.int64) - q
    worst = int(np.abs(error).max())
    found.squared_error += int(np.square(error).sum())
    found.max_error = max(found.max_error, worst)
    bound = job.error_bound(q.shape)
    if method.lossless:
        found.wrong = f"is said to be lossless and differs by up to {worst}"
    elif bound is not None and worst > bound:
        found.wrong = f"promises errors of at most {bound:.1f} and has one of {worst}"
