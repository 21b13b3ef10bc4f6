"""One network's way through all images: the float network, the 8-bit one, or one with its maps stored by a plan."""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import prod
from time import perf_counter
from typing import Any

import torch
from torch import nn

from fmapzip.codecs.base import Codec
from fmapzip.histogram import ValueHistogram
from fmapzip.plan import Plan
from fmapzip.quantize import QuantParams
from fmapzip.torch.actions import FakeQuantize, Store
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import Inputs, call
from fmapzip.torch.metrics import OutputFigures
from fmapzip.torch.pictures import Floats, Watch
from fmapzip.torch.results import Baseline, CodecResult, MapsOfTap
from fmapzip.torch.slot import Action

_FP32_BYTES = 4


class FloatPass:
    """The network as it is."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.figures = OutputFigures()
        self.seconds = 0.0

    def run(self, inputs: Inputs) -> Any:
        """Return the output for a batch."""
        start = perf_counter()
        with torch.inference_mode():
            output = call(self._model, inputs)
        self.seconds += perf_counter() - start
        return output

    def baseline(self, classes: bool) -> Baseline:
        """Return the accuracy."""
        top1, top5 = (self.figures.top1, self.figures.top5) if classes else (None, None)
        return Baseline(top1, top5, None, None, None, self.seconds)


class TappedPass:
    """The network with something done at its feature maps.

    Parameters
    ----------
    captured : Captured
    taps : sequence of Tap
    actions : sequence of callable
        One a tap.
    """

    def __init__(self, captured: Captured, taps: Sequence[Tap], actions: Sequence[Action]) -> None:
        self._captured = captured
        self._actions = {tap.name: action for tap, action in zip(taps, actions, strict=True)}
        self.taps = tuple(taps)
        self._watched: dict[str, Watch] = {}
        self.figures = OutputFigures()
        self.seconds = 0.0

    def run(self, inputs: Inputs) -> Any:
        """Return the output for a batch."""
        start = perf_counter()
        with running(self._captured, {**self._actions, **self._watched}):
            output = call(self._captured.module, inputs)
        self.seconds += perf_counter() - start
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

    def __init__(self, captured: Captured, taps: Sequence[Tap], quantizers: Sequence[QuantParams]) -> None:
        self._seen = [ValueHistogram(quantizer.dtype, quantizer.zero) for quantizer in quantizers]
        rounding = [
            FakeQuantize(tap, quantizer, lambda sample, seen=seen: seen.add(sample.numpy()))  # type: ignore[misc]
            for tap, quantizer, seen in zip(taps, quantizers, self._seen, strict=True)
        ]
        super().__init__(captured, taps, rounding)

    def baseline(self, classes: bool) -> Baseline:
        """Return the figures of an 8-bit network."""
        figures = self.figures
        return Baseline(
            top1=figures.top1 if classes else None,
            top5=figures.top5 if classes else None,
            changed_vs_float=figures.changed("float") if classes else None,
            kl_vs_float=figures.divergence("float") if classes else None,
            output_sqnr_db=figures.sqnr_db,
            seconds=self.seconds,
            outputs=figures.outputs(classes),
        )

    def maps(self) -> tuple[MapsOfTap, ...]:
        """Return what the integers of each tap are like."""
        found = zip(self.taps, self._seen, strict=True)
        return tuple(
            MapsOfTap(tap.name, tap.shape, "int8" if seen.first else "uint8", seen.total // prod(tap.shape), seen)
            for tap, seen in found
        )


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
        For the result.
    inspects : bool
        Whether to count where the bytes of each frame went.
    """

    def __init__(
        self,
        captured: Captured,
        taps: Sequence[Tap],
        plan: Plan,
        threads: int,
        notes: Sequence[str] = (),
        inspects: bool = False,
    ) -> None:
        self._plan, self._notes = plan, tuple(notes)
        self._stores = [Store(tap, plan, threads) for tap in taps]
        for store in self._stores:
            store.inspects = inspects
        super().__init__(captured, taps, self._stores)

    def frame_bytes(self, images: int) -> list[int]:
        """Return the frame bytes of each image of the last batch."""
        totals = [0] * images
        for store in self._stores:
            each = len(store.sizes) // images
            for i, size in enumerate(store.sizes):
                totals[i // each] += size
        return totals

    @property
    def codec(self) -> str:
        """The codec's id, ``plan`` where there are several."""
        return _only_codec(self._plan)[0]

    def result(self, classes: bool) -> CodecResult:
        """Return the figures of a codec."""
        figures, taps = self.figures, tuple(store.statistics.result() for store in self._stores)
        raw, plan_bytes = sum(tap.raw_bytes for tap in taps), len(self._plan.to_bytes())
        total = sum(tap.total_bytes for tap in taps) + plan_bytes
        codec, config = _only_codec(self._plan)
        return CodecResult(
            codec=codec,
            config=config,
            plan=self._plan,
            ratio_payload=raw / sum(tap.payload_bytes for tap in taps),
            ratio_total=raw / total,
            ratio_vs_fp32=_FP32_BYTES * raw / total,
            bits_per_value=8 * total / raw,
            plan_bytes=plan_bytes,
            top1=figures.top1 if classes else None,
            top5=figures.top5 if classes else None,
            changed_vs_int8=figures.changed("int8") if classes else None,
            changed_vs_float=figures.changed("float") if classes else None,
            kl_vs_float=figures.divergence("float") if classes else None,
            kl_vs_int8=figures.divergence("int8") if classes else None,
            output_sqnr_db=figures.sqnr_db,
            encode_mb_per_s=_rate(raw, sum(tap.encode_seconds for tap in taps)),
            decode_mb_per_s=_rate(raw, sum(tap.decode_seconds for tap in taps)),
            seconds=self.seconds,
            taps=taps,
            notes=self._notes,
            outputs=figures.outputs(classes),
        )


def _only_codec(plan: Plan) -> tuple[str, dict[str, Any]]:
    codecs: list[Codec] = []
    for tap in plan:
        if tap.codec not in codecs:
            codecs.append(tap.codec)
    return (codecs[0].id, codecs[0].config()) if len(codecs) == 1 else ("plan", {})


def _rate(size: int, seconds: float) -> float | None:
    return size / seconds / 1e6 if seconds > 0 else None
