"""What a slot can do with its feature map: watch it, quantize it, or store it as bytes and read it back."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

import fmapzip
from fmapzip.errors import PlanMismatch
from fmapzip.frame import parse_only
from fmapzip.plan import Plan
from fmapzip.quantize import Observer, QuantParams
from fmapzip.torch.capture import Tap
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tensor_quantizer import TensorQuantizer, is_dense, workspace

# Maps are worked on in chunks of whole samples of about this many values: they stay in cache, and memory is bounded.
_CHUNK_VALUES = 1 << 18


class Observe:
    """Shows a feature map to a quantizer's observer and hands it on."""

    def __init__(self, tap: Tap, observer: Observer) -> None:
        self._tap, self._observer = tap, observer

    def __call__(self, x: Tensor) -> Tensor:
        """Return `x`."""
        check_shape(x, self._tap)
        values = x.detach().to("cpu")
        if values.dtype == torch.bfloat16:
            values = values.float()
        self._observer.update(values.movedim(self._tap.axis, 1).numpy())
        return x


class FakeQuantize:
    """Rounds a feature map to 8 bits and hands its values on; `collect` gets the integers of each sample.

    `collect` is called with a [C, ...] view that is only valid during the call.
    """

    def __init__(self, tap: Tap, params: QuantParams, collect: Callable[[Tensor], None]) -> None:
        self._tap, self._collect = tap, collect
        self._quantizer = TensorQuantizer(params, tap.axis, tap.name)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values that the integers of `x` stand for."""
        check_shape(x, self._tap)
        return in_chunks(x, self._round, 1)

    def _round(self, x: Tensor, out: Tensor) -> None:
        q = workspace.like(x, "integers", self._quantizer.dtype)
        self._quantizer.quantize(x, q)
        for sample in q.movedim(self._tap.axis, 1):
            self._collect(sample)
        self._quantizer.dequantize(q, x, out)


class Code:
    """Stores a feature map: quantizes it, encodes each sample to a frame, decodes the frames, hands the values on.

    Parameters
    ----------
    tap : Tap
    plan : Plan
        Has a tap of that name.
    threads : int
        Threads of the codec, over the samples of a chunk.
    """

    def __init__(self, tap: Tap, plan: Plan, threads: int = 1) -> None:
        self._tap, self._plan, self._threads = tap, plan, threads
        self._index = plan.index(tap.name)
        planned = plan[self._index]
        self._quantizer = TensorQuantizer(planned.quantizer, tap.axis, tap.name)
        self.statistics = TapStatistics(planned, tap.readers)
        self.sizes: list[int] = []  # bytes of each frame of the last batch

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values that were decoded; gradients pass straight through."""
        check_shape(x, self._tap)
        self.sizes = []
        decoded = in_chunks(x, self._store, self._threads)
        if torch.is_grad_enabled() and x.requires_grad:
            passed: Tensor = _StraightThrough.apply(x, decoded)  # type: ignore[no-untyped-call]
            return passed
        return decoded

    def _store(self, x: Tensor, out: Tensor) -> None:
        q = workspace.like(x, "integers", self._quantizer.dtype)
        nonzeros = self._quantizer.quantize(x, q)
        integers = q.movedim(self._tap.axis, 1).numpy()
        start = perf_counter()
        frames = fmapzip.encode_batch(integers, plan=self._plan, tap=self._index, threads=self._threads)
        encoded = perf_counter()
        restored = workspace.like(x, "restored", self._quantizer.dtype)
        fmapzip.decode_batch(
            frames, out=restored.movedim(self._tap.axis, 1).numpy(), plan=self._plan, threads=self._threads
        )
        decoded = perf_counter()
        energies = self._quantizer.dequantize(restored, x, out)
        self.statistics.encode_seconds += encoded - start
        self.statistics.decode_seconds += decoded - encoded
        self._count(frames, nonzeros, energies)

    def _count(self, frames: list[bytes], nonzeros: int, energies: list[tuple[float, float]]) -> None:
        payload = sum(parse_only(frame).payload_bytes for frame in frames)
        sizes = [len(frame) for frame in frames]
        self.sizes += sizes
        self.statistics.add_frames(sizes, payload, nonzeros)
        for signal, noise in energies:
            self.statistics.add_noise(signal, noise)


class _StraightThrough(torch.autograd.Function):
    """The decoded values forward, the gradient of the identity backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, decoded: Tensor) -> Tensor:
        return decoded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def in_chunks(x: Tensor, work: Callable[[Tensor, Tensor], None], threads: int) -> Tensor:
    """Return a new tensor like `x` into which `work(values, out)` wrote, called with dense CPU float32 chunks."""
    source = x.detach()
    result = torch.empty_like(source)
    if not source.shape[0]:
        return result
    direct = source.device.type == "cpu" and source.dtype == torch.float32 and is_dense(source)
    step = max(threads, _CHUNK_VALUES * threads // max(1, source[0].numel()))
    for first in range(0, source.shape[0], step):
        part, target = source[first : first + step], result[first : first + step]
        if direct:
            work(part, target)
        else:
            values = part.to("cpu", torch.float32)
            values = values if is_dense(values) else values.contiguous()
            decoded = torch.empty_like(values)
            work(values, decoded)
            target.copy_(decoded)
    return result


def check_shape(x: Tensor, tap: Tap) -> None:
    """Refuse a feature map that is not a float batch of `tap`'s shape, naming the tap."""
    expected = [*tap.shape[1:]]
    expected.insert(tap.axis - 1, tap.shape[0])
    if list(x.shape[1:]) != expected:
        raise PlanMismatch(f"feature map {tap.name!r} is {list(x.shape)}; it was captured as [N, {str(expected)[1:]}")
    if not x.is_floating_point():
        raise PlanMismatch(f"feature map {tap.name!r} is {x.dtype}; feature maps are floating point")
