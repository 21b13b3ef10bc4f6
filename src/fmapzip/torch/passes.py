"""One network's way through all images: the float network, the 8-bit one, or one with its maps stored by a plan."""

from __future__ import annotations

from collections.abc import Container, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import nn

from fmapzip.documents.shard import Calibrated
from fmapzip.fallbacks import fallbacks_of
from fmapzip.plan import Plan
from fmapzip.quantize import QuantParams
from fmapzip.torch.actions import FakeQuantize, Store
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import Inputs, call
from fmapzip.torch.pictures import Floats, Watch
from fmapzip.torch.slot import Action
from fmapzip.torch.tally import CodedTally, FloatTally, Int8Tally, NetworkTally


class FloatPass:
    """The network as it is."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.tally = FloatTally()

    def run(self, inputs: Inputs) -> Any:
        """Return the output for a batch."""
        start = perf_counter()
        with torch.inference_mode():
            output = call(self._model, inputs)
        self.tally.seconds.add(perf_counter() - start)
        return output


class TappedPass:
    """The network with something done at its feature maps.

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
    actions : sequence of callable
        One a tap.
    tally : NetworkTally
    """

    tally: NetworkTally

    def __init__(self, captured: Captured, taps: Sequence[Tap], actions: Sequence[Action], tally: NetworkTally) -> None:
        self._captured = captured
        self._actions = {tap.name: action for tap, action in zip(taps, actions, strict=True)}
        self.taps = tuple(taps)
        self._watched: dict[str, Watch] = {}
        self.tally = tally

    def run(self, inputs: Inputs) -> Any:
        """Return the output for a batch."""
        start = perf_counter()
        with running(self._captured, {**self._actions, **self._watched}):
            output = call(self._captured.module, inputs)
        self.tally.seconds.add(perf_counter() - start)
        return output

    def watch(self, names: Container[str]) -> None:
        """From now on keep what these maps hand on of the first image."""
        self._watched = {tap.name: Watch(self._actions[tap.name], tap) for tap in self.taps if tap.name in names}

    def seen(self, name: str) -> Floats | None:
        """Return a watched map of the first image, [C, H, W]."""
        watch = self._watched.get(name)
        return None if watch is None else watch.seen

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of the taps that are not stored."""
        return tuple(tap.name for tap in self._captured.taps if tap.name not in self._actions)


class Int8Pass(TappedPass):
    """The network with its feature maps rounded to 8 bits, and nothing else done to them.

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
    quantizers : sequence of QuantParams
        One a tap.
    """

    tally: Int8Tally

    def __init__(self, captured: Captured, taps: Sequence[Tap], quantizers: Sequence[QuantParams]) -> None:
        found = zip(taps, quantizers, strict=True)
        tally = Int8Tally([Calibrated(tap.name, list(tap.shape), each.dtype, each.zero) for tap, each in found])
        rounding = [
            FakeQuantize(tap, quantizer, lambda sample, seen=seen: seen.add(sample.numpy()))  # type: ignore[misc]
            for tap, quantizer, seen in zip(taps, quantizers, tally.histograms, strict=True)
        ]
        super().__init__(captured, taps, rounding, tally)


class CodedPass(TappedPass):
    """The network with its feature maps stored.

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
        Those that `plan` covers.
    plan : Plan
    threads : int
        Threads of the codec.
    notes : sequence of str
        For the result, beside what is told of maps that the plan stores by a lighter codec.
    inspects : bool
        Whether to count where the bytes of each frame went.
    """

    tally: CodedTally

    def __init__(
        self,
        captured: Captured,
        taps: Sequence[Tap],
        plan: Plan,
        threads: int,
        notes: Sequence[str] = (),
        inspects: bool = False,
    ) -> None:
        self._stores = [Store(tap, plan, threads) for tap in taps]
        for store in self._stores:
            store.inspects = inspects
        told = (*notes, *fallbacks_of(plan))
        tally = CodedTally(plan, [store.statistics for store in self._stores], told)
        super().__init__(captured, taps, self._stores, tally)

    def frame_bytes(self, images: int) -> list[int]:
        """Return the frame bytes of each image of the last batch."""
        totals = [0] * images
        for store in self._stores:
            each = len(store.sizes) // images
            for i, size in enumerate(store.sizes):
                totals[i // each] += size
        return totals
