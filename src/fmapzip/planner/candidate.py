"""One way to store a feature map: a quantizer and a codec with its settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.plan import TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.torch.capture import Tap


@dataclass(frozen=True)
class Candidate:
    """A quantizer and a codec, not yet trained.

    Parameters
    ----------
    quantizer : QuantParams
    codec : Codec
    step : float
        Nominal step between reconstruction points, in steps of the calibrated 8-bit grid; 1 for that grid itself.
    clip_ratio : float
        Largest value that the quantizer's grid holds, over that of the calibrated one.
    shaped : bool
        Whether channels have scales of their own, by their noise sensitivities.
    """

    quantizer: QuantParams
    codec: Codec
    step: float = 1.0
    clip_ratio: float = 1.0
    shaped: bool = False

    @cached_property
    def key(self) -> str:
        """What names it in stored measurements."""
        return _digest([self.quantizer.to_json(), self.codec.config()])

    @cached_property
    def distortion_key(self) -> str:
        """What names its distortion: lossless codecs with the same quantizer share it."""
        return _digest([self.quantizer.to_json(), "lossless"]) if self.codec.lossless else self.key

    def planned(self, tap: Tap, parameters: bytes) -> TapPlan:
        """Return what a plan says of `tap`."""
        return TapPlan(tap.name, tap.shape, self.quantizer, self.codec, parameters)

    def to_json(self) -> dict[str, Any]:
        """Return what reports say of it."""
        return {
            "codec": self.codec.id,
            "config": self.codec.config(),
            "step": self.step,
            "clip_ratio": self.clip_ratio,
            "shaped": self.shaped,
        }


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]
