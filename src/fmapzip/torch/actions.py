"""What a slot can do with its feature map: watch it, quantize it, or store it as bytes and read it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fmapzip.inspection import sections_of
from fmapzip.plan import Plan
from fmapzip.quantize import Observer, QuantParams
from fmapzip.torch.capture import Tap
from fmapzip.torch.chunks import chunks, replaced
from fmapzip.torch.operators import register_store, tap_handle
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tap_coder import TapCoder, check_map
from fmapzip.torch.tensor_quantizer import TensorQuantizer, workspace


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
        return replaced(x, self._round)

    def _round(self, x: Tensor, out: Tensor) -> None:
        for part in chunks(x):
            self._round_part(x[part], out[part])

    def _round_part(self, x: Tensor, out: Tensor) -> None:
        q = workspace.like(x, "integers", self._quantizer.dtype)
        self._quantizer.quantize(x, q)
        for sample in q.movedim(self._tap.axis, 1):
            self._collect(sample)
        self._quantizer.dequantize(q, x, out)


class Store:
    """Stores a feature map: quantizes it, encodes each sample to a frame, decodes the frames, hands the values on.

    Called, it goes by the operator ``fmapzip::store``, which `torch.compile` and `torch.export` keep whole; gradients
    pass straight through.

    Parameters
    ----------
    tap : Tap
    plan : Plan
        Has a tap of that name.
    threads : int
        Threads of the codec, over the samples of a chunk.
    """

    def __init__(self, tap: Tap, plan: Plan, threads: int = 1) -> None:
        self._threads, self._axis = threads, tap.axis
        self._coder = TapCoder(plan, plan.index(tap.name), tap.axis)
        self._tap_handle = tap_handle(plan, tap.name)
        self._handle = register_store(self, self._tap_handle)
        self.statistics = TapStatistics(plan[tap.name], tap.readers)
        self.sizes: list[int] = []  # bytes of each frame of the last batch
        self.inspects = False  # whether to count where the bytes of each frame went

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._handle = register_store(self, self._tap_handle)  # a copy counts for itself

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values that were decoded."""
        stored: Tensor = torch.ops.fmapzip.store(x, self._handle, self._axis)
        return stored

    def store(self, x: Tensor) -> Tensor:
        """Return the values that were decoded, without gradients."""
        self._coder.check(x)
        self._coder.begin()
        self.sizes = []
        return replaced(x, self._store, self._threads)

    def _store(self, x: Tensor, out: Tensor) -> None:
        stored = self._coder.store(x, out, self._threads, keep=self.inspects)
        self.sizes += stored.frame_bytes
        self.statistics.add(stored)
        for frame in self._coder.bound.parse_batch(stored.frames):
            self.statistics.add_sections(sections_of(frame, self._coder.bound))


def check_shape(x: Tensor, tap: Tap) -> None:
    """Refuse a feature map that is not a float batch of `tap`'s shape, naming the tap."""
    check_map(x, tap.shape, tap.axis, tap.name)
