"""``fmapzip capture``: a network's quantized feature maps, in an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.eval.request import Request, require_torch
from fmapzip.eval.split import STANDARD
from fmapzip.quantize import DEFAULT_CALIBRATOR


@app.command()
def capture(
    model: options.Model,
    data: options.Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.fmz", help="The archive to write.")],
    calib: options.Calib = STANDARD,
    quantizer: options.Quantizer = DEFAULT_CALIBRATOR,
    preprocess: options.Preprocess = None,
    taps: options.Taps = None,
    batch: options.Batch = None,
    limit: options.Limit = None,
    weights: options.Weights = None,
) -> None:
    """Store the 8-bit feature maps of MODEL on DATA.

    They are what eval hands to the codecs, stored without loss, for benches and test vectors.
    """
    request = Request(
        model=model,
        data=data,
        calib=calib,
        quantizer=quantizer,
        preprocess=preprocess,
        taps=tuple(taps) if taps else None,
        batch=batch,
        limit=limit,
        weights=None if weights is None else str(weights),
    )
    options.check_archive(output)
    require_torch()
    with replacing(output) as temporary:
        from fmapzip.cli.progress import progress
        from fmapzip.eval.capture import capture_maps

        with progress() as advance:
            found, images = capture_maps(request, temporary, advance)
    say(f"{output}: {counted(found * images, 'frame')}, {counted(found, 'tap')} of {counted(images, 'image')}")
