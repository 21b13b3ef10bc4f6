"""``fmapzip capture``: a network's quantized feature maps, in an archive or a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.atomic import check_writable, replacing
from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.cluster import Cluster
from fmapzip.cli.console import counted, say
from fmapzip.cli.help import Command
from fmapzip.errors import InvalidInput
from fmapzip.eval.request import Inputs, Progress, Request, require_torch

if TYPE_CHECKING:
    from fmapzip.eval.ray_workers import Shard
    from fmapzip.eval.store import Kept

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
@options.gathers(request=options.request("metrics"), cluster=options.CLUSTER)
def capture(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="OUT.fmz|FOLDER", help="The archive, or the store, to write.")
    ],
    request: Request,
    codec: Codec = None,
    plan: PlanFile = None,
    shard: options.ShardOf = None,
    shard_size: options.ShardSize = options.SHARD_MB,
    *,
    cluster: Cluster,
) -> None:
    """Store the 8-bit feature maps of MODEL on DATA.

    OUT.fmz gets what eval hands to codecs: the maps of the images that do not calibrate, without loss, for benches and
    test vectors. A FOLDER becomes a store, for training and analysis: it gets the maps of all images, with their names
    and classes, in archives of a bounded size; what it has already stays, so that an interrupted capture goes on.
    """
    require_torch()
    if codec is not None and plan is not None:
        raise InvalidInput("give --codec or --plan, not both")
    on_ray = cluster.asked(shard=shard)
    if output.suffix.lower() == ".fmz":
        if plan is not None or shard is not None or on_ray:
            raise InvalidInput(f"{output}: --plan, --shard and --ray are for stores: name a folder")
        _to_archive(request, output, codec or _DEFAULT)
        return
    if request.images is not None:
        raise InvalidInput("--images counts images that do not calibrate: a store gets all; --limit takes the first")
    if output.exists() and not output.is_dir():
        raise InvalidInput(f"{output} is a file; archives are named .fmz, and a store is a folder")
    keeping = Keeping(request, output, codec or _DEFAULT, plan, shard_size * options.MB)
    if on_ray:
        _on_ray(keeping, cluster)
    else:
        _to_store(keeping, options.shard_of(shard or "1/1"))


@dataclass(frozen=True)
class Keeping:
    """What a store gets; a job of workers on Ray, which write into it side by side."""

    request: Request
    folder: Path
    codec: str
    plan: Path | None
    shard_bytes: int

    def ready(self) -> Shard:
        """Load the network and the images; a shard's document is what it did."""
        import msgspec

        from fmapzip.eval.request import load

        inputs = load(self.request)
        return lambda part, file: file.write_bytes(msgspec.json.encode(self.keep(part, lambda *_: None, inputs)))

    def keep(self, part: tuple[int, int], progress: Progress, inputs: Inputs | None = None) -> Kept:
        """Keep one shard of the images."""
        from fmapzip.eval.codec_spec import parse_codec
        from fmapzip.eval.store import capture_store
        from fmapzip.plan import Plan

        chosen = parse_codec(self.codec) if self.plan is None else Plan.load(self.plan)
        return capture_store(self.request, self.folder, progress, chosen, self.shard_bytes, part, inputs)


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


def _to_store(keeping: Keeping, part: tuple[int, int]) -> None:
    from fmapzip.cli.progress import progress

    with progress() as advance:
        found = keeping.keep(part, advance)
    _say(keeping.folder, found.taps, found.images, found.new)


def _on_ray(keeping: Keeping, cluster: Cluster) -> None:
    import msgspec

    from fmapzip.eval.store import Kept

    with cluster.documents(keeping, keeping.request.processors) as files:
        found = [msgspec.json.decode(file.read_bytes(), type=Kept) for file in files]
        _say(keeping.folder, found[0].taps, sum(each.images for each in found), sum(each.new for each in found))


def _say(folder: Path, taps: int, images: int, new: int) -> None:
    say(f"{folder}: {counted(images, 'image')} of {counted(taps, 'tap')}, {new} of them new")
