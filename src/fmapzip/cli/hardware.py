"""``fmapzip rtl`` and ``vectors``: blocks as Verilog, and cases that prove them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmapzip.cli.app import app
from fmapzip.cli.console import counted, say

if TYPE_CHECKING:
    from fmapzip.hardware.blocks import Block
    from fmapzip.hardware.tiles import Tile

Name = Annotated[str, typer.Argument(metavar="BLOCK", help="A block, or a codec for its encoder and its decoder.")]
Values = Annotated[int, typer.Option("--values", min=1, metavar="N", help="Values a cycle.")]
Tables = Annotated[
    int | None, typer.Option(min=1, max=64, metavar="K", help="Of context-rans: token tables with room (64).")
]
Groups = Annotated[
    int | None,
    typer.Option(min=64, metavar="G", help="Of encoders of context-rans: groups of a tile, one value a lane (2048)."),
]
Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the files go.")]


@app.command()
def rtl(name: Name, output: Folder, values: Values = 8, tables: Tables = None, groups: Groups = None) -> None:
    """Write encoders and decoders of tiles as Verilog, each with a test bench.

    docs/HARDWARE.md describes the blocks and their ports.
    """
    from fmapzip.hardware.vectors import write_block

    for each in _named(name, values, tables, groups):
        write_block(each, values, output)
        say(f"{output / each.module_name(values)}.v")


@app.command()
def vectors(
    name: Name,
    archive: Annotated[
        Path, typer.Argument(metavar="FILE.fmz|FOLDER", help="An archive of frames, or a store of archives.")
    ],
    output: Folder,
    values: Values = 8,
    maps: Annotated[str, typer.Option("--name", metavar="GLOB", help="Only the maps of these names.")] = "*",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many tiles.")] = 10,
    trace: Annotated[
        int, typer.Option(min=0, metavar="N", help="Steps of each lane of context-rans whose states are told.")
    ] = 64,
    tables: Tables = None,
    groups: Groups = None,
) -> None:
    """Write an archive's tiles as test vectors for blocks, beside their Verilog and a test bench.

    Each tile is a folder of words for $readmemh, arrays (.npy) and a case.json. Tiles that are stored raw are left out.
    A network's tiles with the tables of a plan are those of a store: capture MODEL DATA --plan PLAN -o FOLDER.
    """
    from fmapzip.errors import InvalidInput
    from fmapzip.hardware.vectors import write_vectors

    refused: list[InvalidInput] = []
    blocks = _named(name, values, tables, groups)
    for each in blocks:
        chosen = list(islice(_cut(each, values, _tiles(archive, maps, each.codec)), limit))
        if not chosen:
            raise InvalidInput(f"{archive} has no tile of {each.codec} that is coded")
        try:
            written = write_vectors(each, values, chosen, output / each.module_name(values), trace)
        except InvalidInput as error:
            refused.append(error)
            say(f"{each.name}: {error}")
        else:
            say(f"{output / each.module_name(values)}: {counted(len(written), 'case')}")
    if len(refused) == len(blocks):
        raise refused[0]


def _named(name: str, values: int, tables: int | None, groups: int | None) -> list[Block]:
    """The blocks of a name, with the options that are given."""
    from fmapzip.errors import InvalidInput
    from fmapzip.hardware.blocks import named

    found = named(name, values)
    given = {key: number for key, number in (("tables", tables), ("groups", groups)) if number is not None}
    for option in given:
        if not any(option in each.options for each in found):
            raise InvalidInput(f"{name} has no option --{option}")
    return [each.with_options(given) for each in found]


def _cut(block: Block, values: int, named: Iterable[tuple[str, Tile]]) -> Iterator[tuple[str, Tile]]:
    """Tiles as a block takes them."""
    for name, tile in named:
        pieces = list(block.cut(tile, values))
        for number, piece in enumerate(pieces):
            yield (f"{name}_part{number}" if len(pieces) > 1 else name), piece


def _tiles(path: Path, pattern: str, codec: str) -> Iterator[tuple[str, Tile]]:
    """The tiles of a codec in an archive or a store, with the names of their folders."""
    for file in sorted(path.glob("*.fmz")) if path.is_dir() else [path]:
        for name, tile in _of_archive(file, pattern, codec):
            yield f"{file.stem}_{name}" if path.is_dir() else name, tile


def _of_archive(path: Path, pattern: str, codec: str) -> Iterator[tuple[str, Tile]]:
    from fnmatch import fnmatchcase

    from fmapzip.archive import Archive
    from fmapzip.hardware.tiles import tiles

    with Archive(path) as archive:
        for map_number, map_name in enumerate(archive.names):
            for sample in archive.samples(map_name) if fnmatchcase(map_name, pattern) else ():
                for number, tile in enumerate(tiles(archive.frame(map_name, sample), archive.plan)):
                    if tile.codec == codec:
                        yield f"map{map_number}_sample{sample}_tile{number}", tile
