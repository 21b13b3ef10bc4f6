"""Choosing a network's cut for a link: what was measured as tables and JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fmapzip.cli.exits import tell
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fmapzip.cli.output import Outputs
    from fmapzip.cli.progress import Advance
    from fmapzip.codecs.base import Codec
    from fmapzip.eval.request import Inputs
    from fmapzip.split.partition import Conditions, Way
    from fmapzip.split.survey import Survey
    from fmapzip.tables import Figures

    Picture = NDArray[np.uint8]

_SHOWN = 8
_BANDWIDTHS = (1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9)


def choose(
    request: Request,
    inputs: Inputs,
    codecs: Sequence[Codec],
    conditions: Conditions,
    goal: str,
    most_distortion: float | None,
    outputs: Outputs,
    advance: Advance,
    reductions: Sequence[str],
) -> Way:
    """The best cut; what was measured is reported.

    Raises
    ------
    InvalidInput
        No cut keeps to the distortion.
    """
    from rich.console import Group

    from fmapzip.eval.environment import environment
    from fmapzip.split.choice_report import report_of
    from fmapzip.split.partition import best
    from fmapzip.split.survey import survey

    pictures, normalise = _pictures(request, inputs)
    found = survey(
        inputs.model,
        inputs.calibration,
        codecs,
        request.quantizer,
        pictures,
        normalise,
        advance,
        reductions,
        request.metrics,
    )
    ranked = best(found.ways, conditions, goal, most_distortion)
    cuts = [way for way in ranked if way.at and not _is_plain(way, codecs)]
    machine = environment(request.threads)
    report = report_of(found, conditions, goal, most_distortion, (request.model, request.data), machine)
    by_bandwidth = _by_bandwidth(found, conditions, goal, most_distortion)
    outputs.write(report, lambda _: Group(_ways(found, ranked, conditions), by_bandwidth))
    if not cuts:
        raise InvalidInput(f"no cut has a distortion of at most {most_distortion:g}: nothing is written")
    if ranked[0] is not cuts[0]:
        tell(f"better than any cut at this link: {ranked[0].name}; the best cut is written all the same")
    return cuts[0]


def _is_plain(way: Way, codecs: Sequence[Codec]) -> bool:
    """Whether it is there to compare with only."""
    return way.codec == "raw" and all(codec.id != "raw" for codec in codecs)


def _pictures(
    request: Request, inputs: Inputs
) -> tuple[list[Picture], Callable[[Picture], NDArray[np.float32]] | None]:
    """The calibration images as they would be sent, and from such a picture to the network's input."""
    import numpy as np

    from fmapzip.eval.data import load_data
    from fmapzip.eval.split import split

    given = inputs.preprocessing
    if given is None or given.function is not None or any(n.endswith(".npy") for n in inputs.parts.calibration.names):
        return [], None
    shown = replace(given, channels="rgb", range=(0.0, 255.0), mean=None, std=None)
    read_on = replace(given, resize=None, crop=None, letterbox=None)
    data = load_data(request.data, shown)
    parts = split(data.select(range(len(data))[: request.limit]), request.calib, shown)
    pixels = [parts.calibration.read(i) for i in range(len(parts.calibration))]
    pictures = [np.ascontiguousarray(np.rint(image).astype(np.uint8).transpose(1, 2, 0)) for image in pixels]
    return pictures, lambda picture: read_on.of_array(picture, "the image")


def _ways(found: Survey, ranked: Sequence[Way], conditions: Conditions) -> Figures:
    from fmapzip.split.choice_report import plain_of
    from fmapzip.split.partition import break_even
    from fmapzip.tables import Figures, number, size

    link = f"{conditions.bandwidth / 1e6:g} Mbit/s, {conditions.round_trip * 1000:g} ms"
    table = Figures(
        ["way", "ms", "images/s", "device ms", "server ms", "bytes", "distortion", "pays below Mbit/s", "overlapped"],
        left_out=["server ms", "device ms", "overlapped"],
        title=f"{link}; {found.measured_cuts} of {found.cuts} cuts can be best, {found.images} images",
    )
    known = conditions.device_watts is not None
    if known:
        table.columns = [*table.columns, "mJ"]
    for way in [*ranked[:_SHOWN], *(way for way in ranked[_SHOWN:] if not way.at)]:
        pays = ["-", "-"]
        plain = plain_of(way, found)
        if plain is not None and plain is not way:
            even = break_even(way, plain, conditions.client_slower)
            pays = [_mbit(even.latency), _mbit(even.interval)]
        table.rows.append(
            [
                way.name,
                number(way.latency(conditions), 1, 1000),
                number(1 / way.interval(conditions), 1),
                number(conditions.client_slower * way.device, 1, 1000),
                number(way.server, 1, 1000),
                size(way.sent),
                f"{way.distortion:.2g}",
                *pays,
                *([number(way.energy(conditions), 1, 1000)] if known else []),
            ]
        )
    return table


def _by_bandwidth(found: Survey, conditions: Conditions, goal: str, most_distortion: float | None) -> Figures:
    from fmapzip.split.partition import best
    from fmapzip.tables import Figures, number

    table = Figures(["Mbit/s", "ms", "images/s", "best"], left_aligned=["best"])
    for bandwidth in _BANDWIDTHS:
        there = replace(conditions, bandwidth=bandwidth)
        for way in best(found.ways, there, goal, most_distortion)[:1]:
            figures = number(way.latency(there), 1, 1000), number(1 / way.interval(there), 1)
            table.rows.append([f"{bandwidth / 1e6:g}", *figures, way.name])
    return table


def _mbit(bits: float) -> str:
    return "any" if math.isinf(bits) else f"{bits / 1e6:.3g}"
