"""The blocks' Verilog on tiles of real maps, against the software, in Verilator (Debian: `verilator`).

    fmapzip capture path/to/nets.py:squeezenet1_1 path/to/images --codec zvc --limit 2 -o squeezenet1_1.fmz
    python benchmarks/prove_blocks.py squeezenet1_1.fmz ... --tiles 200 --json benchmarks/results/hardware_proof.json

The golden frames go through every block that takes them, and so do tiles drawn from the maps of each archive (named by
its network): as fast as the block takes them, and with stalls after a reset. A tile has some rows of a map,
as a chip would take it. Archives may hold any codec: a block's codec codes the maps again. Decoders also get bodies
with a bit flipped or the end cut, and must give the reference's error. What goes wrong ends the run, which goes on
where it was interrupted; what went through the same Verilog before is not played again. `--coverage 2` says which
lines and bits of the Verilog a few tiles reach.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from common import git_hash, measured_widths, rows_on_lines
from numpy.typing import NDArray
from verilator_runs import Program

import fmapzip
from fmapzip.errors import InvalidInput
from fmapzip.frame import parse_only
from fmapzip.hardware import BLOCKS, Block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.hardware.vectors import write_case
from fmapzip.registry import make

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "hardware"))

from faults import agrees, software_error

PIECES = 8
"""Of a band that is cut to what a block takes, so many at most."""
GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
Key = tuple[str, int, str]  # block, values a cycle, network
Rows = dict[Key, dict[str, Any]]
PASSED = re.compile(r"PASS in (\d+) cycles: first out (\d+) after first in, last out (\d+) after last in")


def band_values(block: Block, values: int) -> int:
    """Values of a tile as a chip would take it: for `context-rans` enough of them for all lanes."""
    return 4096 * max(2, values) if block.codec == "context-rans" else 4096


def bands(shape: tuple[int, ...], size: int) -> list[slice]:
    """The rows of a map in bands of at most so many values, or of one row; a map without rows is one band."""
    if len(shape) != 3:
        return [slice(None)]
    rows = max(1, size * shape[1] // prod(shape))
    return [slice(first, first + rows) for first in range(0, shape[1], rows)]


def cut(q: NDArray[Any], rows: slice) -> NDArray[Any]:
    """A band of a map."""
    return np.ascontiguousarray(q[:, rows]) if q.ndim == 3 else q


def golden_tiles(block: Block, values: int) -> list[Tile]:
    """The tiles of golden frames that a block takes."""
    found = []
    for path in sorted(GOLDEN.glob(f"{block.codec}-*.fmap")):
        for tile in tiles(path.read_bytes()):
            with suppress(InvalidInput):  # of another path, level or number of lanes
                block.case(tile, values)
                found.append(tile)
    return found


def drawn_tiles(archive: Path, block: Block, values: int, count: int) -> list[Tile]:
    """At most so many tiles that a block takes, of some rows each, drawn from all maps of an archive."""
    with fmapzip.open(archive) as opened:
        size = band_values(block, values)
        places = [(name, rows) for name in opened for rows in bands(parse_only(opened.frame(*name)).shape, size)]
        random.Random(0).shuffle(places)
        found: list[Tile] = []
        for skipped in range(PIECES):  # the first of each band; where these are too few, the second, and so on
            for name, rows in places:
                found += taken(cut(opened[name], rows), block, values, skipped)
                if len(found) >= count:
                    return found[:count]
    return found


def taken(part: NDArray[Any], block: Block, values: int, skipped: int) -> list[Tile]:
    """Of each tile of a band the piece behind so many, where the block takes it."""
    found = []
    for tile in tiles(fmapzip.encode(part, make(block.codec, **block.settings))):
        with suppress(InvalidInput):  # rows or spans that are too long for a block's lanes
            for piece in islice(block.cut(tile, values), skipped, skipped + 1):
                block.case(piece, values)
                found.append(piece)
    return found


def spoilt(body: bytes, rng: random.Random) -> bytes:
    """A bit flipped, or the end cut off."""
    if rng.random() < 0.5:
        return body[: rng.randrange(1, len(body))]
    changed = bytearray(body)
    changed[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def play(block: Block, values: int, found: list[Tile], program: Program, faults: float) -> dict[str, Any]:
    """All runs of one archive's tiles; raises `SystemExit` where one does not pass."""
    rng, cycles, played = random.Random(0), 0, 0
    latencies: list[tuple[int, int]] = []
    component = program.component
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, tile in enumerate(found):
            write_case(component, block.case(tile, values), folder)
            budget = 20000 + 60 * tile.values.size
            fast = program.said(folder, budget=budget)
            stalls = {"stall": rng.choice((16, 96, 200)), "seed": number}
            slow = program.said(folder, budget=budget, reset=rng.randrange(20, 2000), **stalls)
            passed = PASSED.match(fast)
            if passed is None or not slow.startswith("PASS"):
                sys.exit(f"{block.name} at {values}, tile {number}: {fast}; {slow}")
            cycles += int(passed[1])
            latencies.append((int(passed[2]), int(passed[3])))
            spoils = int(faults * (number + 1)) - int(faults * number)
            for _ in range(spoils if "status" in component.signature.members else 0):
                body = spoilt(tile.body, rng)
                inputs = block.case(Tile(tile.codec, tile.values, tile.below, body, tile.parameters), values).inputs
                write_case(component, Case(inputs, {"values": [], "status": []}), folder)
                status = program.said(folder, budget=budget, any=1, stall=32, seed=number)
                if not agrees(tile, status, software_error(tile, body)):
                    sys.exit(f"{block.name} at {values}, tile {number}: {status} of a spoilt body")
                played += 1
    total = sum(tile.values.size for tile in found)
    first, last = zip(*latencies, strict=True)
    return {
        "tiles": len(found),
        "tile_values": total,
        "values_per_cycle": round(total / cycles, 3),
        "spoilt": played,
        "first_out": [min(first), max(first)],
        "last_out": [min(last), max(last)],
    }


def covered(block: Block, values: int, archives: list[Path], arguments: argparse.Namespace) -> dict[str, Any]:
    """Which lines and bits of a block's Verilog a few tiles of each archive, and spoilt ones, reach."""
    with tempfile.TemporaryDirectory() as folder:
        program, count = Program(block, values, Path(folder), coverage=True), 0
        for archive in archives:
            found = drawn_tiles(archive, block, values, arguments.coverage)
            count += play(block, values, found, program, max(2, arguments.faults))["tiles"]
        lines, bits = program.reached(("line", "branch")), program.reached(("toggle",))
    activity = round(program.activity, 4)
    return {
        "tiles": count,
        "activity": activity,
        "lines": lines[0],
        "of_lines": lines[1],
        "bits": bits[0],
        "of_bits": bits[1],
    }


def proven(
    block: Block, values: int, rows: Rows, arguments: argparse.Namespace
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """What each archive's tiles come to; those that went through the same Verilog before are left out."""
    with tempfile.TemporaryDirectory() as folder:
        program = Program(block, values, Path(folder))
        for archive in (None, *arguments.archives):
            key = (block.name, values, "golden frames" if archive is None else archive.stem)
            asked = {"verilog_crc32": program.checksum, "asked": arguments.tiles}
            known = rows.get(key, {})
            if asked.items() <= known.items() and (archive or "first_out" in known):
                continue
            found = (
                golden_tiles(block, values) if archive is None else drawn_tiles(archive, block, values, arguments.tiles)
            )
            if found:
                faults = arguments.faults if archive else max(1, arguments.faults)
                yield key, play(block, values, found, program, faults) | asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--only", default="*", help="blocks of these names")
    parser.add_argument("--tiles", type=int, default=200, help="of each archive")
    parser.add_argument(
        "--coverage", type=int, metavar="N", help="instead count what so many tiles of each archive reach"
    )
    parser.add_argument("--values", type=int, nargs="*", help="values a cycle instead of those that are measured")
    parser.add_argument("--faults", type=float, default=2, help="spoilt bodies for each tile, of decoders")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    if shutil.which("verilator") is None:
        sys.exit("verilator is not installed")
    old = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    rows: Rows = {(r["block"], r["values"], r["network"]): r for r in old.get("rows", [])}
    coverage = {(r["block"], r["values"]): r for r in old.get("coverage", [])}
    order = {block.name: place for place, block in enumerate(BLOCKS)}

    def in_order(kept: dict[Any, dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(kept.values(), key=lambda row: (order[row["block"]], row["values"]))

    def keep(kept: dict[Any, dict[str, Any]], key: tuple[Any, ...], row: dict[str, Any]) -> None:
        kept[key] = dict(zip(("block", "values", "network"), key, strict=False)) | row | {"commit": git_hash()}
        print(kept[key], flush=True)
        content = {"benchmark": "hardware_proof", "rows": in_order(rows), "coverage": in_order(coverage)}
        arguments.json.write_text(rows_on_lines(content))

    for block in (each for each in BLOCKS if fnmatchcase(each.name, arguments.only)):
        for values in arguments.values or measured_widths(block):
            if arguments.coverage:
                keep(coverage, (block.name, values), covered(block, values, arguments.archives, arguments))
                continue
            for key, row in proven(block, values, rows, arguments):
                keep(rows, key, row)


if __name__ == "__main__":
    main()
