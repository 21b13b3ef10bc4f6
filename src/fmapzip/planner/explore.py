"""Measuring each feature map's candidates alone, coarse first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from statistics import median

import numpy as np

from fmapzip.codecs.base import Codec
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates import STEPS, Source, lossless, lossy
from fmapzip.planner.gains import Gains
from fmapzip.planner.measure import Bench
from fmapzip.planner.pool import Pool
from fmapzip.quantize import QuantParams

_TRIAL_STEPS = (2.0, 4.0)


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
        self.bench, self._codecs, self._images = bench, codecs, images
        self._sources = {
            tap.name: Source.of(bench.rates.maps(tap).numpy(), base, gains[tap.name])
            for tap, base in zip(bench.taps, bases, strict=True)
        }
        self._shaped: dict[str, bool] = {}
        self.pools = tuple(Pool(tap, images) for tap in bench.taps)

    def lossless(self) -> None:
        """Add the candidates that lose nothing but the 8-bit quantization."""
        for pool in self.pools:
            self._add(pool, lossless(self._sources[pool.tap.name], self._codecs))

    def coarse(self) -> None:
        """Add candidates half an octave apart, and measure their damage with the other maps in float."""
        for done, pool in enumerate(self.pools):
            self._shaped[pool.tap.name] = self._shape_pays(pool)
            self._add(pool, self._lossy(pool, STEPS))
            self.bench.progress("measuring bytes", done + 1, len(self.pools))
        self._measure_alone({pool.tap.name: pool.candidates for pool in self.pools}, "measuring damage")

    def fine(self, chosen: Sequence[Candidate]) -> None:
        """Add candidates a quarter of an octave on both sides of the chosen ones."""
        before = {pool.tap.name: len(pool.candidates) for pool in self.pools}
        for pool, candidate in zip(self.pools, chosen, strict=True):
            self._add(pool, self._lossy(pool, [candidate.step * 2**0.25, candidate.step * 2**-0.25]))
        added = {pool.tap.name: pool.candidates[before[pool.tap.name] :] for pool in self.pools}
        for pool in self.pools:
            self._interpolate(pool, added[pool.tap.name])

    def _interpolate(self, pool: Pool, added: Sequence[Candidate]) -> None:
        """Expect candidates that were not measured alone to damage as much as others of their size."""
        known = sorted((pool.size(c), pool.alone[c.key]) for c in pool.candidates if c.key in pool.alone)
        sizes, damages = [size for size, _ in known], [max(damage, 1e-12) for _, damage in known]
        for candidate in added:
            pool.alone[candidate.key] = float(np.exp(np.interp(pool.size(candidate), sizes, np.log(damages))))

    def _measure_alone(self, wanted: Mapping[str, Sequence[Candidate]], stage: str) -> None:
        damages = self.bench.damages(wanted, None, stage)
        for pool in self.pools:
            pool.learn(damages[pool.tap.name])
            self._fill(pool)

    def _fill(self, pool: Pool) -> None:
        """Estimate what there was no time to measure, by the estimates' usual error on this map."""
        errors = [pool.alone[key] / each for key, each in pool.estimates.items() if each > 0 and key in pool.measured]
        usual = median(errors) if errors else 1.0
        for key, each in pool.estimates.items():
            pool.alone.setdefault(key, usual * each)

    def estimate(self, pool: Pool, candidate: Candidate) -> float | None:
        """Return the estimated damage of a candidate, where its codec's loss is known in advance."""
        return self._sources[pool.tap.name].estimate(candidate)

    def _lossy(self, pool: Pool, steps: Sequence[float]) -> list[Candidate]:
        return lossy(self._sources[pool.tap.name], self._codecs, steps, self._shaped[pool.tap.name])

    def _add(self, pool: Pool, candidates: Sequence[Candidate]) -> None:
        for candidate in candidates:
            pool.add(candidate, self.bench.rates.measure(pool.tap, candidate))
            estimate = self.estimate(pool, candidate)
            if estimate is not None:
                pool.estimates[candidate.key] = estimate

    def _shape_pays(self, pool: Pool) -> bool:
        """Whether scales by noise gain take fewer bytes at the same estimated damage."""
        source = self._sources[pool.tap.name]
        plain, shaped = (lossy(source, self._codecs, _TRIAL_STEPS, shape) for shape in (False, True))
        trials = [self._known(pool, candidates) for candidates in (plain, shaped)]
        if min(map(len, trials)) < 2 or plain == shaped:
            return False
        (fine, coarse), (first, _) = trials[0][:2], trials[1][:2]
        octave = log(coarse[1]) - log(fine[1])
        if octave <= 0:
            return False
        at_its_damage = fine[0] + (coarse[0] - fine[0]) * (log(first[1]) - log(fine[1])) / octave
        return first[0] < at_its_damage

    def _known(self, pool: Pool, candidates: Sequence[Candidate]) -> list[tuple[float, float]]:
        """Return sizes and estimated damages, the scales' bytes included, of candidates that have estimates."""
        found = []
        for candidate in candidates:
            damage = self.estimate(pool, candidate)
            if damage:
                rate = self.bench.rates.measure(pool.tap, candidate)
                scales = 4 * len(candidate.quantizer.scale) / self._images
                found.append((rate.size(self._images) + scales, damage))
        return found
