"""Running a network for the frames of its feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import fmapzip
from fmapzip.plan import Plan
from fmapzip.torch.actions import FakeQuantize
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.chunks import replaced
from fmapzip.torch.inputs import Inputs, batch_size, call
from fmapzip.torch.slot import Action
from fmapzip.torch.tap_coder import TapCoder

Frames = dict[str, list[bytes]]
"""A sample's frames by tap; one each, but for a tap that has several maps a sample, such as windows."""


def kept(
    captured: Captured, taps: Sequence[Tap], plan: Plan, batches: Iterable[Inputs], threads: int = 1
) -> Iterator[list[Frames]]:
    """Yield the frames of each batch's samples, all taps being stored; one batch is in memory at a time.

    Every tap is read on as what its frames decode to. Where all are lossless that is known without decoding, and the
    maps of a batch are encoded in one call.
    """
    lossless = all(plan[tap.name].codec.lossless for tap in taps)
    maps = (_Lossless if lossless else _Lossy)(taps, plan, threads)
    for inputs in batches:
        with running(captured, maps.actions):
            call(captured.module, inputs)
        yield _by_sample(maps.taken(), batch_size(inputs))


def _by_sample(frames: Frames, samples: int) -> list[Frames]:
    each = {name: len(found) // samples for name, found in frames.items()}
    return [
        {name: found[i * each[name] : (i + 1) * each[name]] for name, found in frames.items()} for i in range(samples)
    ]


class _Lossless:
    """Keeps the integers of a batch."""

    def __init__(self, taps: Sequence[Tap], plan: Plan, threads: int) -> None:
        self._plan, self._threads = plan, threads
        self._samples: dict[str, list[NDArray[Any]]] = {tap.name: [] for tap in taps}
        self.actions: dict[str, Action] = {
            tap.name: FakeQuantize(tap, plan[tap.name].quantizer, _Copies(self._samples[tap.name])) for tap in taps
        }

    def taken(self) -> Frames:
        """Return the frames of what came since the last time."""
        maps = {name: np.stack(samples) for name, samples in self._samples.items()}
        for samples in self._samples.values():
            samples.clear()
        return fmapzip.encode_many(maps, self._plan, threads=self._threads)


class _Copies:
    def __init__(self, samples: list[NDArray[Any]]) -> None:
        self._samples = samples

    def __call__(self, sample: Tensor) -> None:
        self._samples.append(sample.numpy().copy())


class _Lossy:
    """Encodes and decodes each map at its tap, since what comes behind depends on it."""

    def __init__(self, taps: Sequence[Tap], plan: Plan, threads: int) -> None:
        self._stores = {tap.name: _Store(tap, plan, threads) for tap in taps}
        self.actions: dict[str, Action] = {**self._stores}

    def taken(self) -> Frames:
        """Return the frames of what came since the last time."""
        return {name: store.taken() for name, store in self._stores.items()}


class _Store:
    def __init__(self, tap: Tap, plan: Plan, threads: int) -> None:
        self._coder, self._threads = TapCoder(plan, plan.index(tap.name), tap.axis), threads
        self._frames: list[bytes] = []

    def __call__(self, x: Tensor) -> Tensor:
        self._coder.check(x)
        return replaced(x, self._store, self._threads)

    def taken(self) -> list[bytes]:
        found, self._frames = self._frames, []
        return found

    def _store(self, x: Tensor, out: Tensor) -> None:
        self._frames += self._coder.store(x, out, self._threads, keep=True).frames
