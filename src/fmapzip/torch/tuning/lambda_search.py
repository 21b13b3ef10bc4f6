"""What a bit is worth, found while the network trains towards a target."""

from __future__ import annotations

import math

from fmapzip.tune_settings import TuneSettings

_GAIN = 0.02  # of the logarithm of lambda, for each batch, by how far a target is missed
_REACH = 10.0  # of that logarithm, over all batches: few of them must find lambda too
_SMOOTHING = 0.05
_LIMITS = (1e-4, 1e3)


class LambdaSearch:
    """Lambda, moved batch by batch where the settings have a target.

    Parameters
    ----------
    settings : TuneSettings
    batches : int
        Of an epoch.

    Attributes
    ----------
    value : float
    smoothed : float, optional
        By how much the target is missed, as a logarithm.
    gap : float
        By how much more it is missed on held-back images than on those that train; with `value` and `smoothed`, all
        that a checkpoint needs.
    """

    def __init__(self, settings: TuneSettings, batches: int) -> None:
        self._settings = settings
        self._gain = max(_GAIN, _REACH / max(settings.epochs * batches, 1))
        self.value = settings.lambda_
        self.smoothed: float | None = None
        self.gap = 0.0

    @property
    def searched(self) -> bool:
        """Whether there is a target."""
        return self._settings.target_ratio is not None or self._settings.max_kl is not None

    def move(self, bits: float, distortion: float) -> None:
        """Move towards the target, if there is one, after a batch of so many bits a value and this distortion."""
        if not self.searched:
            return
        missed = self._missed(bits, distortion) + self.gap
        self.smoothed = missed if self.smoothed is None else self.smoothed + _SMOOTHING * (missed - self.smoothed)
        moved = self.value * math.exp(self._gain * max(min(self.smoothed, 1.0), -1.0))
        self.value = min(max(moved, _LIMITS[0]), _LIMITS[1])

    def measured(self, real_bits: float, distortion: float) -> None:
        """Aim at what held-back images take and lose, as measured after an epoch: those that train lose less."""
        if not self.searched or self.smoothed is None:
            return
        missed = self._missed(real_bits, distortion)
        self.gap += missed - self.smoothed
        self.smoothed = missed

    def _missed(self, bits: float, distortion: float) -> float:
        """How far lambda should rise."""
        if self._settings.target_ratio is not None:
            return math.log(max(bits, 1e-6) * self._settings.target_ratio / 8)
        assert self._settings.max_kl is not None
        return math.log(self._settings.max_kl / max(distortion, 1e-9))
