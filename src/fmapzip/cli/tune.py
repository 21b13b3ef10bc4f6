"""``fmapzip tune``: train a network so that its feature maps compress."""

from __future__ import annotations

from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmapzip.atomic import beside
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.exits import tell
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch
from fmapzip.tune.asked import DEFAULT_CODEC, Asked
from fmapzip.tune_settings import TuneSettings

if TYPE_CHECKING:
    from fmapzip.torch import Epoch

TRAINING, GOAL = "Training", "What to aim at"


def _option(name: str, metavar: str, text: str, panel: str = TRAINING, **more: Any) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel, **more)


Lambda = Annotated[
    float, _option("--lambda", "X", "What a bit a value is worth, in nats of KL; 0: the task alone.", GOAL)
]
TargetRatio = Annotated[
    float | None, _option("--target-ratio", "R", "8-bit over coded; lambda is searched.", GOAL, show_default=False)
]
MaxKl = Annotated[
    float | None,
    _option("--max-kl", "NATS", "KL to the network as it was; lambda is searched.", GOAL, show_default=False),
]
Epochs = Annotated[int, _option("--epochs", "N", "Passes over the images; 0 changes nothing.", min=0)]
LabelWeight = Annotated[float, _option("--label-weight", "X", "Share of the labels' cross-entropy, 0 to 1.")]
Loss = Annotated[
    str | None,
    _option("--loss", "FILE:FUNCTION", "The task's loss, from outputs, wanted outputs and labels.", show_default="KL"),
]
TuneOn = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="Images to tune on.", show_default="those that calibrate", rich_help_panel=options.IMAGES
    ),
]
Codec = Annotated[
    str | None,
    typer.Option(
        metavar=options.CODEC,
        help="How all maps will be stored.",
        show_default=DEFAULT_CODEC,
        rich_help_panel=options.CODECS,
    ),
]
StartPlan = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="Instead: how each map will be stored.", rich_help_panel=options.CODECS
    ),
]
Rate = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="What bits are counted by: codec, logarithm, l1, hoyer, transformed-l1 or histogram.",
        rich_help_panel=TRAINING,
    ),
]
LearningRate = Annotated[float, _option("--learning-rate", "X", "Of the weights; it falls to 0 along a cosine.")]
ScaleLearningRate = Annotated[float, _option("--scale-learning-rate", "X", "Of the logarithms of the scales.")]
BatchSize = Annotated[int, _option("--batch", "N", "Images in a batch.", min=1)]
RateSamples = Annotated[int, _option("--rate-samples", "N", "Images of a batch whose bits are counted.", min=1)]
RateBands = Annotated[
    int, _option("--rate-bands", "N", "Bands of each map's rows, of which one, drawn at random, is counted.", min=1)
]
Mirror = Annotated[
    bool, typer.Option("--mirror", help="Mirror half of the images left to right.", rich_help_panel=TRAINING)
]
BatchNorms = Annotated[
    bool, typer.Option("--batch-norms", help="Train statistics of batch norms too.", rich_help_panel=TRAINING)
]
Patience = Annotated[int, _option("--patience", "N", "Epochs without a better held-back loss, then it stops.", min=1)]
Replan = Annotated[
    int,
    _option("--replan", "N", "Every N epochs the planner chooses steps and scales again.", show_default="never", min=0),
]
TimeLimit = Annotated[
    float | None, _option("--time-limit", "SECONDS", "Training ends then, within an epoch too.", show_default=False)
]
Seed = Annotated[int, _option("--seed", "N", "Of the order of images, and of which are mirrored.")]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="Where it trains: cpu, cuda, ...", rich_help_panel=options.RUNNING)
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help="Checkpoints: an interrupted run goes on from them. Kept if it is given.",
        show_default="WEIGHTS.state, removed at the end",
        rich_help_panel=TRAINING,
    ),
]

_SETTINGS: dict[str, Any] = {
    "lambda_": Lambda,
    "target_ratio": TargetRatio,
    "max_kl": MaxKl,
    "epochs": Epochs,
    "label_weight": LabelWeight,
    "learning_rate": LearningRate,
    "scale_learning_rate": ScaleLearningRate,
    "batch": BatchSize,
    "rate_samples": RateSamples,
    "rate_bands": RateBands,
    "mirror": Mirror,
    "patience": Patience,
    "replan": Replan,
    "time_limit": TimeLimit,
    "seed": Seed,
}
_ASKED: dict[str, Any] = {
    "codec": Codec,
    "plan": StartPlan,
    "tune_on": TuneOn,
    "rate": Rate,
    "loss": Loss,
    "batch_norms": BatchNorms,
    "device": Device,
}


@app.command("tune", cls=Command)
@options.gathers(
    request=options.request("images", "batch", "threads", "metrics"),
    asked=options.Part(_ASKED, Asked, {}),
    settings=options.Part(_SETTINGS, TuneSettings, {}),
    outputs=options.OUTPUTS,
)
def tune(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="WEIGHTS.safetensors", help="The tuned weights to write.")
    ],
    plan_out: Annotated[Path, typer.Option("--plan-out", metavar="PLAN.fmzp", help="The plan to write.")],
    request: Request,
    asked: Asked,
    settings: TuneSettings,
    state: StateFile = None,
    *,
    outputs: Outputs,
) -> None:
    """Train MODEL so that its feature maps take fewer bytes.

    The calibration images of DATA make the plan, and train the network unless --tune-on names others. The images that
    eval reports are not looked at.
    """
    require_torch()
    if output.suffix != ".safetensors":
        raise InvalidInput(f"{output}: weights are written to a .safetensors file")
    kept = state or beside(output, ".state")
    outputs.check(output, plan_out, kept)
    if asked.tune_on is not None and realpath(asked.tune_on) == realpath(request.data):
        tell(f"--tune-on {asked.tune_on}: these are the images that eval reports, so what it says is no test of them")
    from fmapzip.cli.progress import progress
    from fmapzip.tune.run import run, save_weights
    from fmapzip.tune.table import render

    try:
        with progress() as advance:
            found, report = run(request, asked, settings, kept, advance, _tell)
    except InvalidInput:  # the same command would end so again
        raise
    except BaseException:
        if kept.is_file():
            tell(f"what was reached is kept in {kept}: the same command goes on from it")
        raise
    save_weights(found.model, output)
    found.plan.save(plan_out)
    outputs.write(report, render)
    if state is None:
        kept.unlink(missing_ok=True)


def _tell(epoch: Epoch) -> None:
    from fmapzip.tune.schema import epoch_json
    from fmapzip.tune.table import epoch_line

    tell(epoch_line(epoch_json(epoch)))
