"""How fast codecs decode a network's maps, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.measurements import MeasurementCache
from fmapzip.plan import Plan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.measure.rate import Rates
from fmapzip.quantize import QuantParams
from fmapzip.torch.capture import Tap

_REPEATS = 3


def fast_enough(
    codecs: Sequence[Codec],
    least: float,
    taps: Sequence[Tap],
    bases: Sequence[QuantParams],
    rates: Rates,
    cache: MeasurementCache,
) -> tuple[tuple[Codec, ...], tuple[str, ...]]:
    """Return the codecs that decode at `least` MB/s, and what to tell of the others.

    Raises
    ------
    InvalidInput
        None of them does.
    """
    speeds = {codec: _decode_speed(codec, taps, bases, rates, cache) for codec in codecs}
    slow = tuple(
        f"{codec!r} is left out: it decodes at {speed:.3g} MB/s, of {least:g} asked for"
        for codec, speed in speeds.items()
        if speed < least
    )
    if len(slow) == len(speeds):
        fastest = max(speeds, key=lambda codec: speeds[codec])
        raise InvalidInput(f"no codec decodes at {least:g} MB/s; the fastest, {fastest!r}, at {speeds[fastest]:.3g}")
    return tuple(codec for codec, speed in speeds.items() if speed >= least), slow


def _decode_speed(
    codec: Codec, taps: Sequence[Tap], bases: Sequence[QuantParams], rates: Rates, cache: MeasurementCache
) -> float:
    """MB/s of 8-bit values on one thread: one image's maps on the calibrated grid, each at its best of three times."""

    def work() -> float:
        values, seconds = 0, 0.0
        for tap, base in zip(taps, bases, strict=True):
            plan = Plan((rates.measure(tap, Candidate(base, codec)).planned,))
            q = base.quantize(rates.maps(tap).numpy()[-1:], 1, tap.name)
            [frame] = fmapzip.encode_batch(q, plan=plan, tap=0)
            values += q.size
            seconds += min(_seconds(frame, plan) for _ in range(_REPEATS))
        return values / seconds / 1e6

    speed: float = cache.get(f"decode speed {Candidate(bases[0], codec).key}", work)
    return speed


def _seconds(frame: bytes, plan: Plan) -> float:
    start = perf_counter()
    fmapzip.decode(frame, plan=plan)
    return perf_counter() - start
