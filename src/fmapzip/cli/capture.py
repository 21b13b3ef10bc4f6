"""``fmapzip capture``: a network's quantized feature maps, in an archive."""

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
    str,
    typer.Option(
        metavar=options.CODEC,
        help="The codec that the maps are stored by; a lossless one.",
        rich_help_panel=options.CODECS,
    ),
]


@app.command(cls=Command)
@options.gathers(request=options.request("metrics", "torch_threads"))
def capture(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.fmz", help="The archive to write.")],
    request: Request,
    codec: Codec = "zvc",
) -> None:
    """Store the 8-bit feature maps of MODEL on DATA.

    They are what eval hands to the codecs, stored without loss, for benches and test vectors.
    """
    options.check_archive(output)
    check_writable(output)
    require_torch()
    from fmapzip.cli.progress import progress
    from fmapzip.eval.capture import capture_maps
    from fmapzip.eval.codec_spec import parse_codec

    chosen = parse_codec(codec)
    if not chosen.lossless:
        raise InvalidInput(f"--codec {codec} is lossy: capture stores maps as they are")
    with replacing(output) as temporary, progress() as advance:
        found, images = capture_maps(request, temporary, advance, chosen)
    say(f"{output}: {counted(found * images, 'frame')}, {counted(found, 'tap')} of {counted(images, 'image')}")
