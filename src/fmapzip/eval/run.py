"""One run of ``fmapzip eval``: from what was typed to the report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import IO, Any

from fmapzip.codecs.base import Codec
from fmapzip.eval.copies import reported
from fmapzip.eval.data import Dataset
from fmapzip.eval.environment import OtherPrograms, environment
from fmapzip.eval.loading import with_totals
from fmapzip.eval.report import Protocol, to_json
from fmapzip.eval.request import Progress, Request, load
from fmapzip.plan import Plan
from fmapzip.torch import ImageResult, evaluate
from fmapzip.torch.tasks import Metric


def run(
    request: Request,
    codecs: Sequence[Codec | Plan],
    progress: Progress,
    per_image: IO[str] | None = None,
    pictures: bool = False,
    tasks: Sequence[Metric] = (),
) -> dict[str, Any]:
    """Evaluate codecs and plans, and give the report.

    Parameters
    ----------
    request
        The model, the images, and how to run them.
    codecs
        One pass each. Plans bring their quantizers; where there are only plans, nothing is calibrated.
    progress
        Told how far each stage has come.
    per_image
        Receives one JSON line for each image, as docs/EVAL_JSON.md says.
    pictures
        Draw some maps of the first image, for the page of the report.
    tasks
        Metrics that judge the outputs besides.

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
    >>> from fmapzip import registry
    >>> report = run(Request("demo", "demo", limit=20), [registry.make("zvc")], lambda *_: None)
    >>> report["images"], report["codecs"][0]["kl_vs_int8"]
    (16, 0.0)
    """
    others = OtherPrograms()
    inputs = reported(load(request), tasks)
    images = inputs.parts.images
    found = evaluate(
        inputs.model,
        inputs.images,
        codecs,
        calibration=None if all(isinstance(item, Plan) for item in codecs) else inputs.calibration,
        quantizer=request.quantizer,
        taps=request.taps,
        threads=request.threads,
        metrics=request.metrics,
        progress=with_totals(progress, inputs.parts),
        per_image=None if per_image is None else _line_writer(images, per_image),
        pictures=pictures,
        tasks=tasks,
    )
    asked = (request.calib, request.preprocess, request.taps, request.limit, request.images)
    protocol = Protocol(*asked, inputs.batch, images.label_rule, inputs.described)
    machine = {**environment(request.threads), "others_cpu": others.share()}
    return to_json(found, request.model, request.data, protocol, machine)


def _line_writer(images: Dataset, file: IO[str]) -> Callable[[ImageResult], None]:
    def write(result: ImageResult) -> None:
        file.write(json.dumps({"image": images.names[result.index], **asdict(result)}) + "\n")

    return write
