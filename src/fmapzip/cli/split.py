"""``fmapzip split``: a network cut in two, for a device and a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.help import Command
from fmapzip.cli.output import Outputs
from fmapzip.cli.partition import choose
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fmapzip.eval.preprocess import Preprocessing
    from fmapzip.split import Cut, Split
    from fmapzip.split.manifest import ImageInput

LINK = "The link, where no cut is given"

At = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="TAP",
        help="The feature map to cut behind; several where branches run side by side.",
        show_default="the best one for a link",
        rich_help_panel=options.IMAGES,
    ),
]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar=options.CODEC,
        help="How what crosses is stored; repeatable: a ladder for links that change.",
        show_default="context-rans",
        rich_help_panel=options.CODECS,
    ),
]
MaxKl = Annotated[
    list[float] | None,
    typer.Option(
        "--max-kl",
        min=0,
        metavar="NATS",
        help="A rung of the ladder: the plan of what crosses with the fewest bytes within this distortion; repeatable.",
        rich_help_panel=options.CODECS,
    ),
]
MinSqnr = Annotated[
    list[float] | None,
    typer.Option(
        "--min-sqnr",
        metavar="DB",
        help="The same by the SQNR of the output, where it is no class score; repeatable.",
        rich_help_panel=options.CODECS,
    ),
]
Reductions = Annotated[
    list[str] | None,
    typer.Option(
        "--reduction",
        metavar="none|weighted|3/4|1/2|1/4",
        help="Channels with steps of their own, or a share of them from which the tail computes the others; "
        "repeatable: what to try where the best cut is to be found.",
        show_default="none",
        rich_help_panel=options.CODECS,
    ),
]
Bandwidth = Annotated[float | None, typer.Option(min=1e-6, metavar="MBIT/S", help="Of the link.", rich_help_panel=LINK)]
RoundTrip = Annotated[float, typer.Option("--rtt", min=0, metavar="MS", help="Of the link.", rich_help_panel=LINK)]
Slower = Annotated[
    float,
    typer.Option(
        "--client-slower",
        min=1e-6,
        metavar="TIMES",
        help="How much longer the device takes than this machine, which stands for the server.",
        rich_help_panel=LINK,
    ),
]
Goal = Annotated[
    Literal["latency", "images", "energy"],
    typer.Option(
        help="The least latency, the most images a second, or the least energy of the device.", rich_help_panel=LINK
    ),
]
DeviceWatts = Annotated[
    float | None,
    typer.Option(
        "--device-watts", min=0, metavar="W", help="What the device takes while it computes.", rich_help_panel=LINK
    ),
]
RadioWatts = Annotated[
    float | None,
    typer.Option(
        "--radio-watts", min=0, metavar="W", help="What it takes while it sends or receives.", rich_help_panel=LINK
    ),
]
MostDistortion = Annotated[
    float | None,
    typer.Option(
        "--max-distortion",
        min=0,
        metavar="X",
        help="Against the float network: KL in nats, or error over energy where the output is no class score.",
        show_default="none",
        rich_help_panel=LINK,
    ),
]


@app.command("split", cls=Command)
@options.gathers(request=options.request("taps", "images", "threads"), outputs=options.OUTPUTS)
def split(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.")],
    request: Request,
    outputs: Outputs,
    at: At = None,
    codec: Codecs = None,
    max_kl: MaxKl = None,
    min_sqnr: MinSqnr = None,
    reduction: Reductions = None,
    bandwidth: Bandwidth = None,
    rtt: RoundTrip = 20.0,
    client_slower: Slower = 1.0,
    goal: Goal = "latency",
    max_distortion: MostDistortion = None,
    device_watts: DeviceWatts = None,
    radio_watts: RadioWatts = None,
) -> None:
    """Cut MODEL in two, calibrated on images of DATA: a head for a device, a tail for a server.

    Both read DIR: serve runs the tail, send and fmapzip.split.Client the head. Without --at, every cut is measured and
    the best one for the link is made.
    """
    require_torch()
    from fmapzip.cli.console import stdout
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.request import load
    from fmapzip.planner.budget import Budget
    from fmapzip.split import cut, save_split
    from fmapzip.split import load as read
    from fmapzip.split.partition import Conditions
    from fmapzip.split.reduction import REDUCTIONS, with_reduction

    if (at is None) == (bandwidth is None):
        raise InvalidInput("give --at TAP, or the --bandwidth of a link that the best cut is to be found for")
    reductions = reduction or ["none"]
    if at is not None and len(reductions) > 1:
        raise InvalidInput("give one --reduction where --at says the cut")
    if unknown := set(reductions) - set(REDUCTIONS):
        raise InvalidInput(f"the reductions are {', '.join(REDUCTIONS)}; there is no {min(unknown)!r}")
    if at is not None and (outputs.json_file or outputs.html):
        raise InvalidInput("--json and --html tell of the cuts for a link: give its --bandwidth instead of --at")
    outputs.check()
    chosen = [parse_codec(spec) for spec in codec or ["context-rans"]]
    budgets = [*(Budget("kl", value) for value in max_kl or ()), *(Budget("sqnr", value) for value in min_sqnr or ())]
    inputs = load(request)
    preprocess = _image_input(inputs.preprocessing)
    image, _ = next(iter(inputs.calibration))
    with progress() as advance:
        if bandwidth is not None:
            conditions = Conditions(bandwidth * 1e6, rtt / 1000, client_slower, device_watts, radio_watts)
            best = choose(request, inputs, chosen, conditions, goal, max_distortion, outputs, advance, reductions)
            at, reductions = list(best.at), [best.reduction]
        found = with_reduction(cut(inputs.model, image[:1], at or []), reductions[0], inputs.calibration)
        save_split(
            found,
            output,
            inputs.calibration,
            None if budgets and codec is None else chosen,
            request.quantizer,
            budgets=budgets,
            metrics=request.metrics,
            model=request.model,
            preprocess=preprocess,
            progress=advance,
        )
    if not outputs.json_to_stdout:
        stdout().print(_table(found, read(output)))


def _image_input(given: Preprocessing | None) -> ImageInput | None:
    from fmapzip.split.manifest import ImageInput

    if given is None:
        return None
    if given.function is not None or given.distortion is not None:
        raise InvalidInput("a split keeps preprocessing as a declaration, not as a function of yours")
    return ImageInput(**{name: getattr(given, name) for name in ImageInput.__struct_fields__})


def _table(found: Cut, written: Split) -> RenderableType:
    """What crosses, and what that is in bytes by each rung."""
    from math import prod

    from rich.console import Group
    from rich.text import Text

    from fmapzip.tables import Figures, number, size, unusual_settings

    manifest = written.manifest
    maps = Figures(["crosses", "shape", "int8"], left_aligned=["shape"])
    for each in manifest.maps:
        maps.rows.append([each.name, " x ".join(map(str, each.shape)), size(prod(each.shape))])
    raw = sum(prod(each.shape) for each in manifest.maps)
    ladder = Figures(["rung", "codec", "bytes an image", "ratio"], left_aligned=["codec"])
    for i, (rung, plan) in enumerate(zip(manifest.ladder, written.codec.plans, strict=True)):
        codec = plan[0].codec
        settings = unusual_settings(codec.config())
        ladder.rows.append([str(i), f"{codec.id} {settings}".strip(), size(rung.bytes), number(raw / rung.bytes, 2)])
    notes = [Text(f"note: {note}", "yellow") for note in found.whole.notes]
    return Group(maps, Text(), ladder, *notes, Text(f"split {manifest.hash[:16]}"))
