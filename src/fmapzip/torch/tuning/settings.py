"""What tuning was asked for, and what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import nn

from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.torch.tuning.tap import TapBits


@dataclass(frozen=True)
class TuneSettings:
    """How to tune; the defaults are those of `fmapzip tune`.

    Parameters
    ----------
    epochs : int
        Passes over the images; 0 changes nothing.
    lambda_ : float
        What a bit a value is worth, in units of the task's loss (nats of KL). 0: the task alone. Where there is a
        target, only where the search begins.
    target_ratio : float, optional
        Of 8-bit bytes over coded ones: lambda rises until it is reached, and falls beyond it.
    max_kl : float, optional
        Of the training images, against the float network: lambda falls while it is exceeded, and rises below it.
    label_weight : float
        Share of the labels' cross-entropy in the task, 0 to 1; the rest is distillation.
    learning_rate, scale_learning_rate : float
        Of Adam for weights, and for the logarithms of scales; both fall to 0 along a cosine.
    batch, rate_samples : int
        Images in a batch, and of how many of them bits are counted.
    patience : int
        Epochs without a better held-back loss after which tuning stops.
    time_limit : float, optional
        Seconds after which the epoch in work is the last; the learning rate falls towards it.
    seed : int
        Of the order of images.
    """

    epochs: int = 10
    lambda_: float = 0.1
    target_ratio: float | None = None
    max_kl: float | None = None
    label_weight: float = 0.0
    learning_rate: float = 1e-3
    scale_learning_rate: float = 2e-3
    batch: int = 64
    rate_samples: int = 8
    patience: int = 5
    time_limit: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.target_ratio is not None and self.max_kl is not None:
            raise InvalidInput("give one target: a ratio or a KL")
        least = {"epochs": 0, "batch": 1, "rate_samples": 1, "patience": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise InvalidInput(f"{name} is at least {value}, not {getattr(self, name)}")
        for name in ("lambda_", "learning_rate", "scale_learning_rate", "label_weight"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidInput(f"{name.rstrip('_')} is finite and at least 0, not {getattr(self, name)}")
        for target in (self.target_ratio, self.max_kl, self.time_limit):
            if target is not None and not (math.isfinite(target) and target > 0):
                raise InvalidInput(f"targets and limits are finite and above 0, not {target}")
        if self.label_weight > 1:
            raise InvalidInput(f"label_weight is a share, not {self.label_weight}")


@dataclass(frozen=True)
class Epoch:
    """An epoch as it ended, on the images that are held back.

    Parameters
    ----------
    number : int
        0: before tuning.
    lambda_ : float
    task, distortion : float
        The task's loss, and KL or the relative squared error against the float network.
    bits, real_bits : float
        Bits a value as training counts them, and of real frames.
    seconds : float
        Since tuning began, over all runs.
    """

    number: int
    lambda_: float
    task: float
    distortion: float
    bits: float
    real_bits: float
    seconds: float

    @property
    def loss(self) -> float:
        """What early stopping looks at."""
        return self.task + self.lambda_ * self.bits


@dataclass(frozen=True)
class Tuned:
    """What tuning made.

    Parameters
    ----------
    model : nn.Module
        An ordinary network with ordinary weights, in eval mode.
    plan : Plan
        How its maps are stored: codecs as given, scales as learned, tables trained on the calibration images.
    epochs : list of Epoch
    before, after : list of TapBits
        Each map on held-back images.
    kept : int
        The epoch whose weights these are.
    stopped : str
        Why tuning ended: "epochs", "time", "patience" or "nan".
    """

    model: nn.Module
    plan: Plan
    epochs: list[Epoch] = field(repr=False)
    before: list[TapBits] = field(repr=False)
    after: list[TapBits] = field(repr=False)
    kept: int
    stopped: str
