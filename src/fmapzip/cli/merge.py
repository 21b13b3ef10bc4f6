"""``fmapzip merge``: the report of an evaluation from the documents of its shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.eval.request import require_torch


@app.command(cls=Command)
@options.gathers(outputs=options.OUTPUTS)
def merge(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="What eval --shard wrote, in any order.")],
    metric: options.Tasks = None,
    *,
    outputs: Outputs,
) -> None:
    """Merge the shards of an evaluation into its report.

    It is the report of one run over all images, digit for digit but for times. --metric is given as to the shards.
    """
    outputs.check()
    require_torch()
    from fmapzip.eval.merging import merge as merged
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.table import render

    metrics = metric or []
    report = merged(shards, [parse_metric(spec) for spec in metrics], metrics, pictures=outputs.html is not None)
    outputs.write(report, render)
