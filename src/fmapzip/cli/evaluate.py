"""``fmapzip eval`` and ``fmapzip demo``: what storing feature maps compressed saves, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.cluster import Cluster
from fmapzip.cli.console import counted, say
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch

DEFAULT_CODECS = ["context-rans", "zvc", "dct-cm"]

Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar=options.CODEC,
        help="A codec, or NAME:@settings.json; repeatable.",
        show_default=f"{', '.join(DEFAULT_CODECS)}; none with --plan",
        rich_help_panel=options.CODECS,
    ),
]
PerImage = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write one JSON line an image.", rich_help_panel=options.REPORTS),
]
ShardFile = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="With --shard: its document.", rich_help_panel=options.REPORTS),
]


@app.command("eval", cls=Command)
@options.gathers(request=options.request(), cluster=options.CLUSTER, outputs=options.OUTPUTS)
def evaluate(
    request: Request,
    codec: Codecs = None,
    plan: options.Plans = None,
    metric: options.Tasks = None,
    *,
    outputs: Outputs,
    per_image: PerImage = None,
    shard: options.ShardOf = None,
    output: ShardFile = None,
    cluster: Cluster,
) -> None:
    """Measure what storing feature maps compressed saves and costs.

    Runs MODEL on DATA in float, in 8 bits, and once for each codec with every map stored as bytes and read back.
    """
    codecs = codec or ([] if plan else DEFAULT_CODECS)
    if cluster.asked(shard=shard, output=output, per_image=per_image):
        _on_ray(request, codecs, outputs, plan or [], metric or [], cluster)
        return
    if shard is None and output is None:
        _report(request, codecs, outputs, per_image, plan or [], metric or [])
        return
    if shard is None or output is None:
        raise InvalidInput("--shard I/N and -o FILE go together: the file gets the shard's document")
    if outputs != Outputs() or per_image is not None:
        raise InvalidInput("--json, --html and --per-image are of whole runs: merge makes the report of shards")
    _shard(request, codecs, plan or [], metric or [], options.shard_of(shard), output)


@app.command(cls=Command)
@options.gathers(
    request=options.request(
        *("quantizer", "preprocess", "frames", "taps", "limit", "images", "weights", "batch", "metrics"),
        model="demo",
        data="demo",
        calib="demo:calib",
        torch_threads=1,
    ),
    outputs=options.OUTPUTS,
)
def demo(request: Request, outputs: Outputs) -> None:
    """Evaluate the embedded network on its own images.

    Uses eval's codecs, and images that the network was not trained on. Nothing is downloaded.
    """
    _report(request, DEFAULT_CODECS, outputs)


def _shard(
    request: Request,
    codecs: Sequence[str],
    plans: Sequence[Path],
    metrics: Sequence[str],
    part: tuple[int, int],
    file: Path,
) -> None:
    """Evaluate on one shard of the images."""
    check_writable(file)
    require_torch()
    from fmapzip.cli.progress import progress
    from fmapzip.codecs.base import Codec
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.shards import run_shard
    from fmapzip.plan import Plan

    with progress() as advance:
        chosen: list[Codec | Plan] = [*map(parse_codec, codecs), *map(Plan.load, plans)]
        tasks = [parse_metric(spec) for spec in metrics]
        found = run_shard(request, chosen, part, file, advance, tasks, metrics)
    known = f", {found.known} of them known before" if found.known else ""
    batches = f"{found.batches} {'batch' if found.batches == 1 else 'batches'}"
    say(f"{file}: shard {part[0] + 1}/{part[1]}, {counted(found.images, 'image')} in {batches}{known}")


def _on_ray(
    request: Request,
    codecs: Sequence[str],
    outputs: Outputs,
    plans: Sequence[Path],
    metrics: Sequence[str],
    cluster: Cluster,
) -> None:
    """Evaluate in shards on Ray's workers, and make of them what a whole run makes."""
    outputs.check(None)
    require_torch()
    from fmapzip.eval.merging import merge
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.ray_workers import Evaluation
    from fmapzip.eval.table import render

    job = Evaluation(request, tuple(codecs), tuple(map(Path.read_bytes, plans)), tuple(metrics))
    with cluster.documents(job, request.processors) as files:
        tasks = [parse_metric(spec) for spec in metrics]
        outputs.write(merge(files, tasks, metrics, pictures=outputs.html is not None), render)


def _report(
    request: Request,
    codecs: Sequence[str],
    outputs: Outputs,
    per_image: Path | None = None,
    plans: Sequence[Path] = (),
    metrics: Sequence[str] = (),
) -> None:
    """Evaluate, show the tables, and write the files that were asked for."""
    outputs.check(per_image)
    require_torch()
    from fmapzip.cli.progress import progress
    from fmapzip.codecs.base import Codec
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.run import run
    from fmapzip.eval.table import render
    from fmapzip.plan import Plan

    with ExitStack() as stack:
        lines = None
        if per_image is not None:
            temporary = stack.enter_context(replacing(per_image))
            lines = stack.enter_context(temporary.open("w", encoding="utf-8"))
        with progress() as advance:
            chosen: list[Codec | Plan] = [*map(parse_codec, codecs), *map(Plan.load, plans)]
            tasks = [parse_metric(spec) for spec in metrics]
            found = run(request, chosen, advance, lines, pictures=outputs.html is not None, tasks=tasks)
    outputs.write(found, render)
