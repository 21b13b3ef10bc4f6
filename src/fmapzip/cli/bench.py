"""``fmapzip bench``: every method on the same maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.exits import Exit
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request

if TYPE_CHECKING:
    from fmapzip.bench.source import Source
    from fmapzip.cli.progress import Advance

Inputs = Annotated[
    list[str], typer.Argument(metavar="MODEL DATA | FILE...", help="A network and images, or files with maps.")
]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar=options.CODEC,
        help="A codec of ours or a baseline; repeatable. all: every one; ours: every one of ours.",
        show_default="all",
        rich_help_panel=options.CODECS,
    ),
]
Repeat = Annotated[
    int, typer.Option(min=1, metavar="N", help="Timed runs of each map.", rich_help_panel=options.RUNNING)
]
Distortion = Annotated[
    bool,
    typer.Option(
        "--distortion/--no-distortion", help="Run the network with the lossy methods.", rich_help_panel=options.RUNNING
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="One line for each method and tap.", rich_help_panel=options.REPORTS),
]


@app.command(cls=Command)
@options.gathers(
    request=options.request("metrics", model="", data="", torch_threads=1),
    outputs=options.OUTPUTS,
)
def bench(
    inputs: Inputs,
    request: Request,
    codec: Codecs = None,
    repeat: Repeat = 3,
    distortion: Distortion = True,
    *,
    outputs: Outputs,
    csv: Csv = None,
) -> None:
    """Encode and decode the same maps with every method, and compare bytes, times and errors.

    An interrupted bench with --json goes on where it stopped when it is started again.
    """
    outputs.check(csv)
    from fmapzip.bench.run import bench as run
    from fmapzip.bench.specs import choose
    from fmapzip.bench.table import render, write_csv
    from fmapzip.cli.progress import progress

    chosen = choose(codec or ["all"], request.threads)
    with progress() as advance, _source(inputs, request, advance) as source:
        report = run(source, chosen, repeat, request.threads, advance, outputs.kept_json, distortion)
    if csv is not None:
        with replacing(csv) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            write_csv(report, file)
    outputs.write(report, render)
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

        source = NetworkSource(replace(request, model=inputs[0], data=inputs[1]), advance)
    else:
        raise InvalidInput(f"expected MODEL DATA, or files ending in {', '.join(FILES)}")
    try:
        yield source
    finally:
        source.close()
