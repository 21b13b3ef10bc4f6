"""``fmapzip merge``: one result from what the shards of a run wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import check_writable
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import require_torch
from fmapzip.measurements import is_measurements

Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Of plan --shard: the file for plan --state.", show_default=False
    ),
]


@app.command(cls=Command)
@options.gathers(outputs=options.OUTPUTS)
def merge(
    shards: Annotated[
        list[Path], typer.Argument(metavar="SHARD...", help="What eval or plan --shard wrote, in any order.")
    ],
    metric: options.Tasks = None,
    output: Output = None,
    *,
    outputs: Outputs,
) -> None:
    """Merge the shards of an evaluation into its report, or those of a plan's measuring into one file.

    A report is that of one run over all images, digit for digit but for times. --metric is given as to the shards.
    """
    if is_measurements(shards[0]):
        if output is None or metric or outputs != Outputs():
            raise InvalidInput("shards of plan become a file for plan --state: give -o FILE alone")
        _measurements(shards, output)
        return
    if output is not None:
        raise InvalidInput("-o is for shards of plan; the report of an evaluation goes to --json and --html")
    outputs.check()
    require_torch()
    from fmapzip.eval.merging import merge as merged
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.table import render

    metrics = metric or []
    report = merged(shards, [parse_metric(spec) for spec in metrics], metrics, pictures=outputs.html is not None)
    outputs.write(report, render)


def _measurements(shards: list[Path], output: Path) -> None:
    check_writable(output)
    require_torch()
    from fmapzip.planner.shards import join_shards

    maps = join_shards(shards, output)
    say(f"{output}: measurements of {counted(maps, 'map')} by {counted(len(shards), 'shard')}")
