"""What tuning found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import nn

from fmapzip.plan import Plan
from fmapzip.torch.tuning.tap import TapBits


@dataclass(frozen=True)
class Losses:
    """What a network loses on the images that are held back; the parameters are those of `Epoch`."""

    task: float
    distortion: float
    bits: float
    real_bits: float


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
    replanned : bool
        Whether the planner's codecs and scales were taken at its end.
    """

    number: int
    lambda_: float
    task: float
    distortion: float
    bits: float
    real_bits: float
    seconds: float
    replanned: bool = False

    @property
    def loss(self) -> float:
        """What early stopping looks at."""
        return self.task + self.lambda_ * self.bits

    @property
    def finite(self) -> bool:
        """Whether all that was measured are numbers."""
        return all(math.isfinite(each) for each in (self.task, self.distortion, self.bits, self.real_bits))


@dataclass(frozen=True)
class Point:
    """The untuned network with its maps on coarser grids, on the images that are held back.

    Parameters
    ----------
    coarser : float
        What the scales of all quantizers are multiplied by.
    distortion, real_bits : float
        As for `Epoch`.
    """

    coarser: float
    distortion: float
    real_bits: float


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
    untuned : list of Point
        What the same bits would cost without training.
    before, after : list of TapBits
        Each map on held-back images.
    kept : int
        The epoch whose weights these are.
    stopped : str
        Why tuning ended: "epochs", "time", "patience" or "nan".
    classes : bool
        Whether outputs are class scores, and distortion KL.
    """

    model: nn.Module
    plan: Plan
    epochs: list[Epoch] = field(repr=False)
    untuned: list[Point] = field(repr=False)
    before: list[TapBits] = field(repr=False)
    after: list[TapBits] = field(repr=False)
    kept: int
    stopped: str
    classes: bool
