"""Filling each feature map's pool: a trial of the families, then the best ones' candidates measured alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

import fmapzip
from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan, TapPlan
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates import STEPS, Family, families, fixed, requantised_by
from fmapzip.planner.expect import learn
from fmapzip.planner.gains import Gains
from fmapzip.planner.measure import Bench
from fmapzip.planner.pool import Pool
from fmapzip.planner.rate import RATE_IMAGES
from fmapzip.planner.source import Source
from fmapzip.quantize import QuantParams

_MEASURED_STEPS = STEPS[::2]
_TRIAL_STEPS = (2.0**1.5, 2.0**2.5)
_TRIAL_IMAGES = 8
_HASTY_STEPS, _HASTY_IMAGES = STEPS[::4], 2  # after the deadline
_WORTHWHILE = 0.998  # of the bytes of a family before it: what another must take less


class Explorer:
    """Fills the pools of all taps.

    Parameters
    ----------
    bench : Bench
    bases : sequence of QuantParams
        The calibrated quantizer of each tap.
    gains : dict of arrays
        As `noise_gains` returns them.
    codecs : sequence of Codec
    images : int
        Calibration images.
    """

    def __init__(
        self, bench: Bench, bases: Sequence[QuantParams], gains: Gains, codecs: Sequence[Codec], images: int
    ) -> None:
        self.bench, self._codecs, self._images, self._gains = bench, codecs, images, gains
        self._sources = {
            tap.name: Source(bench.rates.maps(tap).numpy(), base, gains[tap.name])
            for tap, base in zip(bench.taps, bases, strict=True)
        }
        self._families: dict[str, Sequence[Family]] = {}
        self.pools = tuple(Pool(tap, images) for tap in bench.taps)

    def fixed(self) -> None:
        """Add the candidates on the calibrated grid itself."""
        for pool in self.pools:
            self._add(pool, fixed(self._sources[pool.tap.name], self._codecs))

    def coarse(self) -> None:
        """Add candidates half an octave apart, and measure the damage of every second with the other maps in float.

        After the deadline, the first family stands for all, its steps are two octaves apart, and estimates for damage.
        """
        for done, pool in enumerate(self.pools):
            options = families(self._sources[pool.tap.name], self._codecs)
            self._families[pool.tap.name] = options[:1] if self._late else self._best(pool, options)
            self._add(pool, self._at(pool, _HASTY_STEPS if self._late else STEPS))
            self.bench.progress("measuring bytes", done + 1, len(self.pools))
        wanted = {pool.tap.name: [c for c in pool.candidates if c.step in _MEASURED_STEPS] for pool in self.pools}
        learn(self.pools, self.bench.damages(wanted))

    def fine(self, chosen: Sequence[Candidate]) -> None:
        """Add candidates a quarter of an octave on both sides of the chosen ones."""
        for pool, candidate in zip(self.pools, chosen, strict=True):
            self._add(pool, self._at(pool, [candidate.step * 2**0.25, candidate.step * 2**-0.25]))

    def _at(self, pool: Pool, steps: Sequence[float]) -> list[Candidate]:
        return [family.make(step) for family in self._families[pool.tap.name] for step in steps]

    def _add(self, pool: Pool, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            rate = self.bench.rates.measure(pool.tap, candidate, _HASTY_IMAGES if self._late else RATE_IMAGES)
            pool.add(candidate, rate, self._estimate(pool, candidate, rate.planned))

    @property
    def _late(self) -> bool:
        return self.bench.deadline.passed

    def _best(self, pool: Pool, options: Sequence[Family]) -> Sequence[Family]:
        """Return the family that takes the fewest bytes at the same estimated damage, the first of equals; if any.

        Every family is tried at one step. What is left of a difference in damage is made up for by the first one's
        slope, between two steps.
        """
        if len(options) < 2:
            return options
        (size, damage), (smaller, larger) = (self._trial(pool, options[0].make(step)) for step in _TRIAL_STEPS)
        slope = (smaller - size) / max(log(larger) - log(damage), 0.1)
        best, least = options[0], size
        for family in options[1:]:
            found, its_damage = self._trial(pool, family.make(_TRIAL_STEPS[0]))
            found -= slope * (log(its_damage) - log(damage))
            if found < _WORTHWHILE * least:
                best, least = family, found
        return [best]

    def _trial(self, pool: Pool, candidate: Candidate) -> tuple[float, float]:
        """Return size, the scales' bytes included, and estimated damage on a few images."""
        few = self.bench.rates.measure(pool.tap, candidate, _TRIAL_IMAGES)
        scales = 4 * len(candidate.quantizer.scale) / self._images
        return few.size(self._images) + scales, max(self._estimate(pool, candidate, few.planned), 1e-30)

    def _estimate(self, pool: Pool, candidate: Candidate, planned: TapPlan) -> float:
        """Return the damage that the noise gains let expect."""
        source, step = self._sources[pool.tap.name], requantised_by(candidate.codec)
        if step is None:
            return self._noise(pool, candidate, planned)
        return source.damage(candidate.quantizer, step)

    def _noise(self, pool: Pool, candidate: Candidate, planned: TapPlan) -> float:
        """Estimate the damage of a candidate from what its codec makes of a few maps."""

        def work() -> float:
            exact = self.bench.rates.maps(pool.tap).numpy()[:_TRIAL_IMAGES]
            plan = Plan((planned,))
            q = candidate.quantizer.quantize(exact, 1, pool.tap.name)
            decoded = fmapzip.decode_batch(fmapzip.encode_batch(q, plan=plan, tap=0), plan=plan)
            squares = (candidate.quantizer.dequantize(decoded, 1) - exact).astype(np.float64) ** 2
            energies = squares.reshape(*squares.shape[:2], -1).sum(2).mean(0)
            return float(energies @ self._gains[pool.tap.name])

        noise: float = self.bench.state.get(f"noise {pool.tap.name} {candidate.key}", work)
        return noise
