"""``fmapzip export``: a network's ONNX graph with its feature maps stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.atomic import check_writable
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.cli.help import Command
from fmapzip.eval.request import require_torch
from fmapzip.plan import Plan


@app.command(cls=Command)
def export(
    model: options.Model,
    plan: Annotated[Path, typer.Option("--plan", metavar="FILE", help="A plan for this network.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.onnx", help="The file to write.")],
    weights: options.Weights = None,
) -> None:
    """Write MODEL as an ONNX file whose feature maps are stored as the plan says.

    Each is one operator, fmapzip::Store; the file holds the plan, and `fmapzip.onnx.session` runs it.
    """
    check_writable(output)
    require_torch()
    found = Plan.load(plan)
    from fmapzip.eval.models import load_model
    from fmapzip.onnx import export_stored

    is_file = model.endswith(".onnx") and weights is None
    export_stored(model if is_file else load_model(model, weights), found, output)
    say(f"{output}: {counted(len(found), 'feature map')} stored, {output.stat().st_size} bytes")
