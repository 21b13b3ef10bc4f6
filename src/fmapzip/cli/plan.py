"""``fmapzip plan``: a budget in, the best plan out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.exits import Exit, tell
from fmapzip.eval.request import Request, require_torch
from fmapzip.eval.split import STANDARD

if TYPE_CHECKING:
    from fmapzip.planner import Budget, Planned

STDOUT = Path("-")


def _limit(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


MaxKl = Annotated[float | None, _limit("--max-kl", "NATS", "Mean KL(float || plan) at most; 0: lossless.")]
MaxDrop = Annotated[
    float | None, _limit("--max-drop", "POINTS", "Top-1 lost against the 8-bit network at most; 0: lossless.")
]
MinSqnr = Annotated[float | None, _limit("--min-sqnr", "DB", "SQNR of the output at least.")]
MinRatio = Annotated[float | None, _limit("--min-ratio", "R", "8-bit raw over frames and plan at least.")]
MaxBytes = Annotated[float | None, _limit("--max-bytes", "B", "Bytes of frames and plan an image at most.")]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codecs",
        metavar="NAME[:key=value,...]",
        help="A codec to choose from, as eval's --codec takes it; repeatable. auto: every built-in one.",
        show_default="auto",
    ),
]
Validate = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Data that verifies.", show_default="every fourth of the calibration images"),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="After it, measuring is hasty and distortion estimated."),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of the random vectors that estimate noise sensitivities.")]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Measurements: an interrupted run goes on from them. Kept if it is given.",
        show_default="PLAN.state, removed at the end",
    ),
]


@app.command("plan")
def plan(
    model: options.Model,
    data: options.Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PLAN.fmzp", help="The plan to write.")],
    max_kl: MaxKl = None,
    max_drop: MaxDrop = None,
    min_sqnr: MinSqnr = None,
    min_ratio: MinRatio = None,
    max_bytes: MaxBytes = None,
    codecs: Codecs = None,
    calib: options.Calib = STANDARD,
    validate: Validate = None,
    preprocess: options.Preprocess = None,
    taps: options.Taps = None,
    limit: options.Limit = None,
    threads: options.Threads = 1,
    torch_threads: options.TorchThreads = None,
    metrics: options.Metrics = "auto",
    weights: options.Weights = None,
    time_limit: TimeLimit = None,
    seed: Seed = 0,
    state: StateFile = None,
    json_file: options.JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as one HTML file.")] = None,
) -> None:
    """Find for each feature map of MODEL how to store it, to save the most within a budget of distortion.

    The calibration images of DATA choose and verify; the others are not looked at.
    """
    require_torch()
    from fmapzip.planner.budget import one_of

    budget = one_of(max_kl, max_drop, min_sqnr, min_ratio, max_bytes)
    for file in (output, html, None if json_file == STDOUT else json_file):
        check_writable(file)
    request = Request(
        model=model,
        data=data,
        calib=calib,
        preprocess=preprocess,
        taps=tuple(taps) if taps else None,
        limit=limit,
        threads=threads,
        torch_threads=torch_threads,
        metrics=metrics,
        weights=None if weights is None else str(weights),
    )
    kept = state or output.with_name(output.name + ".state")
    found = _search(request, budget, codecs or ["auto"], validate, time_limit, seed, kept)
    found.plan.save(output)
    _report(found, request, json_file, html, {"validate": validate, "time_limit": time_limit, "seed": seed})
    if state is None:
        kept.unlink(missing_ok=True)
    if not found.met:
        tell(f"the budget cannot be met: {budget}; {output} comes nearest to it")
        raise typer.Exit(Exit.UNMET)


def _search(
    request: Request,
    budget: Budget,
    codecs: list[str],
    validate: str | None,
    time_limit: float | None,
    seed: int,
    state: Path,
) -> Planned:
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.data import load_data
    from fmapzip.eval.loading import Batches
    from fmapzip.eval.request import load
    from fmapzip.planner import make_plan

    options_ = [parse_codec(name) if ":" in name else name for name in codecs]
    inputs = load(request)
    verifying = None if validate is None else Batches(load_data(validate, request.preprocess), inputs.batch)
    with progress() as advance:
        return make_plan(
            inputs.model,
            inputs.calibration,
            budget,
            codecs=options_,
            validation=verifying,
            taps=request.taps,
            metrics=request.metrics,
            threads=request.threads,
            time_limit=time_limit,
            seed=seed,
            state=state,
            progress=advance,
        )


def _report(
    found: Planned, request: Request, json_file: Path | None, html: Path | None, settings: dict[str, Any]
) -> None:
    from dataclasses import asdict

    from fmapzip.cli.console import stdout
    from fmapzip.eval.environment import environment
    from fmapzip.planner.schema import to_json
    from fmapzip.planner.table import render

    report = to_json(found, request.model, request.data, {**asdict(request), **settings}, environment(request.threads))
    if html is not None:
        from fmapzip.report import write_html

        write_html(report, html)
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if json_file == STDOUT:
        sys.stdout.write(text)
        return
    if json_file is not None:
        with replacing(json_file) as temporary:
            temporary.write_text(text, "utf-8")
    stdout().print(render(report))
