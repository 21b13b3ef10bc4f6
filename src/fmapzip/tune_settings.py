"""How a network is tuned; needs no PyTorch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from fmapzip.errors import InvalidInput

_LARGEST_SEED = 2**62


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
        Of 8-bit bytes over coded ones, on held-back images: lambda rises until it is reached, and falls beyond it.
    max_kl : float, optional
        Of held-back images, against the float network: lambda falls while it is exceeded, and rises below it.
    label_weight : float
        Share of the labels' cross-entropy in the task, 0 to 1; the rest is distillation.
    learning_rate, scale_learning_rate : float
        Of Adam for weights, and for the logarithms of scales; both fall to 0 along a cosine.
    batch, rate_samples : int
        Images in a batch, and of how many of them bits are counted.
    rate_bands : int
        Bands that the rows of each map are cut into: those of one, drawn at random for each batch, stand for all.
    patience : int
        Epochs without a better held-back loss after which tuning stops.
    replan : int
        Epochs from one time that the planner chooses codecs' steps and scales again to the next; 0: it never does.
    time_limit : float, optional
        Seconds after which training ends, within an epoch too; the learning rate falls to 0 until then.
    mirror : bool
        Whether half of the images, another half in each epoch, are mirrored left to right.
    seed : int
        Of the order of images, and of which are mirrored.
    """

    epochs: int = 10
    lambda_: float = 0.1
    target_ratio: float | None = None
    max_kl: float | None = None
    label_weight: float = 0.0
    learning_rate: float = 1e-3
    scale_learning_rate: float = 2e-3
    batch: int = 64
    rate_samples: int = 64
    rate_bands: int = 8
    patience: int = 5
    replan: int = 0
    time_limit: float | None = None
    mirror: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.target_ratio is not None and self.max_kl is not None:
            raise InvalidInput("give one target: a ratio or a KL")
        least = {"epochs": 0, "batch": 1, "rate_samples": 1, "rate_bands": 1, "patience": 1, "replan": 0}
        for name, value in least.items():
            if type(getattr(self, name)) is not int or getattr(self, name) < value:
                raise InvalidInput(f"{name} is a whole number, at least {value}, not {getattr(self, name)}")
        if type(self.seed) is not int or abs(self.seed) > _LARGEST_SEED:
            raise InvalidInput(f"seed is a whole number of at most {_LARGEST_SEED}, not {self.seed}")
        for name in ("lambda_", "learning_rate", "scale_learning_rate", "label_weight"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidInput(f"{name.rstrip('_')} is finite and at least 0, not {getattr(self, name)}")
        for target in (self.target_ratio, self.max_kl, self.time_limit):
            if target is not None and not (math.isfinite(target) and target > 0):
                raise InvalidInput(f"targets and limits are finite and above 0, not {target}")
        if self.label_weight > 1:
            raise InvalidInput(f"label_weight is a share, not {self.label_weight}")

    def to_json(self) -> dict[str, Any]:
        """Return what reports say of them: their names and values."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}
