"""``fmapzip verify``: whether archives and stores are sound, to the last byte."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say
from fmapzip.cli.exits import Exit, tell
from fmapzip.cli.options import MaxValues, limits_of

if TYPE_CHECKING:
    from fmapzip.frame import Limits

TOLD = 10
"""How many things that are wrong with one archive are told."""


@app.command()
def verify(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FILE.fmz|STORE...", help="Archives, and folders that are stores.")
    ],
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Codec threads.")] = 1,
    max_values: MaxValues = None,
) -> None:
    """Check every byte of archives and stores.

    Walks the records, holds the index against them, and decodes every frame. Ends with 4 if something is wrong.
    """
    limits = limits_of(max_values)
    sound = [(_sound_store if source.is_dir() else _sound)(source, threads, limits) for source in sources]
    if not all(sound):
        raise typer.Exit(Exit.CORRUPT)


def _sound(source: Path, threads: int, limits: Limits) -> bool:
    from fmapzip.archive import Archive
    from fmapzip.errors import CorruptArchive, UnsupportedVersion

    try:
        with Archive(source, limits) as archive:
            problems = list(islice(archive.verify(threads), TOLD + 1))
            found = f"{counted(len(archive), 'frame')} of {counted(len(archive.names), 'map')}"
    except (CorruptArchive, UnsupportedVersion) as error:
        problems, found = [str(error)], ""
    return _told(source, problems, found)


def _sound_store(folder: Path, threads: int, limits: Limits) -> bool:
    from fmapzip.archive import verify_store
    from fmapzip.archive.store_index import read_index

    problems = list(islice(verify_store(folder, limits, threads), TOLD + 1))
    index = read_index(folder)
    shards = () if index is None else index.shards
    samples = counted(sum(shard.samples for shard in shards), "sample")
    return _told(folder, problems, f"{samples} in {counted(len(shards), 'shard')}")


def _told(source: Path, problems: list[str], found: str) -> bool:
    for problem in problems[:TOLD]:
        tell(f"{source}: {problem}")
    if len(problems) > TOLD:
        tell(f"{source}: and more")
    if not problems:
        say(f"{source}: sound, {found}")
    return not problems
