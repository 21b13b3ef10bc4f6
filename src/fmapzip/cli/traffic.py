"""``fmapzip traffic``: what a chip would read and write, with and without a codec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.help import Command
from fmapzip.cli.options import HtmlFile, JsonFile
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Request, require_torch

CHIP = "Chip"
"""Title that options of the accelerator stand under."""

PlanFile = Annotated[
    Path | None, typer.Option("--plan", metavar="FILE", help="A plan.", rich_help_panel=options.CODECS)
]
OneCodec = Annotated[
    str | None,
    typer.Option("--codec", metavar=options.CODEC, help="A codec instead of a plan.", rich_help_panel=options.CODECS),
]


def _chip(flag: str, metavar: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=CHIP)  # type: ignore[no-any-return]


def _workload(flag: str, text: str) -> typer.models.OptionInfo:
    return typer.Option(flag, metavar="FILE.yaml", help=text, rich_help_panel=options.REPORTS)  # type: ignore[no-any-return]


@app.command(cls=Command)
@options.gathers(request=options.request("metrics"))
def traffic(
    request: Request,
    plan: PlanFile = None,
    codec: OneCodec = None,
    buffer: Annotated[float, _chip("--buffer", "KB", "On-chip memory for rows or weights.")] = 128,
    dram_energy: Annotated[float, _chip("--dram-energy", "PJ", "Of moving a bit.")] = 20,
    codec_energy: Annotated[
        float | None, _chip("--codec-energy", "PJ", "Of coding a value; by default estimated from the blocks' gates.")
    ] = None,
    gate_energy: Annotated[float, _chip("--gate-energy", "FJ", "Of a gate that changes, for that estimate.")] = 1.25,
    bandwidth: Annotated[float, _chip("--bandwidth", "GB/S", "Of the DRAM.")] = 12.8,
    macs: Annotated[float, _chip("--macs", "GMAC/S", "Multiplications a second.")] = 512,
    *,
    zigzag: Annotated[Path | None, _workload("--zigzag", "Write the layers as a workload of ZigZag.")] = None,
    accelforge: Annotated[
        Path | None, _workload("--accelforge", "Write them as one of AccelForge, with stored_bits.")
    ] = None,
    json_file: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Tell what an accelerator would move for an image: bytes, energy and time, with a codec and without.

    Each map is written once and read by its layers, whose weights are read too. docs/HARDWARE.md describes the model.
    """
    if (plan is None) == (codec is None):
        raise InvalidInput("give --plan or --codec, one of them")
    outputs = Outputs(json_file, html)
    outputs.check(zigzag, accelforge)
    require_torch()
    from fmapzip.cli.progress import progress
    from fmapzip.eval.codec_spec import parse_codec
    from fmapzip.plan import Plan
    from fmapzip.traffic import Chip, export, run
    from fmapzip.traffic.table import render

    chip = Chip(round(buffer * 1024), dram_energy, codec_energy, gate_energy, bandwidth * 1e9, macs * 1e9)
    with progress() as advance:
        chosen = Plan.load(plan) if plan is not None else parse_codec(str(codec))
        found = run(request, chosen, chip, advance)
    if zigzag is not None:
        export.write(export.zigzag_workload(found), zigzag)
    if accelforge is not None:
        export.write(export.accelforge_workload(found), accelforge)
    outputs.write(found, render)
