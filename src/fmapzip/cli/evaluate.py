"""``fmapzip eval`` and ``fmapzip demo``: what storing feature maps compressed saves, and what it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.eval.request import Request, require_torch
from fmapzip.eval.split import STANDARD
from fmapzip.quantize import DEFAULT_CALIBRATOR

STDOUT = Path("-")
DEFAULT_CODECS = ["zvc", "dct-cm"]


@app.command("eval")
def evaluate(
    model: options.Model,
    data: options.Data,
    codec: options.Codecs = None,
    plan: options.Plans = None,
    calib: options.Calib = STANDARD,
    quantizer: options.Quantizer = DEFAULT_CALIBRATOR,
    preprocess: options.Preprocess = None,
    taps: options.Taps = None,
    batch: options.Batch = None,
    limit: options.Limit = None,
    threads: options.Threads = 1,
    torch_threads: options.TorchThreads = None,
    metrics: options.Metrics = "auto",
    weights: options.Weights = None,
    json_file: options.JsonFile = None,
    html: options.HtmlFile = None,
    per_image: options.PerImage = None,
) -> None:
    """Measure what storing feature maps compressed saves and costs.

    Runs MODEL on DATA in float, in 8 bits, and once for each codec with every map stored as bytes and read back.
    """
    request = Request(
        model=model,
        data=data,
        calib=calib,
        quantizer=quantizer,
        preprocess=preprocess,
        taps=tuple(taps) if taps else None,
        batch=batch,
        limit=limit,
        threads=threads,
        torch_threads=torch_threads,
        metrics=metrics,
        weights=None if weights is None else str(weights),
    )
    _report(request, codec or ([] if plan else DEFAULT_CODECS), json_file, per_image, plan or [], html)


@app.command()
def demo(threads: options.Threads = 1, json_file: options.JsonFile = None, html: options.HtmlFile = None) -> None:
    """Evaluate the embedded network on its own images.

    Uses the codecs zvc and dct-cm, and images that it was not trained on. Nothing is downloaded.
    """
    request = Request(model="demo", data="demo", calib="demo:calib", threads=threads, torch_threads=1)
    _report(request, DEFAULT_CODECS, json_file, html=html)


def _report(
    request: Request,
    codecs: Sequence[str],
    json_file: Path | None,
    per_image: Path | None = None,
    plans: Sequence[Path] = (),
    html: Path | None = None,
) -> None:
    """Evaluate, show the tables, and write the files that were asked for."""
    check_writable(None if json_file == STDOUT else json_file)
    check_writable(per_image)
    check_writable(html)
    require_torch()
    from fmapzip.cli.console import stdout
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.run import run
    from fmapzip.eval.table import render
    from fmapzip.plan import Plan

    with ExitStack() as stack:
        lines = None
        if per_image is not None:
            temporary = stack.enter_context(replacing(per_image))
            lines = stack.enter_context(temporary.open("w", encoding="utf-8"))
        with progress() as advance:
            found = run(
                request, [*map(parse_codec, codecs), *map(Plan.load, plans)], advance, lines, pictures=html is not None
            )
    if html is not None:
        from fmapzip.report import write_html

        write_html(found, html)
    if json_file == STDOUT:
        _write_json(sys.stdout, found)
        return
    if json_file is not None:
        with replacing(json_file) as temporary, temporary.open("w", encoding="utf-8") as file:
            _write_json(file, found)
    stdout().print(render(found))


def _write_json(file: IO[str], found: dict[str, Any]) -> None:
    json.dump(found, file, indent=1, allow_nan=False)
    file.write("\n")
