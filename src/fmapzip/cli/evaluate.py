"""``fmapzip eval`` and ``fmapzip demo``: what storing feature maps compressed saves, and what it costs."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.output import check_writable, replacing

if TYPE_CHECKING:
    from fmapzip.eval.run import Request

STDOUT = Path("-")


@app.command("eval")
def evaluate(
    model: options.Model,
    data: options.Data,
    codec: options.Codecs = ["zvc", "dct-cm"],  # noqa: B006
    calib: options.Calib = "every:5",
    quantizer: options.Quantizer = "minmax",
    preprocess: options.Preprocess = None,
    taps: options.Taps = None,
    batch: options.Batch = 20,
    limit: options.Limit = None,
    threads: options.Threads = 1,
    weights: options.Weights = None,
    json_file: options.JsonFile = None,
    per_image: options.PerImage = None,
) -> None:
    """Run MODEL on DATA with every feature map stored compressed, and report what it saves and costs."""
    check_writable(None if json_file == STDOUT else json_file)
    check_writable(per_image)
    from fmapzip.eval.run import Request

    request = Request(
        model=model,
        data=data,
        codecs=tuple(codec),
        calib=calib,
        quantizer=quantizer,
        preprocess=preprocess,
        taps=tuple(taps) if taps else None,
        limit=limit,
        batch=batch,
        threads=threads,
        weights=None if weights is None else str(weights),
    )
    report(request, json_file, per_image)


@app.command()
def demo(
    threads: options.Threads = 1,
    json_file: options.JsonFile = None,
) -> None:
    """Evaluate the embedded network on its held-out images, with zvc and dct-cm; needs no download."""
    check_writable(None if json_file == STDOUT else json_file)
    from fmapzip.eval.run import Request

    report(Request("demo", "demo", calib="demo:calib", batch=50, threads=threads), json_file, None)


def report(request: Request, json_file: Path | None, per_image: Path | None) -> None:
    """Evaluate, show the tables, and write the files that were asked for."""
    from fmapzip.cli.console import stdout
    from fmapzip.cli.progress import progress
    from fmapzip.eval.run import run
    from fmapzip.eval.table import render

    with ExitStack() as stack:
        lines = None
        if per_image is not None:
            lines = stack.enter_context(stack.enter_context(replacing(per_image)).open("w", encoding="utf-8"))
        with progress() as advance:
            found = run(request, advance, lines)
    if json_file == STDOUT:
        write_json(sys.stdout, found)
        return
    stdout().print(render(found))
    if json_file is not None:
        with replacing(json_file) as temporary, temporary.open("w", encoding="utf-8") as file:
            write_json(file, found)


def write_json(file: Any, found: dict[str, Any]) -> None:
    """Write a report; NaN and infinities would be a mistake by then and raise ValueError."""
    json.dump(found, file, indent=1, allow_nan=False)
    file.write("\n")
