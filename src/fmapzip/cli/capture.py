"""``fmapzip capture``: a network's quantized feature maps, in an archive or a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.cli.help import Command
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch

Codec = Annotated[
    str | None,
    typer.Option(
        metavar=options.CODEC,
        help="The codec that the maps are stored by; for an archive a lossless one.",
        show_default="zvc",
        rich_help_panel=options.CODECS,
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="A plan instead of a codec; for a store.", rich_help_panel=options.CODECS
    ),
]
_DEFAULT = "zvc"


@app.command(cls=Command)
@options.gathers(request=options.request("metrics"))
def capture(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.fmz|FOLDER", help="The archive, or the store, to write.")
    ],
    request: Request,
    codec: Codec = None,
    plan: PlanFile = None,
    shard: options.ShardOf = None,
    shard_size: options.ShardSize = options.SHARD_MB,
) -> None:
    """Store the 8-bit feature maps of MODEL on DATA.

    OUT.fmz gets what eval hands to codecs: the maps of the images that do not calibrate, without loss, for benches and
    test vectors. A FOLDER becomes a store, for training and analysis: it gets the maps of all images, with their names
    and classes, in archives of a bounded size; what it has already stays, so that an interrupted capture goes on.
    """
    require_torch()
    if codec is not None and plan is not None:
        raise InvalidInput("give --codec or --plan, not both")
    if output.suffix.lower() == ".fmz":
        if plan is not None or shard is not None:
            raise InvalidInput(f"{output}: --plan and --shard are for stores: name a folder")
        _to_archive(request, output, codec or _DEFAULT)
    else:
        _to_store(request, output, codec or _DEFAULT, plan, options.shard_of(shard or "1/1"), shard_size * options.MB)


def _to_archive(request: Request, output: Path, codec: str) -> None:
    check_writable(output)
    from fmapzip.cli.progress import progress
    from fmapzip.eval.capture import capture_maps
    from fmapzip.eval.codec_spec import parse_codec

    chosen = parse_codec(codec)
    if not chosen.lossless:
        raise InvalidInput(f"--codec {codec} is lossy: an archive gets maps as they are")
    with replacing(output) as temporary, progress() as advance:
        found, images = capture_maps(request, temporary, advance, chosen)
    say(f"{output}: {counted(found * images, 'frame')}, {counted(found, 'tap')} of {counted(images, 'image')}")


def _to_store(
    request: Request, folder: Path, codec: str, plan: Path | None, part: tuple[int, int], shard_bytes: int
) -> None:
    if request.images is not None:
        raise InvalidInput("--images counts images that do not calibrate: a store gets all; --limit takes the first")
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; archives are named .fmz, and a store is a folder")
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.eval.store import capture_store
    from fmapzip.plan import Plan

    chosen = parse_codec(codec) if plan is None else Plan.load(plan)
    with progress() as advance:
        found = capture_store(request, folder, advance, chosen, shard_bytes, part)
    say(f"{folder}: {counted(found.images, 'image')} of {counted(found.taps, 'tap')}, {found.new} of them new")
