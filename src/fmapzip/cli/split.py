"""``fmapzip split``: a network cut in two, for a device and a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.help import Command
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fmapzip.eval.preprocess import Preprocessing
    from fmapzip.split import Cut, Split
    from fmapzip.split.manifest import ImageInput

At = Annotated[
    list[str],
    typer.Option(
        "--at", metavar="TAP", help="The feature map to cut behind; several where branches run side by side.",
        rich_help_panel=options.IMAGES,
    ),
]  # fmt: skip
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


@app.command("split", cls=Command)
@options.gathers(request=options.request("taps", "metrics", "images", "threads"))
def split(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.")],
    at: At,
    request: Request,
    codec: Codecs = None,
) -> None:
    """Cut MODEL in two, calibrated on images of DATA: a head for a device, a tail for a server.

    Both read DIR: serve runs the tail, send and fmapzip.split.Client the head.
    """
    require_torch()
    from fmapzip.cli.console import stdout
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.request import load
    from fmapzip.split import cut, save_split
    from fmapzip.split import load as read

    chosen = [parse_codec(spec) for spec in codec or ["context-rans"]]
    inputs = load(request)
    image, _ = next(iter(inputs.calibration))
    found = cut(inputs.model, image[:1], at)
    with progress() as advance:
        save_split(
            found,
            output,
            inputs.calibration,
            chosen,
            request.quantizer,
            model=request.model,
            preprocess=_image_input(inputs.preprocessing),
            progress=advance,
        )
    stdout().print(_table(found, read(output)))


def _image_input(given: Preprocessing | None) -> ImageInput | None:
    from dataclasses import asdict

    from fmapzip.split.manifest import ImageInput

    if given is None:
        return None
    fields = asdict(given)
    if fields.pop("function") is not None:
        raise InvalidInput("a split keeps preprocessing as a declaration, not as a function of yours")
    return ImageInput(**fields)


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
