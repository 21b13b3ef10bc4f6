"""``fmapzip compact``: few large shards of many small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmapzip.cli import options
from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say


@app.command()
def compact(
    folder: Annotated[Path, typer.Argument(metavar="STORE", help="A folder that capture made.")],
    shard_size: options.ShardSize = options.SHARD_MB,
) -> None:
    """Join the small shards of a store.

    Samples and their order stay as they are. Nothing may write into the store meanwhile; readers are not disturbed.
    """
    from fmapzip.archive import compact as join

    before, after = join(folder, shard_size * options.MB)
    say(f"{folder}: {counted(after, 'shard')}, {before} before")
