"""One method on the maps of one tap: encode, decode, compare, and the times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from fmapzip.baselines.base import PARTS
from fmapzip.bench.memory import PeakMemory
from fmapzip.bench.methods import Job, Method
from fmapzip.codecs.base import IntegerMap
from fmapzip.documents.bench_shard import TapFigures

ENOUGH_SECONDS = 0.05
"""A map that has taken so long is not repeated for its own sake."""
STEADY = 0.05
"""Runs go on until their median is above the least by no more than this share of it,"""
PATIENCE = 4
"""or until there are so many times as many runs as were asked for, or as many seconds as are enough."""


def measure(method: Method, job: Job, maps: Sequence[IntegerMap], repeat: int) -> TapFigures:
    """Run a method on the maps of a tap.

    Every map is encoded, decoded into a preallocated array and compared. Times are medians over at least `repeat` runs
    after one that is not counted, more where they differ; methods whose time says nothing, and maps that take long, run
    once.
    """
    found = TapFigures(dict.fromkeys(PARTS, 0), job.side_bytes, job.path, method.layout)
    runs = repeat if method.timed else 0
    for position, q in enumerate(maps):
        memory = PeakMemory() if position == 0 else None
        out = np.empty_like(q)
        encoding = timed(partial(job.encode, q), runs)
        data = bytes(encoding.result)
        decoding = timed(partial(job.decode, data, out), runs)
        if memory is not None:
            found.peak_bytes = memory.read()
        found.encode_seconds += encoding.seconds
        found.decode_seconds += decoding.seconds
        found.encode_excess += encoding.excess
        found.decode_excess += decoding.excess
        found.bytes += len(data)
        found.largest = max(found.largest, len(data))
        for part, size in job.parts(data, q.shape).items():
            found.parts[part] += size
        _compare(found, method, job, q, decoding.result)
    return found


class Timed(NamedTuple):
    """The result of the last run; the median time of those that count, and what it is above the least."""

    result: Any
    seconds: float
    excess: float


def timed(run: Callable[[], Any], repeat: int, clock: Callable[[], float] = perf_counter) -> Timed:
    """Run once uncounted and then as often as it takes; a first run that takes long is the only one, and counts."""
    times: list[float] = []
    while True:
        start = clock()
        result = run()
        times.append(clock() - start)
        counted = times[1:] or times
        found = Timed(result, median(counted), median(counted) - min(counted))
        if _enough(times, found, repeat):
            return found


def _enough(times: Sequence[float], found: Timed, repeat: int) -> bool:
    runs, seconds = len(times) - 1, sum(times)
    if runs >= PATIENCE * repeat or seconds > PATIENCE * ENOUGH_SECONDS:
        return True
    return (runs >= repeat or seconds > ENOUGH_SECONDS) and found.excess <= STEADY * found.seconds


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
