"""What crosses, as bytes: a frame for each tensor and image, by the plan of a rung."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fmapzip.errors import CorruptFrame, InvalidInput, LimitExceeded
from fmapzip.frame import Limits
from fmapzip.plan import Plan
from fmapzip.split.manifest import CrossingMap
from fmapzip.torch.chunks import dense
from fmapzip.torch.tap_coder import TapCoder

Message = list[bytes]
"""The frames of one image, one for each tensor that crosses."""


class CrossingCodec:
    """Encodes and decodes what crosses. Several threads can use it at once.

    Parameters
    ----------
    maps
        What crosses.
    plans
        The ladder: each has one tap for each of `maps`.
    """

    def __init__(self, maps: Sequence[CrossingMap], plans: Sequence[Plan]) -> None:
        self.maps, self.plans = tuple(maps), tuple(plans)
        self._rungs = [[TapCoder(plan, plan.index(each.name), each.axis) for each in self.maps] for plan in self.plans]
        for each, plan in ((each, plan) for each in self.maps for plan in self.plans):
            if plan[each.name].references:
                raise InvalidInput(f"the plan's {each.name!r} refers to other maps; a message is decoded alone")
            if plan[each.name].shape != each.shape:
                raise InvalidInput(f"the plan's {each.name!r} is not of the shape {list(each.shape)} that crosses")
        self._limits = [
            Limits(max_values=_values(each.shape), max_parameter_bytes=each.frame_limit) for each in self.maps
        ]

    def encode(self, maps: Sequence[Tensor], rung: int = 0) -> list[Message]:
        """The frames of each image of a batch.

        Raises
        ------
        PlanMismatch
            A tensor is not a float batch of the shape that crosses.
        InvalidInput
            One holds NaN or infinity, there is no such rung, or the number of tensors is not that of what crosses.
        """
        coders = self._coders(rung)
        if len(maps) != len(coders):
            raise InvalidInput(f"{len(coders)} tensors cross, not {len(maps)}")
        frames = []
        for coder, x in zip(coders, maps, strict=True):
            coder.check(x)
            frames.append(coder.bound.encode_batch(coder.integers(dense(x))))
        return [list(message) for message in zip(*frames, strict=True)]

    def decode(self, messages: Sequence[Sequence[bytes]], rung: int = 0) -> tuple[Tensor, ...]:
        """The tensors of a batch, float32, in the memory order that the tail was made for.

        Raises
        ------
        FrameError, PlanMismatch
            A frame is damaged, too large, or of another plan; nothing is allocated beyond what crosses.
        InvalidInput
            There is no such rung.
        """
        coders = self._coders(rung)
        if any(len(message) != len(coders) for message in messages):
            raise CorruptFrame(f"a message holds a frame for each of the {len(coders)} tensors that cross")
        found = []
        for i, (coder, each) in enumerate(zip(coders, self.maps, strict=True)):
            frames = [message[i] for message in messages]
            longest = max(map(len, frames))
            if longest > each.frame_limit:
                raise LimitExceeded(f"a frame of {longest} bytes; {each.name!r} has at most {each.frame_limit}")
            values = coder.decode(frames, self._limits[i])
            last = each.layout == "channels_last"
            found.append(values.contiguous(memory_format=torch.channels_last) if last else values)
        return tuple(found)

    def _coders(self, rung: int) -> list[TapCoder]:
        if not 0 <= rung < len(self._rungs):
            raise InvalidInput(f"the ladder has {len(self._rungs)} rungs; there is no rung {rung}")
        return self._rungs[rung]


def _values(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())
