"""One run of ``fmapzip eval``: from what was typed to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.data import Dataset, load_data
from fmapzip.eval.environment import environment
from fmapzip.eval.loading import Batches
from fmapzip.eval.models import load_model
from fmapzip.eval.report import Protocol, to_json
from fmapzip.eval.split import STANDARD, split
from fmapzip.torch import ImageResult, evaluate

Progress = Callable[[str, int, int], None]
"""Told the stage of the work, how many images of it are done, and how many there are."""


@dataclass(frozen=True)
class Request:
    """What ``fmapzip eval`` was asked for; the defaults are the command's.

    Attributes
    ----------
    model, data, calib, quantizer, codecs
        As `load_model`, `load_data`, `split`, `fmapzip.quantize.make_observer` and `parse_codec` take them.
    preprocess
        A name for `load_data`, or None.
    taps
        Names or globs of the taps to store; None: all.
    limit
        How many rows of the data to use, cut before the split; None: all.
    batch, threads
        Images in one batch; codec threads.
    weights
        A file for `load_model`, or None.
    """

    model: str
    data: str
    codecs: tuple[str, ...] = ("zvc", "dct-cm")
    calib: str = STANDARD
    quantizer: str = "minmax"
    preprocess: str | None = None
    taps: tuple[str, ...] | None = None
    limit: int | None = None
    batch: int = 20
    threads: int = 1
    weights: str | None = None


def run(request: Request, progress: Progress | None = None, per_image: IO[str] | None = None) -> dict[str, Any]:
    """Evaluate, and give the report.

    Parameters
    ----------
    request
        What to do.
    progress
        Told how far each stage has come.
    per_image
        Receives one JSON line for each image, as docs/EVAL_JSON.md says.

    Returns
    -------
    dict
        The report, of schema 1.

    Raises
    ------
    FmapzipError
        What was asked for does not exist or does not fit together.

    Examples
    --------
    >>> report = run(Request("demo", "demo", codecs=("zvc",), limit=20))
    >>> report["images"], report["codecs"][0]["kl_vs_int8"]
    (16, 0.0)
    """
    codecs = [parse_codec(spec) for spec in request.codecs]
    data = load_data(request.data, request.preprocess)
    parts = split(data.select(range(len(data))[: request.limit]), request.calib, request.preprocess)
    model = load_model(request.model, request.weights)
    found = evaluate(
        model,
        Batches(parts.images, request.batch),
        codecs,
        calibration=Batches(parts.calibration, request.batch),
        quantizer=request.quantizer,
        taps=request.taps,
        threads=request.threads,
        progress=progress,
        on_image=None if per_image is None else _line_writer(parts.images, per_image),
    )
    protocol = Protocol(request.calib, request.preprocess, request.taps, request.limit, request.batch, data.label_rule)
    return to_json(found, request.model, request.data, protocol, environment(request.threads))


def _line_writer(images: Dataset, file: IO[str]) -> Callable[[ImageResult], None]:
    def write(result: ImageResult) -> None:
        from dataclasses import asdict

        file.write(json.dumps({"image": images.names[result.index], **asdict(result)}) + "\n")

    return write
