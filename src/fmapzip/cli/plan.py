"""``fmapzip plan``: a budget in, the best plan out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import beside, check_writable
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.cluster import Cluster
from fmapzip.cli.console import counted, say
from fmapzip.cli.exits import Exit, tell
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Progress, Request, require_torch

if TYPE_CHECKING:
    from fmapzip.eval.ray_workers import Shard
    from fmapzip.planner import Budget, Planned

BUDGET, SEARCH = "Budget (give one)", "Search"


def _limit(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, show_default=False, rich_help_panel=BUDGET)


MaxKl = Annotated[float | None, _limit("--max-kl", "NATS", "Mean KL(float || plan) at most; 0: lossless.")]
MaxDrop = Annotated[
    float | None, _limit("--max-drop", "POINTS", "Top-1 lost against the 8-bit network at most; 0: lossless.")
]
MinSqnr = Annotated[float | None, _limit("--min-sqnr", "DB", "SQNR of the output at least.")]
MinRatio = Annotated[float | None, _limit("--min-ratio", "R", "8-bit raw over frames and plan at least.")]
MaxBytes = Annotated[float | None, _limit("--max-bytes", "B", "Bytes of frames and plan an image at most.")]
MaxMetricLoss = Annotated[
    str | None,
    _limit("--max-metric-loss", "FIGURE=LOSS", "A metric's figure at most so much below the float network's."),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE:FUNCTION",
        help="The metric of --max-metric-loss, as for eval.",
        show_default="the one that has the figure",
        rich_help_panel=BUDGET,
    ),
]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar=options.CODEC,
        help="A codec to choose from; repeatable. auto: every built-in one.",
        show_default="auto",
        rich_help_panel=options.CODECS,
    ),
]
Validate = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Data that verifies.",
        show_default="every fourth of the calibration images",
        rich_help_panel=options.IMAGES,
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="After it, measuring is hasty and distortion estimated.", rich_help_panel=SEARCH
    ),
]
MinDecode = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="MBPS", help="Only codecs that decode at so many MB/s on one thread.", rich_help_panel=SEARCH
    ),
]
Seed = Annotated[
    int,
    typer.Option(metavar="N", help="Of the random vectors that estimate noise sensitivities.", rich_help_panel=SEARCH),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Measurements: an interrupted run goes on from them. Kept if it is given.",
        show_default="PLAN.state, removed at the end",
        rich_help_panel=SEARCH,
    ),
]

ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only measure, the Ith of N shards of the maps; -o gets what merge joins for --state.",
        rich_help_panel=options.RUNNING,
    ),
]


@app.command("plan", cls=Command)
@options.gathers(
    request=options.request("quantizer", "batch", "images"), cluster=options.CLUSTER, outputs=options.OUTPUTS
)
def plan(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PLAN.fmzp", help="The plan to write.")],
    request: Request,
    max_kl: MaxKl = None,
    max_drop: MaxDrop = None,
    min_sqnr: MinSqnr = None,
    min_ratio: MinRatio = None,
    max_bytes: MaxBytes = None,
    max_metric_loss: MaxMetricLoss = None,
    metric: Metric = None,
    codec: Codecs = None,
    validate: Validate = None,
    time_limit: TimeLimit = None,
    min_decode: MinDecode = None,
    seed: Seed = 0,
    state: StateFile = None,
    shard: ShardOf = None,
    *,
    cluster: Cluster,
    outputs: Outputs,
) -> None:
    """Find for each feature map of MODEL how to store it, to save the most within a budget of distortion.

    The calibration images of DATA choose and verify; the others are not looked at.
    """
    require_torch()
    from fmapzip.planner.budget import one_of

    budget = one_of(max_kl, max_drop, min_sqnr, min_ratio, max_bytes, max_metric_loss)
    searched = Searched(request, budget, metric, tuple(codec or ["auto"]), validate, seed)
    on_ray = cluster.asked(shard=shard, time_limit=time_limit)
    if shard is not None:
        _refuse(("--state", state), ("--time-limit", time_limit), ("--min-decode", min_decode))
        if outputs != Outputs():
            raise InvalidInput("--json and --html are of plans: a shard only measures")
        _shard(searched, options.shard_of(shard), output)
        return
    kept = state or beside(output, ".state")
    outputs.check(output, kept)
    if on_ray and not kept.exists():
        from fmapzip.planner.shards import join_shards

        with cluster.documents(searched, request.processors) as files:
            join_shards(files, kept)
    try:
        found, read = _search(searched, time_limit, min_decode, kept)
    except InvalidInput:  # the same command would end so again
        raise
    except BaseException:
        if kept.is_file():
            tell(f"what was measured is kept in {kept}: the same command goes on from it")
        raise
    found.plan.save(output)
    options_ = {"validate": validate, "time_limit": time_limit, "min_decode": min_decode, "seed": seed}
    settings = {**options_, "input": read, "metric": metric}
    _report(found, request, outputs, settings)
    if state is None:
        kept.unlink(missing_ok=True)
    if not found.met:
        tell(f"the budget cannot be met: {budget}; {output} comes nearest to it")
        raise typer.Exit(Exit.UNMET)


@dataclass(frozen=True)
class Searched:
    """What is planned, the same for all shards and for the plan; a job of workers on Ray, which measure shards."""

    request: Request
    budget: Budget
    metric: str | None
    codecs: tuple[str, ...]
    validate: str | None
    seed: int

    def ready(self) -> Shard:
        """Load the network and the images."""
        from fmapzip.planner.shards import measure_shard

        given, told, _ = self.load(lambda *_: None)
        return lambda part, file: measure_shard(*given, self.budget, part, file, **told)

    def load(self, progress: Progress) -> tuple[tuple[Any, Any], dict[str, Any], dict[str, Any] | None]:
        """The network and the images; what else measuring is told; and how images were read."""
        from fmapzip.eval.codec_spec import parse_codec
        from fmapzip.eval.copies import calibrating
        from fmapzip.eval.data import load_data
        from fmapzip.eval.loading import Batches, with_totals
        from fmapzip.eval.request import load

        request, task = self.request, _task(self.budget, self.metric)
        inputs = load(request)
        validation = None
        if self.validate is not None:
            validation = Batches(load_data(self.validate, inputs.preprocessing, request.frames), inputs.batch)
        told = {
            "codecs": [parse_codec(name) if ":" in name else name for name in self.codecs],
            "validation": validation,
            "taps": request.taps,
            "metrics": request.metrics,
            "task": task,
            "threads": request.threads,
            "seed": self.seed,
            "progress": with_totals(progress, inputs.parts),
        }
        calibration = inputs.calibration if task is None else calibrating(inputs, task)
        return (inputs.model, calibration), told, inputs.described


def _search(
    searched: Searched, time_limit: float | None, min_decode: float | None, state: Path
) -> tuple[Planned, dict[str, Any] | None]:
    """Plan, and tell how images were read."""
    from fmapzip.cli.progress import progress
    from fmapzip.planner import make_plan

    with progress() as advance:
        given, told, read = searched.load(advance)
        found = make_plan(*given, searched.budget, time_limit=time_limit, min_decode=min_decode, state=state, **told)
    return found, read


def _shard(searched: Searched, part: tuple[int, int], file: Path) -> None:
    """Measure one shard of the maps."""
    check_writable(file)
    from fmapzip.cli.progress import progress
    from fmapzip.planner.shards import measure_shard

    with progress() as advance:
        given, told, _ = searched.load(advance)
        maps = measure_shard(*given, searched.budget, part, file, **told)
    say(f"{file}: shard {part[0] + 1}/{part[1]}, measurements of {counted(maps, 'map')}")


def _refuse(*given: tuple[str, object]) -> None:
    """Refuse options that mean nothing where a shard is measured."""
    for name, value in given:
        if value is not None:
            raise InvalidInput(f"{name} is of the run that makes the plan, not of a shard")


def _task(budget: Budget, metric: str | None) -> Any:
    """The metric that a budget is in."""
    from fmapzip.eval.metric_spec import parse_metric
    from fmapzip.torch.tasks import OF_FIGURE

    if budget.figure is None:
        if metric is not None:
            raise InvalidInput("--metric goes with --max-metric-loss")
        return None
    if metric is None and budget.figure not in OF_FIGURE:
        raise InvalidInput(f"--max-metric-loss {budget.figure}: say which --metric has it")
    return parse_metric(metric or OF_FIGURE[budget.figure])


def _report(found: Planned, request: Request, outputs: Outputs, settings: dict[str, Any]) -> None:
    from dataclasses import asdict

    from fmapzip.eval.environment import environment
    from fmapzip.planner.schema import to_json
    from fmapzip.planner.table import render

    asked = {**asdict(request), **settings}
    outputs.write(to_json(found, request.model, request.data, asked, environment(request.threads)), render)
