"""``fmapzip bench``: every method on the same maps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.exits import Exit
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request
from fmapzip.eval.split import STANDARD
from fmapzip.quantize import DEFAULT_CALIBRATOR

if TYPE_CHECKING:
    from fmapzip.bench.source import Source
    from fmapzip.cli.progress import Advance

STDOUT = Path("-")


@app.command()
def bench(
    inputs: Annotated[
        list[str], typer.Argument(metavar="MODEL DATA | FILE...", help="A network and images, or files with maps.")
    ],
    codecs: Annotated[
        str, typer.Option(metavar="all|ours|NAME[:k=v],...", help="Codecs of ours and baselines, separated by commas.")
    ] = "all",
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="Timed runs of each map.")] = 3,
    threads: options.Threads = 1,
    calib: options.Calib = STANDARD,
    quantizer: options.Quantizer = DEFAULT_CALIBRATOR,
    preprocess: options.Preprocess = None,
    taps: options.Taps = None,
    batch: options.Batch = None,
    limit: options.Limit = None,
    images: options.Images = None,
    weights: options.Weights = None,
    distortion: Annotated[
        bool, typer.Option("--distortion/--no-distortion", help="Run the network with the lossy methods.")
    ] = True,
    json_file: options.JsonFile = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="One line for each method and tap.")] = None,
    html: options.HtmlFile = None,
) -> None:
    """Encode and decode the same maps with every method, and compare bytes, times and errors.

    An interrupted bench with --json goes on where it stopped when it is started again.
    """
    for file in (None if json_file == STDOUT else json_file, csv, html):
        check_writable(file)
    request = Request(
        model=inputs[0],
        data=inputs[-1],
        calib=calib,
        quantizer=quantizer,
        preprocess=preprocess,
        taps=tuple(taps) if taps else None,
        batch=batch,
        limit=limit,
        images=images,
        threads=threads,
        torch_threads=1,
        weights=None if weights is None else str(weights),
    )
    from fmapzip.bench.run import bench as run
    from fmapzip.bench.specs import choose
    from fmapzip.cli.progress import progress

    chosen = choose(codecs, threads)
    with progress() as advance, _source(inputs, request, advance) as source:
        report = run(source, chosen, repeat, threads, advance, None if json_file == STDOUT else json_file, distortion)
    _write(report, json_file, csv, html)
    if any(entry["status"].startswith("wrong") for entry in report["codecs"]):
        raise typer.Exit(Exit.BROKEN_PROMISE)


@contextmanager
def _source(inputs: Sequence[str], request: Request, advance: Advance) -> Iterator[Source]:
    from fmapzip.bench.source import FILES, FileSource

    paths = [Path(name) for name in inputs]
    if all(path.suffix.lower() in FILES for path in paths):
        source: Any = FileSource(paths, request.quantizer)
    elif len(inputs) == 2:
        from fmapzip.bench.network import NetworkSource

        source = NetworkSource(request, advance)
    else:
        raise InvalidInput(f"expected MODEL DATA, or files ending in {', '.join(FILES)}")
    try:
        yield source
    finally:
        source.close()


def _write(report: dict[str, Any], json_file: Path | None, csv: Path | None, html: Path | None) -> None:
    from fmapzip.bench.table import render, write_csv
    from fmapzip.cli.console import stdout

    if csv is not None:
        with replacing(csv) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            write_csv(report, file)
    if html is not None:
        from fmapzip.report import write_html

        write_html(report, html)
    if json_file == STDOUT:
        json.dump(report, sys.stdout, allow_nan=False)
        return
    if json_file is not None:
        with replacing(json_file) as temporary, temporary.open("w", encoding="utf-8") as file:
            json.dump(report, file, indent=1, allow_nan=False)
            file.write("\n")
    stdout().print(render(report))
