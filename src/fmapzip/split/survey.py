"""Measuring the ways to run a network: every cut that can be the best, coded as asked, and the image itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.graph import NetworkGraph, Place
from fmapzip.split.halves import Cut, separated
from fmapzip.split.manifest import CrossingMap
from fmapzip.split.partition import Way
from fmapzip.split.reduction import REDUCTIONS, steps_of, with_reduction
from fmapzip.tables import unusual_settings
from fmapzip.torch.batches import Batches, Progress, ignore_progress
from fmapzip.torch.calibrate import calibrate
from fmapzip.torch.capture import capture
from fmapzip.torch.metrics import MetricsChoice, Scores, check_classes, has_classes
from fmapzip.torch.outputs import output_tensor

_PASSES = 5
_TIMED_IMAGES = 8
_REDUCTION_WORDS = {"none": "", "weighted": ", channels weighted"}
_REDUCTION_WORDS |= {share: f", {share} of the channels" for share in REDUCTIONS if "/" in share}
JPEG_QUALITIES = (75, 90, 95)


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes
    ----------
    ways
        All of them, measured.
    cuts, measured_cuts
        How many cuts the network has, and how many of them can be the best: each sends fewer values than any before.
    class_scores
        Whether distortion is KL in nats, else squared error over energy.
    images
        How many were coded.
    """

    ways: tuple[Way, ...]
    cuts: int
    measured_cuts: int
    class_scores: bool
    images: int


def survey(
    model: nn.Module,
    batches: Any,
    codecs: Sequence[Codec],
    quantizer: str = DEFAULT_CALIBRATOR,
    pictures: Sequence[NDArray[np.uint8]] = (),
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None,
    progress: Progress = ignore_progress,
    reductions: Sequence[str] = ("none",),
    metrics: MetricsChoice = "auto",
) -> Survey:
    """Measure every way to run a network on these images, which also calibrate.

    Parameters
    ----------
    model : nn.Module
        In eval mode.
    batches : Tensor, or iterable of batches
        Gone through several times.
    codecs : sequence of Codec
        For what crosses; plain 8-bit integers are measured too.
    quantizer : str
    pictures : sequence of uint8 arrays [H, W, C]
        The same images before they were normalised, in the same order, for sending an image.
    normalise : callable
        From such a picture to the network's input [C, H, W].
    progress : callable
    reductions : sequence of str
        To try, of `fmapzip.split.reduction.REDUCTIONS`; plain 8-bit integers have none.
    metrics : {"auto", "classes", "output"}
        What vectors are: class scores, unless it is ``output`` (an embedding, whose distortion is squared error).
    """
    source = Batches(batches, "images")
    images = torch.cat([_tensor(inputs) for inputs, _ in source])
    captured = capture(model, images[:1], ("fx", "export"))
    graph = NetworkGraph(captured)
    module = captured.module
    assert isinstance(module, fx.GraphModule)
    seconds = _node_seconds(module, images[:1])
    with torch.inference_mode():
        wanted = torch.cat([output_tensor(module(x[None])) for x in images])
        returned = sum(x[:1].nbytes for x in [output_tensor(module(images[:1]))])
    total = sum(seconds.values())
    distortion = _Distortion(wanted, metrics)
    ways = [Way("all on the device", (), "", total, 0.0, 0.0, 0.0, 0.0, 0.0)]
    ways += _pictures(module, pictures, normalise, total, returned, distortion)
    places = list(graph.places())
    worthwhile = _worthwhile(graph, places, seconds)
    chosen = [registry.make("raw"), *(codec for codec in codecs if codec.id != "raw")]
    for i, (place, head) in enumerate(worthwhile):
        cut = separated(captured, graph, images[:1], place.at)
        for form in dict.fromkeys(["none", *reductions]):
            coding = codecs if form != "none" else chosen if form in reductions else chosen[:1]
            ways += _coded(cut, form, coding, source, images, quantizer, (head, total - head), returned, distortion)
        progress("measuring cuts", i + 1, len(worthwhile))
    return Survey(tuple(ways), len(places), len(worthwhile), distortion.class_scores, len(images))


def _worthwhile(
    graph: NetworkGraph, places: Sequence[Place], seconds: dict[fx.Node, float]
) -> list[tuple[Place, float]]:
    """The cuts that send fewer values than every cut whose head takes less time, with the head's seconds."""
    timed = sorted(((graph.head_seconds(place, seconds), place.values, i) for i, place in enumerate(places)))
    found: list[tuple[Place, float]] = []
    fewest = float("inf")
    for head, values, i in timed:
        if values < fewest:
            fewest = values
            found.append((places[i], head))
    return found


def _coded(
    whole: Cut,
    reduction: str,
    codecs: Sequence[Codec],
    source: Batches,
    images: Tensor,
    quantizer: str,
    halves: tuple[float, float],
    returned: float,
    distortion: _Distortion,
) -> list[Way]:
    cut = with_reduction(whole, reduction, source)
    found = calibrate(cut.whole, cut.taps, source, quantizer, ignore_progress)
    plans = [found.plan(codec) for codec in codecs]
    crossing = [
        CrossingMap(tap.name, tap.shape, tap.axis, layout)  # type: ignore[arg-type]
        for tap, layout in zip(cut.taps, cut.layouts, strict=True)
    ]
    coder = CrossingCodec(crossing, plans)
    uncoded = sum(prod(tap.shape) for tap in whole.taps)
    ways = []
    with torch.inference_mode():
        maps = [cut.head(x[None]) for x in images]
        before = _best_seconds(
            partial(_through, steps_of(cut.head)), [whole.head(x[None]) for x in images[:_TIMED_IMAGES]]
        )
        after = _best_seconds(partial(_through, steps_of(cut.tail.flat)), maps)
        for rung, codec in enumerate(codecs):
            messages = [coder.encode(each, rung)[0] for each in maps]
            outputs = [output_tensor(cut.tail(*coder.decode([message], rung))) for message in messages]
            encode = _best_seconds(partial(coder.encode, rung=rung), maps)
            decode = _best_seconds(partial(coder.decode, rung=rung), [[message] for message in messages])
            name = f"{codec.id} {unusual_settings(codec.config())}".strip()
            sent = sum(sum(map(len, message)) for message in messages) / len(messages)
            ways.append(
                Way(
                    name=f"cut at {' and '.join(cut.at)}, {name}{_REDUCTION_WORDS[reduction]}",
                    at=cut.at,
                    codec=name,
                    device=halves[0] + before + encode,
                    server=decode + after + halves[1],
                    sent=sent,
                    returned=returned,
                    uncoded=uncoded,
                    distortion=distortion.of(torch.cat(outputs)),
                    reduction=reduction,
                )
            )
    return ways


def _through(steps: dict[int, nn.Module], maps: Sequence[Tensor]) -> None:
    for place, step in steps.items():
        step(maps[place])


def _pictures(
    module: nn.Module,
    pictures: Sequence[NDArray[np.uint8]],
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None,
    total: float,
    returned: float,
    distortion: _Distortion,
) -> list[Way]:
    """Sending the image, as its pixels, PNG and JPEG."""
    if not pictures or normalise is None:
        return []
    ways = []
    forms = {"pixels": _pixels, "PNG": _pillow("PNG")}
    forms |= {f"JPEG {quality}": _pillow("JPEG", quality=quality) for quality in JPEG_QUALITIES}
    for name, encode in forms.items():
        sent = [encode(picture) for picture in pictures]
        decoded = pictures if name == "pixels" else [_picture(data) for data in sent]
        with torch.inference_mode():
            outputs = [output_tensor(module(torch.from_numpy(normalise(picture))[None])) for picture in decoded]
        coding = _best_seconds(encode, pictures)
        opening = 0.0 if name == "pixels" else _best_seconds(_picture, sent)
        ways.append(
            Way(
                name=f"send the image, {name}",
                at=(),
                codec="",
                device=coding,
                server=opening + total,
                sent=sum(map(len, sent)) / len(sent),
                returned=returned,
                uncoded=0.0,
                distortion=distortion.of(torch.cat(outputs)),
            )
        )
    return ways


class _Distortion:
    """Of outputs, against those of the float network."""

    def __init__(self, wanted: Tensor, metrics: MetricsChoice) -> None:
        if metrics == "classes":
            check_classes(wanted, None)
        self._wanted, self.class_scores = wanted, has_classes(wanted) and metrics != "output"

    def of(self, got: Tensor) -> float:
        """Mean KL in nats, or squared error over energy."""
        if self.class_scores:
            return float(Scores(self._wanted).divergence_to(Scores(got)).mean())
        wanted = self._wanted.double()
        return float((got.double() - wanted).square().sum() / wanted.square().sum())


class _Timed(fx.Interpreter):
    """Notes the least time that each node took."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.seconds: dict[fx.Node, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        start = perf_counter()
        value = super().run_node(n)
        took = perf_counter() - start
        self.seconds[n] = min(took, self.seconds.get(n, took))
        return value


def _node_seconds(module: fx.GraphModule, x: Tensor) -> dict[fx.Node, float]:
    timed = _Timed(module)
    with torch.inference_mode():
        for _ in range(_PASSES):
            timed.run(x.clone())
    return timed.seconds


def _best_seconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """The mean over some items of the least time that `work` took for each."""
    least = []
    for item in items[:_TIMED_IMAGES]:
        times = []
        for _ in range(_PASSES):
            start = perf_counter()
            work(item)
            times.append(perf_counter() - start)
        least.append(min(times))
    return sum(least) / len(least)


def _tensor(inputs: Any) -> Tensor:
    if not isinstance(inputs, Tensor):
        raise InvalidInput("a split's network takes one tensor")
    return inputs


def _pixels(picture: NDArray[np.uint8]) -> bytes:
    return picture.tobytes()


def _pillow(kind: str, **options: int) -> Callable[[NDArray[np.uint8]], bytes]:
    from PIL import Image

    def encode(picture: NDArray[np.uint8]) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind, **options)
        return file.getvalue()

    return encode


def _picture(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)))
