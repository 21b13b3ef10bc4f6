"""What ``fmapzip tune`` was asked for; needs no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.plan import Plan

DEFAULT_CODEC = "context-rans:step=8"


@dataclass(frozen=True)
class Asked:
    """What tuning was asked for beside the network, the images and the settings of the loop.

    Attributes
    ----------
    codec, plan
        How maps will be stored: one codec for all, or a plan's file; not both. By default `DEFAULT_CODEC`.
    tune_on
        Images to tune on, as `load_data` takes them; None: those that calibrate.
    rate, batch_norms, device
        As `fmapzip.torch.tune` takes them.
    loss
        ``file.py:function`` of the task's loss; None: distillation.
    """

    codec: str | None = None
    plan: Path | None = None
    tune_on: str | None = None
    rate: str = "codec"
    loss: str | None = None
    batch_norms: bool = False
    device: str = "cpu"

    def to_json(self) -> dict[str, Any]:
        """What reports say of it."""
        return {**asdict(self), "plan": None if self.plan is None else str(self.plan)}

    @property
    def stored(self) -> Codec | Plan:
        """The codec or the plan.

        Raises
        ------
        InvalidInput
            Both are given.
        """
        if self.plan is None:
            return parse_codec(self.codec or DEFAULT_CODEC)
        if self.codec is not None:
            raise InvalidInput("give --codec or --plan: a plan has its own codecs")
        return Plan.load(self.plan)
