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
from fmapzip.torch.chunks import chunks
from fmapzip.torch.pass_memory import pass_memory
from fmapzip.torch.tensor_quantizer import TensorQuantizer, workspace


class Stored(NamedTuple):
    """What storing a batch took: a figure for each sample, or their sum."""

    frame_bytes: list[int]
    payload_bytes: list[int]
    energies: list[tuple[float, float]]  # sums of squares of values and of errors
    nonzeros: int
    encode_seconds: float
    decode_seconds: float
    frames: list[bytes]  # where they were asked for


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
        self._lossless = planned.codec.lossless
        self._quantizer = TensorQuantizer(planned.quantizer, axis, planned.name)
        self._index, self._references = index, planned.references
        self._plan = plan if planned.references or any(index in tap.references for tap in plan) else None
        self._stored = 0  # samples of this pass

    def check(self, x: Tensor) -> None:
        """Refuse a feature map that is not a float batch of the tap's shape, naming the tap."""
        check_map(x, self.shape, self.axis, self.name)

    def begin(self) -> None:
        """Begin a pass: the samples that follow are the first ones of other images."""
        self._stored = 0
        if self._plan is not None and (memory := pass_memory(self._plan)) is not None:
            memory.begin(self._index)

    def integers(self, x: Tensor) -> Any:
        """Return the integers of `x` as an array [N, C, ...] that is valid until the next call."""
        q = workspace.like(x, "integers", self._quantizer.dtype)
        self._quantizer.quantize(x, q)
        return self._channels_first(q)

    def store(self, x: Tensor, out: Tensor, threads: int = 1, keep: bool = False) -> Stored:
        """Write into `out`, which has the strides of `x`, what is read back after `x` was stored.

        With `keep`, the frames are part of what is returned.

        Raises
        ------
        InvalidInput
            `x` holds NaN or infinity; the error names the feature map.
        """
        return self._store(x, out, threads, keep, decodes=True)

    def frames(self, x: Tensor, out: Tensor, threads: int = 1) -> list[bytes]:
        """Return the frames of `x`, and write into `out`, which has its strides, what is read back from them.

        What a codec of the core that loses nothing reads back is known without decoding.

        Raises
        ------
        InvalidInput
            `x` holds NaN or infinity; the error names the feature map.
        """
        return self._store(x, out, threads, keep=True, decodes=not self._lossless).frames

    def _store(self, x: Tensor, out: Tensor, threads: int, keep: bool, decodes: bool) -> Stored:
        if self.bound.prepared is None or self._plan is not None:
            return self._store_by_parts(x, out, threads, keep)
        arrays = x.detach().movedim(self.axis, 1).numpy(), self._quantizer.scales
        names = self.bound.plan_hash, self.bound.tap
        signed = self._quantizer.dtype == torch.int8
        target = out.detach().movedim(self.axis, 1).numpy()
        given = *arrays, self.bound.prepared, signed, self._quantizer.limits, *names
        found = _core.store(*given, threads, keep, decodes, target)
        if found is None:
            self._quantizer.refuse_not_finite()
        return Stored(*found)

    def _store_by_parts(self, x: Tensor, out: Tensor, threads: int, keep: bool) -> Stored:
        """The same for a codec that is not the core's, in pieces that stay in the cache."""
        parts = [self._store_part(x[part], out[part], threads, keep) for part in chunks(x, threads)]
        return Stored(
            frame_bytes=[size for part in parts for size in part.frame_bytes],
            payload_bytes=[size for part in parts for size in part.payload_bytes],
            energies=[energy for part in parts for energy in part.energies],
            nonzeros=sum(part.nonzeros for part in parts),
            encode_seconds=sum(part.encode_seconds for part in parts),
            decode_seconds=sum(part.decode_seconds for part in parts),
            frames=[frame for part in parts for frame in part.frames],
        )

    def _store_part(self, x: Tensor, out: Tensor, threads: int, keep: bool) -> Stored:
        q = workspace.like(x, "integers", self._quantizer.dtype)
        nonzeros = self._quantizer.quantize(x, q)
        start = perf_counter()
        coders = self._coders(len(x))
        integers = self._channels_first(q)
        if self._references:
            frames = [coder.encode(each, threads) for coder, each in zip(coders, integers, strict=True)]
        else:
            frames = self.bound.encode_batch(integers, threads)
        parsed = self.bound.parse_batch(frames)
        encoded = perf_counter()
        restored = workspace.like(x, "restored", self._quantizer.dtype)
        values = self._channels_first(restored)
        if self._references:
            for i, coder in enumerate(coders):
                coder.decode_parsed(parsed[i : i + 1], values[i : i + 1], threads)
        else:
            self.bound.decode_parsed(parsed, values, threads)
        decoded = perf_counter()
        self._keep(values)
        return Stored(
            frame_bytes=[frame.frame_bytes for frame in parsed],
            payload_bytes=[frame.payload_bytes for frame in parsed],
            energies=self._quantizer.dequantize(restored, x, out),
            nonzeros=nonzeros,
            encode_seconds=encoded - start,
            decode_seconds=decoded - encoded,
            frames=frames if keep else [],
        )

    def _coders(self, samples: int) -> list[BoundCodec]:
        """What encodes and decodes each of the next samples, where they refer to other maps."""
        if not self._references:
            return []
        memory = None if self._plan is None else pass_memory(self._plan)
        assert memory is not None
        places = range(self._stored, self._stored + samples)
        return [self.bound.given(memory.references(self._index, self._references, place)) for place in places]

    def _keep(self, integers: Any) -> None:
        self._stored += len(integers)
        if self._plan is not None and (memory := pass_memory(self._plan)) is not None:
            memory.keep(self._index, integers)

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
