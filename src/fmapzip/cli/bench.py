"""``fmapzip bench``: every method on the same maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.cluster import Cluster
from fmapzip.cli.console import counted, say
from fmapzip.cli.exits import Exit
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request

if TYPE_CHECKING:
    from fmapzip.bench.source import Source
    from fmapzip.cli.progress import Advance
    from fmapzip.eval.ray_workers import Shard

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
ShardFile = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="With --shard: its document.", rich_help_panel=options.REPORTS),
]


@app.command(cls=Command)
@options.gathers(
    request=options.request("metrics", model="", data="", torch_threads=1),
    cluster=options.CLUSTER,
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
    shard: options.ShardOf = None,
    output: ShardFile = None,
    cluster: Cluster,
) -> None:
    """Encode and decode the same maps with every method, and compare bytes, times and errors.

    An interrupted bench with --json goes on where it stopped when it is started again.
    """
    if cluster.asked(shard=shard, output=output):
        outputs.check(csv)
        job = Benching(_of_network(inputs, request), tuple(codec or ["all"]), repeat, distortion)
        from fmapzip.bench.merging import merge

        with cluster.documents(job, request.processors) as files:
            report_bench(merge(files), outputs, csv)
        return
    if shard is not None or output is not None:
        if shard is None or output is None:
            raise InvalidInput("--shard I/N and -o FILE go together: the file gets the shard's document")
        if outputs != Outputs() or csv is not None:
            raise InvalidInput("--json, --html and --csv are of whole runs: merge makes the report of shards")
        _shard(_of_network(inputs, request), codec, repeat, distortion, options.shard_of(shard), output)
        return
    outputs.check(csv)
    from fmapzip.bench.run import bench as run
    from fmapzip.bench.specs import choose
    from fmapzip.cli.progress import progress

    chosen = choose(codec or ["all"], request.threads)
    with progress() as advance, _source(inputs, request, advance) as source:
        report = run(source, chosen, repeat, request.threads, advance, outputs.kept_json, distortion)
    report_bench(report, outputs, csv)


@dataclass(frozen=True)
class Benching:
    """A job of workers on Ray: shards of a bench."""

    request: Request
    codecs: tuple[str, ...]
    repeat: int
    distortion: bool

    def ready(self) -> Shard:
        """Load the network and the images."""
        from fmapzip.bench.shards import run_shard
        from fmapzip.bench.specs import choose
        from fmapzip.eval.request import load

        chosen = choose(list(self.codecs), self.request.threads)
        inputs = load(self.request)
        return lambda part, file: run_shard(
            self.request, chosen, self.repeat, part, file, lambda *_: None, self.distortion, inputs
        )


def report_bench(report: dict[str, Any], outputs: Outputs, csv: Path | None) -> None:
    """Write what was asked for of a report; end with an exit code of its own where a method broke a promise."""
    from fmapzip.bench.table import render

    if csv is not None:
        save_csv(report, csv)
    outputs.write(report, render)
    check_promises(report)


def save_csv(report: dict[str, Any], file: Path) -> None:
    """Write the lines of a report."""
    from fmapzip.bench.table import write_csv

    with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as opened:
        write_csv(report, opened)


def check_promises(report: dict[str, Any]) -> None:
    """End with an exit code of its own where a method broke a promise."""
    if any(entry["status"].startswith("wrong") for entry in report["codecs"]):
        raise typer.Exit(Exit.BROKEN_PROMISE)


def _shard(
    request: Request, codec: list[str] | None, repeat: int, distortion: bool, part: tuple[int, int], file: Path
) -> None:
    """Measure on one shard of the images."""
    check_writable(file)
    from fmapzip.bench.shards import run_shard
    from fmapzip.bench.specs import choose
    from fmapzip.cli.progress import progress

    with progress() as advance:
        chosen = choose(codec or ["all"], request.threads)
        images = run_shard(request, chosen, repeat, part, file, advance, distortion)
    done = "was there already" if images is None else counted(images, "image")
    say(f"{file}: shard {part[0] + 1}/{part[1]}, {done}")


def _of_network(inputs: Sequence[str], request: Request) -> Request:
    """The request with MODEL and DATA."""
    from fmapzip.bench.source import FILES

    if len(inputs) != 2 or all(Path(name).suffix.lower() in FILES for name in inputs):
        raise InvalidInput("shards cut the images of MODEL DATA; on files, methods are trained on all their maps")
    return replace(request, model=inputs[0], data=inputs[1])


@contextmanager
def _source(inputs: Sequence[str], request: Request, advance: Advance) -> Iterator[Source]:
    from fmapzip.bench.source import FILES, FileSource

    paths = [Path(name) for name in inputs]
    if all(path.suffix.lower() in FILES for path in paths):
        source: Any = FileSource(paths, request.quantizer)
    elif len(inputs) == 2:
        from fmapzip.bench.network import NetworkSource

        source = NetworkSource(_of_network(inputs, request), advance)
    else:
        raise InvalidInput(f"expected MODEL DATA, or files ending in {', '.join(FILES)}")
    try:
        yield source
    finally:
        source.close()
