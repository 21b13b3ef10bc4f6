"""``fmapzip merge``: one result from what the shards of a run wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import check_writable
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.bench import Csv, report_bench
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
        list[Path], typer.Argument(metavar="SHARD...", help="What eval, bench or plan --shard wrote, in any order.")
    ],
    metric: options.Tasks = None,
    output: Output = None,
    *,
    outputs: Outputs,
    csv: Csv = None,
) -> None:
    """Merge the shards of an evaluation or a bench into its report, or those of a plan's measuring into one file.

    A report is that of one run over all images, digit for digit but for times. --metric is given as to the shards.
    """
    if is_measurements(shards[0]):
        if output is None or metric or csv or outputs != Outputs():
            raise InvalidInput("shards of plan become a file for plan --state: give -o FILE alone")
        _measurements(shards, output)
        return
    if output is not None:
        raise InvalidInput("-o is for shards of plan; a report goes to --json and --html")
    outputs.check(csv)
    require_torch()
    from fmapzip.bench.merging import is_of_bench

    if is_of_bench(shards[0]):
        if metric:
            raise InvalidInput("--metric is for shards of eval")
        _bench(shards, outputs, csv)
        return
    if csv is not None:
        raise InvalidInput("--csv is for shards of bench")
    from fmapzip.eval.merging import merge as merged
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.eval.table import render

    metrics = metric or []
    report = merged(shards, [parse_metric(spec) for spec in metrics], metrics, pictures=outputs.html is not None)
    outputs.write(report, render)


def _bench(shards: list[Path], outputs: Outputs, csv: Path | None) -> None:
    from fmapzip.bench.merging import merge as merged

    report_bench(merged(shards), outputs, csv)


def _measurements(shards: list[Path], output: Path) -> None:
    check_writable(output)
    require_torch()
    from fmapzip.planner.shards import join_shards

    maps = join_shards(shards, output)
    say(f"{output}: measurements of {counted(maps, 'map')} by {counted(len(shards), 'shard')}")
