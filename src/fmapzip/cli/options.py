"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fmapzip.errors import InvalidInput

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="demo, torchvision:NAME, timm:NAME, path/to/file.py:function or package.module:function.",
    ),
]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="demo, a directory with labels.csv, or a directory of class folders.")
]
Codecs = Annotated[
    list[str] | None,
    typer.Option(
        "--codec",
        metavar="NAME[:key=value,...]",
        help="A codec, or NAME:@settings.json; repeatable.",
        show_default="zvc and dct-cm, or none with --plan",
    ),
]
Plans = Annotated[
    list[Path] | None, typer.Option("--plan", metavar="FILE", help="A plan, instead of or beside codecs; repeatable.")
]
Calib = Annotated[
    str, typer.Option(metavar="RULE", help="Images that calibrate: every:K, first:N, or a directory of its own.")
]
Quantizer = Annotated[
    str, typer.Option(metavar="RULE", help="minmax, percentile:P or mse; with :channel, a scale a channel.")
]
Preprocess = Annotated[
    str | None, typer.Option(metavar="NAME", help="imagenet (default), cifar or none.", show_default=False)
]
Taps = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Only the feature maps of these names; repeatable.")
]
Batch = Annotated[int | None, typer.Option(min=1, metavar="N", help="Images in a batch; by default, by their size.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N images only.")]
Images = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Report on the first N of the images that do not calibrate.")
]
Metrics = Annotated[
    Literal["auto", "classes", "output"],
    typer.Option(help="Whether the output is class scores; auto: if it predicts the labels better than chance."),
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Codec threads.")]
TorchThreads = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Threads of the network itself; PyTorch chooses by default.")
]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A local state dict (.safetensors, .pt) for the model.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON (- for stdout).")
]
HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write the report as one HTML file that needs nothing else."),
]
PerImage = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one JSON line an image.")]


def check_archive(path: Path) -> None:
    """Refuse a name that is not an archive's."""
    if path.suffix.lower() != ".fmz":
        raise InvalidInput(f"{path}: archives are named .fmz")
