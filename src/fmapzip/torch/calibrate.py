"""From calibration images to plans: quantizers, then the integer maps that codecs are trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor

import fmapzip
from fmapzip import registry
from fmapzip.bound import bind
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.errors import InvalidInput
from fmapzip.fitting import train_taps, within_share
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams, make_observer
from fmapzip.torch.actions import FakeQuantize, Observe
from fmapzip.torch.batches import CALIBRATING, Batches, Progress, ignore_progress
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.inputs import batch_size, call
from fmapzip.torch.metrics import ClassEvidence
from fmapzip.torch.slot import Action

TRAINING_IMAGES = 64

Keep = Callable[[str, Callable[[], bytes]], bytes]


def train_anew(name: str, train: Callable[[], bytes]) -> bytes:
    """Parameters that are not kept."""
    del name
    return train()


@dataclass(frozen=True)
class Calibration:
    """What calibration learns about the selected taps of a network, before any codec is chosen.

    Parameters
    ----------
    taps : tuple of Tap
        The selected taps.
    quantizers : tuple of QuantParams
    calibrator : str
    images : int
        Calibration images seen.
    frames : tuple of list of bytes
        For each tap, its map of at most 64 evenly spread images in the 8-bit network, as zvc frames.
    metadata : dict
        What plans that are made from it say of where they come from.
    class_scores : bool
        Whether the float network's outputs predict the labels better than chance.
    """

    taps: tuple[Tap, ...]
    quantizers: tuple[QuantParams, ...]
    calibrator: str
    images: int
    frames: tuple[list[bytes], ...] = field(repr=False)
    metadata: Mapping[str, Any] = field(repr=False)
    class_scores: bool

    def maps(self, index: int) -> IntegerMap:
        """Return the training maps of a tap, [N, *shape]."""
        return fmapzip.decode_batch(self.frames[index])

    def plan(
        self, codec: Codec | Sequence[Codec], progress: Progress = ignore_progress, keep: Keep = train_anew
    ) -> Plan:
        """Train one codec for all taps, or one for each, and return the plan.

        `keep` takes a name that tells codec and maps from all others, and what makes parameters of them.
        """
        codecs = [codec] * len(self.taps) if isinstance(codec, Codec) else list(codec)

        def train(i: int, chosen: Codec) -> bytes:
            return keep(self._name(i, chosen), lambda: chosen.train_for(self.maps(i), self.quantizers[i]))

        planned = []
        trained = train_taps(codecs, self.quantizers, self.maps, train)
        for i, (tap, quantizer, chosen, found) in enumerate(
            zip(self.taps, self.quantizers, codecs, trained, strict=True)
        ):
            planned.append(TapPlan(tap.name, tap.shape, quantizer, chosen, *found))
            progress(f"training {chosen.id}", i + 1, len(codecs))
        map_bytes = [self.images * prod(tap.shape) for tap in self.taps]
        return Plan(tuple(within_share(planned, map_bytes, train)), self.metadata)

    def _name(self, index: int, codec: Codec) -> str:
        """Of the parameters of a codec for the maps of a tap."""
        digest = hashlib.sha256()
        for frame in self.frames[index]:
            digest.update(frame)
        settings = json.dumps([codec.config(), self.quantizers[index].to_json()], sort_keys=True)
        return f"{self.taps[index].name} {settings} {digest.hexdigest()}"


def calibrate(
    captured: Captured,
    taps: Sequence[Tap],
    batches: Batches,
    calibrator: str,
    progress: Progress,
) -> Calibration:
    """Set the quantizers from all images, but the network's own, then collect training maps in the 8-bit network.

    Two passes over `batches`. Memory is bounded: quantizers are set from running statistics, and at most 64 images'
    maps are kept, as frames.
    """
    observers = [make_observer(calibrator, tap.name) for tap in taps]
    evidence = ClassEvidence()
    images = 0
    watching = {tap.name: Observe(tap, observer) for tap, observer in zip(taps, observers, strict=True)}
    with running(captured, watching):
        for inputs, labels in batches:
            evidence.add(call(captured.module, inputs), labels)
            images += batch_size(inputs)
            progress(CALIBRATING, images, None)
    if not images:
        raise InvalidInput("calibration: there are no images")
    quantizers = tuple(tap.quantizer or observer.finish() for tap, observer in zip(taps, observers, strict=True))
    frames = collect(captured, taps, quantizers, batches, images, progress)
    skipped = [tap.name for tap in captured.taps if tap not in taps]
    metadata = {
        "calibrator": calibrator,
        "calibration_images": images,
        "inputs": captured.input_shapes,
        "skipped": skipped,
    }
    return Calibration(tuple(taps), quantizers, calibrator, images, frames, metadata, evidence.class_scores)


def spread(count: int, most: int = TRAINING_IMAGES) -> set[int]:
    """Return at most `most` evenly spread positions among `count`.

    Examples
    --------
    >>> sorted(spread(10, 4))
    [0, 2, 5, 7]
    """
    taken = min(count, most)
    return {i * count // taken for i in range(taken)}


@contextmanager
def running(captured: Captured, actions: Mapping[str, Action]) -> Iterator[None]:
    """Run slots with actions, by tap name, and everything without gradients; other slots hand on what they get."""
    for slot in captured.slots:
        slot.action = actions.get(slot.name)
    try:
        with torch.inference_mode():
            yield
    finally:
        for slot in captured.slots:
            slot.action = None


def collect(
    captured: Captured,
    taps: Sequence[Tap],
    quantizers: Sequence[QuantParams],
    batches: Batches,
    images: int,
    progress: Progress,
) -> tuple[list[bytes], ...]:
    """Return each tap's integer maps of at most 64 evenly spread images, as zvc frames, all taps being quantized."""
    kept = spread(images)
    frames: tuple[list[bytes], ...] = tuple([] for _ in taps)
    seen = [0] * len(taps)

    storing = [bind(registry.make("zvc"), quantizer) for quantizer in quantizers]

    def keep(place: int, sample: Tensor) -> None:
        if seen[place] in kept:
            frames[place].append(storing[place].encode(sample.numpy()))
        seen[place] += 1

    rounding = {
        tap.name: FakeQuantize(tap, quantizer, partial(keep, i))
        for i, (tap, quantizer) in enumerate(zip(taps, quantizers, strict=True))
    }
    done = 0
    with running(captured, rounding):
        for inputs, _ in batches:
            call(captured.module, inputs)
            done += batch_size(inputs)
            progress("collecting training maps", done, images)
    return frames
