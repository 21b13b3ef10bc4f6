"""Arguments and options that several commands share, and the objects that they are gathered in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from fmapzip.archive.store_index import SHARD_BYTES
from fmapzip.cli.cluster import Cluster
from fmapzip.cli.output import Outputs
from fmapzip.errors import InvalidInput
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.preprocess import INTERPOLATIONS
from fmapzip.eval.request import Request

if TYPE_CHECKING:
    from fmapzip.frame import Limits

CODECS, IMAGES, INPUT, RUNNING, REPORTS = "Codecs", "Network and images", "Input", "Running", "Reports"
"""Titles that options stand under in ``--help``."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="demo, torchvision:NAME, timm:NAME, path/to/file.py:function, package.module:function or a file.onnx.",
    ),
]
Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="demo, a folder of images, a .npy, .npz, .tar or .parquet file, or a URL."),
]
CODEC = "NAME[:key=value,...]"
"""How a codec and its settings are written, everywhere."""
Plans = Annotated[
    list[Path] | None,
    typer.Option(
        "--plan", metavar="FILE", help="A plan, instead of or beside codecs; repeatable.", rich_help_panel=CODECS
    ),
]
Calib = Annotated[
    str,
    typer.Option(
        metavar="RULE",
        help="Images that calibrate: every:K, first:N, or a directory of its own.",
        rich_help_panel=IMAGES,
    ),
]
Quantizer = Annotated[
    str,
    typer.Option(
        metavar="RULE",
        help="minmax, minmax:offset, percentile:P or mse; with :channel, a scale a channel.",
        rich_help_panel=CODECS,
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="imagenet, cifar, none or path/to/file.py:function.",
        show_default="what the model brings, else imagenet",
        rich_help_panel=INPUT,
    ),
]


def _input(metavar: str, text: str) -> Any:
    return Annotated[str | None, typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=INPUT)]


Frames = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Each folder of frames is one clip: N of them, evenly spread.",
        rich_help_panel=INPUT,
    ),
]
Taps = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only the feature maps of these names; repeatable.", rich_help_panel=IMAGES),
]
Batch = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Images in a batch; by default, by their size.", rich_help_panel=RUNNING),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Use the first N images only, to calibrate too.", rich_help_panel=IMAGES),
]
Images = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Report on the first N of the images that do not calibrate.",
        rich_help_panel=IMAGES,
    ),
]
Metrics = Annotated[
    Literal["auto", "classes", "output"],
    typer.Option(
        help="Whether the output is class scores; auto: if it predicts the labels better than chance.",
        rich_help_panel=RUNNING,
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME|FILE:FUNCTION",
        help="Judge by top1, top5, miou, coco_map, psnr, recall_at_1, or a function of yours; repeatable.",
        rich_help_panel=RUNNING,
    ),
]
MaxValues = Annotated[
    int | None,
    typer.Option(
        "--max-values", min=1, metavar="N", help="Values that one map may have; default 2^28.", rich_help_panel=RUNNING
    ),
]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Codec threads.", rich_help_panel=RUNNING)]
TorchThreads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Threads of the network itself; PyTorch chooses by default.",
        rich_help_panel=RUNNING,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A local state dict (.safetensors, .pt) for the model.", rich_help_panel=IMAGES),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the report as JSON (- for stdout).", rich_help_panel=REPORTS),
]
HtmlFile = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Write the report as one HTML file that needs nothing else.",
        rich_help_panel=REPORTS,
    ),
]

_REQUEST: dict[str, Any] = {
    "model": Model,
    "data": Data,
    "quantizer": Quantizer,
    "calib": Calib,
    "preprocess": Preprocess,
    "frames": Frames,
    "taps": Taps,
    "limit": Limit,
    "images": Images,
    "weights": Weights,
    "batch": Batch,
    "threads": Threads,
    "torch_threads": TorchThreads,
    "metrics": Metrics,
}
_INPUT: dict[str, Any] = {
    "size": _input("N|HxW", "Scale images to exactly this."),
    "resize": _input("N|HxW", "Scale the shorter side to N, or the image to H x W."),
    "crop": _input("N|HxW", "Keep the centre."),
    "letterbox": _input("N|HxW", "Scale to fit into it; pad the right and the bottom with 114."),
    "interpolation": _input("NAME", f"How to scale: {', '.join(INTERPOLATIONS)}."),
    "channels": _input("rgb|bgr|grey", "Channels, in the network's order."),
    "range": _input("HIGH|LOW,HIGH", "What the pixels 0 and 255 become; then without mean and deviation."),
    "mean": _input("NUMBERS", "Subtracted after that, one or one a channel."),
    "std": _input("NUMBERS", "Divided by after that."),
}
_OUTPUTS: dict[str, Any] = {"json_file": JsonFile, "html": HtmlFile}
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="ADDRESS", help="Shards on Ray: a cluster's address, auto, or local.", rich_help_panel=RUNNING
    ),
]


def _of_ray(text: str, default: str) -> Any:
    return Annotated[
        int | None, typer.Option(min=1, metavar="N", help=text, show_default=default, rich_help_panel=RUNNING)
    ]


_CLUSTER: dict[str, Any] = {
    "ray": Ray,
    "workers": _of_ray("With --ray: workers.", "by processors"),
    "shards": _of_ray("With --ray: shards.", "4 a worker"),
}


@dataclass(frozen=True)
class Part:
    """Options that a command gets as one object.

    Attributes
    ----------
    options
        Their names and annotations.
    make
        The object's class; a field of it without an option keeps its default, and so does an option that is not given.
    fixed
        Fields that have no option here.
    """

    options: Mapping[str, Any]
    make: type[Any]
    fixed: Mapping[str, Any]

    def parameters(self) -> list[inspect.Parameter]:
        """The options as keyword parameters, with the class's defaults."""
        defaults = {field.name: field.default for field in fields(self.make)}
        return [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if defaults[name] is MISSING else defaults[name],
                annotation=annotation,
            )
            for name, annotation in self.options.items()
        ]

    def gather(self, given: dict[str, Any]) -> Any:
        """The object, of the options taken out of `given`."""
        values = {name: given.pop(name) for name in self.options}
        return self.make(**self.fixed, **{name: tuple(x) if isinstance(x, list) else x for name, x in values.items()})


@dataclass(frozen=True)
class RequestPart(Part):
    """The options of a `Request`, and of its `InputOptions` where the command reads images."""

    def parameters(self) -> list[inspect.Parameter]:
        """Those of both."""
        return [*super().parameters(), *(self._input.parameters() if self._input else [])]

    def gather(self, given: dict[str, Any]) -> Any:
        """The request."""
        found = super().gather(given)
        return replace(found, input=self._input.gather(given)) if self._input else found

    @property
    def _input(self) -> Part | None:
        return Part(_INPUT, InputOptions, {}) if "preprocess" in self.options else None


def request(*without: str, **fixed: Any) -> Part:
    """The options of a `Request`, but for those named in `without`, and those that the command fixes."""
    left = {name: x for name, x in _REQUEST.items() if name not in without and name not in fixed}
    return RequestPart(left, Request, fixed)


OUTPUTS = Part(_OUTPUTS, Outputs, {})
"""The options of `Outputs`."""

CLUSTER = Part(_CLUSTER, Cluster, {})
"""The options of `Cluster`."""


def gathers(**parts: Part) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace parameters of a command by the options of its parts, and hand it the parts as objects.

    Examples
    --------
    >>> @gathers(request=request("weights"))
    ... def command(request: Request) -> None: ...
    >>> list(inspect.signature(command).parameters)[:3]
    ['model', 'data', 'quantizer']
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            made = {name: part.gather(given) for name, part in parts.items()}
            command(**given, **made)

        hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command).parameters.items():
            if name in parts:
                parameters += parts[name].parameters()
            else:
                parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        return run

    return decorate


ShardOf = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only the Ith of N shards of the images.", rich_help_panel=RUNNING),
]


def shard_of(text: str) -> tuple[int, int]:
    """Index and number of the shards that ``I/N`` names.

    Examples
    --------
    >>> shard_of("3/8")
    (2, 8)
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InvalidInput(f"--shard {text}: expected I/N, from 1/N to N/N")
    return int(found[1]) - 1, int(found[2])


MB = 10**6
SHARD_MB = SHARD_BYTES // MB
ShardSize = Annotated[
    int,
    typer.Option(
        "--shard-size", min=1, metavar="MB", help="Size from which on a shard is closed.", rich_help_panel=RUNNING
    ),
]


def check_archive(path: Path) -> None:
    """Refuse a name that is not an archive's."""
    if path.suffix.lower() != ".fmz":
        raise InvalidInput(f"{path}: archives are named .fmz")


def limits_of(max_values: int | None) -> Limits:
    """The limits that `--max-values` asks for."""
    from fmapzip.frame import DEFAULT_LIMITS, Limits

    return DEFAULT_LIMITS if max_values is None else Limits(max_values=max_values)
