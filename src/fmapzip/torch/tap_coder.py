"""A codec bound to a tap, on float tensors: quantize and encode, decode and dequantize."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fmapzip import _core
from fmapzip.bound import BoundCodec
from fmapzip.errors import PlanMismatch
from fmapzip.frame import DEFAULT_LIMITS, Limits
from fmapzip.plan import Plan
from fmapzip.torch.tensor_quantizer import TensorQuantizer, workspace


class Stored(NamedTuple):
    """What storing a chunk of samples took, and each sample's sums of squares of values and errors."""

    frames: list[_core.Frame]
    nonzeros: int
    energies: list[tuple[float, float]]
    encode_seconds: float
    decode_seconds: float


class TapCoder:
    """Stores CPU float32 batches [N, ...] of one tap of a plan.

    Parameters
    ----------
    plan : Plan
    index : int
        Which of the plan's taps.
    axis : int
        The channel axis of the batches.
    """

    def __init__(self, plan: Plan, index: int, axis: int = 1) -> None:
        planned = plan[index]
        self.shape, self.name, self.axis = planned.shape, planned.name, axis
        self.bound: BoundCodec = plan.bound(index)
        self._quantizer = TensorQuantizer(planned.quantizer, axis, planned.name)

    def check(self, x: Tensor) -> None:
        """Refuse a feature map that is not a float batch of the tap's shape, naming the tap."""
        check_map(x, self.shape, self.axis, self.name)

    def integers(self, x: Tensor) -> Any:
        """Return the integers of `x` as an array [N, C, ...] that is valid until the next call."""
        q = workspace.like(x, "integers", self._quantizer.dtype)
        self._quantizer.quantize(x, q)
        return self._channels_first(q)

    def store(self, x: Tensor, out: Tensor, threads: int = 1) -> Stored:
        """Write into `out` what is read back after `x` was stored."""
        q = workspace.like(x, "integers", self._quantizer.dtype)
        nonzeros = self._quantizer.quantize(x, q)
        start = perf_counter()
        frames = self.bound.parse_batch(self.bound.encode_batch(self._channels_first(q), threads))
        encoded = perf_counter()
        restored = workspace.like(x, "restored", self._quantizer.dtype)
        self.bound.decode_parsed(frames, self._channels_first(restored), threads)
        decoded = perf_counter()
        energies = self._quantizer.dequantize(restored, x, out)
        return Stored(frames, nonzeros, energies, encoded - start, decoded - encoded)

    def decode(self, frames: Sequence[Any], limits: Limits = DEFAULT_LIMITS) -> Tensor:
        """Return the float32 values [N, ...] of frames of this tap."""
        params = self._quantizer.params
        q = np.empty((len(frames), *self.shape), params.dtype)
        self.bound.decode_parsed(self.bound.parse_batch(frames, limits), q)
        return torch.from_numpy(params.dequantize(q, axis=1)).movedim(1, self.axis).contiguous()

    def _channels_first(self, q: Tensor) -> Any:
        return q.movedim(self.axis, 1).numpy()


def check_map(x: Tensor, shape: Sequence[int], axis: int, name: str) -> None:
    """Refuse a feature map that is not a float batch of samples of `shape` whose channel axis is `axis`."""
    expected = [*shape[1:]]
    expected.insert(axis - 1, shape[0])
    if list(x.shape[1:]) != expected:
        raise PlanMismatch(f"feature map {name!r} is {list(x.shape)}; it was captured as [N, {str(expected)[1:]}")
    if not x.is_floating_point():
        raise PlanMismatch(f"feature map {name!r} is {x.dtype}; feature maps are floating point")
