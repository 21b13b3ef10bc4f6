"""The blocks' Verilog on tiles of real maps, against the software, in Verilator (Debian: `verilator`).

    fmapzip capture path/to/nets.py:squeezenet1_1 path/to/images --codec zvc --limit 2 -o squeezenet1_1.fmz
    python benchmarks/prove_blocks.py squeezenet1_1.fmz ... --tiles 200 --json benchmarks/results/hardware_proof.json

Of each archive (named by its network) tiles evenly spread over its maps go through every block: as fast as it takes
them, and with stalls after a reset. Archives may hold any codec: a block's codec codes the maps again. Decoders also
get bodies with a bit flipped or the end cut, and must give the reference's error. What goes wrong ends the run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from common import git_hash, measured_widths, rows_on_lines

import fmapzip
from fmapzip.errors import CorruptFrame, InvalidInput, TruncatedFrame
from fmapzip.hardware import BLOCKS, Block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.streams import Error
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.hardware.vectors import write_block, write_case
from fmapzip.reference.context_rans import CONTEXT_RANS
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.zvc import ZVC
from fmapzip.registry import make

REFERENCES = {"zvc": ZVC, "dct-cm": DCT_CM, "context-rans": CONTEXT_RANS}


def spread_tiles(archive: Path, block: Block, values: int, count: int) -> list[Tile]:
    """Tiles that a block takes, evenly spread over an archive's maps."""
    with fmapzip.open(archive) as opened:
        names = list(opened)
        chosen = names[:: max(1, len(names) // count)]
        found = []
        for name, sample in chosen:
            coded = fmapzip.encode(opened[name, sample], make(block.codec, **block.settings))
            with suppress(InvalidInput):  # rows that are too long for a block's lanes
                of_map = [piece for tile in tiles(coded) for piece in block.cut(tile, values)]
                found += of_map[len(of_map) // 2 : len(of_map) // 2 + 1]
    return found[:count]


def built(block: Block, values: int, folder: Path) -> tuple[Any, Path]:
    """A block's component, and its test bench as a program."""
    component, module = write_block(block, values, folder), block.module_name(values)
    command = [
        "verilator",
        "--binary",
        "--timing",
        "-O3",
        "-Wno-fatal",
        "-Wno-lint",
        "--top-module",
        "testbench",
        "-GDEPTH=2097152",
    ]
    command += ["-Mdir", str(folder / "obj"), "-o", "sim", str(folder / f"{module}.v"), str(folder / f"{module}_tb.sv")]
    subprocess.run(command, check=True, capture_output=True)
    return component, folder / "obj" / "sim"


def said(program: Path, case: Path, **options: int) -> str:
    """What the test bench prints."""
    plus = [f"+{name}={value}" for name, value in options.items()]
    done = subprocess.run([program, f"+case={case}", *plus], check=True, capture_output=True, text=True, timeout=600)
    return done.stdout.splitlines()[0]


def software_error(tile: Tile, body: bytes) -> int:
    """What the reference says of a body."""
    try:
        REFERENCES[tile.codec].decode(body, tile.values.shape, tile.below, tile.parameters)  # type: ignore[arg-type]
    except TruncatedFrame:
        return Error.TRUNCATED
    except CorruptFrame:
        return Error.CORRUPT
    return Error.NONE


def spoilt(body: bytes, rng: random.Random) -> bytes:
    """A bit flipped, or the end cut off."""
    if rng.random() < 0.5:
        return body[: rng.randrange(1, len(body))]
    changed = bytearray(body)
    changed[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def play(block: Block, values: int, found: list[Tile], component: Any, program: Path, faults: int) -> dict[str, Any]:
    """All runs of one archive's tiles; raises `SystemExit` where one does not pass."""
    rng, cycles, played = random.Random(0), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, tile in enumerate(found):
            write_case(component, block.case(tile, values), folder)
            budget = 1000 + 60 * tile.values.size
            fast = said(program, folder, budget=budget)
            slow = said(program, folder, budget=budget, stall=96, seed=number, reset=rng.randrange(20, 2000))
            if not (fast.startswith("PASS") and slow.startswith("PASS")):
                sys.exit(f"{block.name} at {values}, tile {number}: {fast}; {slow}")
            cycles += int(fast.split()[2])
            for _ in range(faults if "status" in component.signature.members else 0):
                body = spoilt(tile.body, rng)
                inputs = block.case(Tile(tile.codec, tile.values, tile.below, body, tile.parameters), values).inputs
                write_case(component, Case(inputs, {"values": [], "status": []}), folder)
                status = said(program, folder, budget=budget, any=1, stall=32, seed=number)
                if not _agrees(tile, status, software_error(tile, body)):
                    sys.exit(f"{block.name} at {values}, tile {number}: {status} of a spoilt body")
                played += 1
    total = sum(tile.values.size for tile in found)
    rate = round(total / cycles, 3) if cycles else None
    return {"tiles": len(found), "tile_values": total, "values_per_cycle": rate, "spoilt": played}


def _agrees(tile: Tile, status: str, error: int) -> bool:
    """Whether a status is the software's; where a bitmap of zvc is cut, a value may be missing before that is seen."""
    told = status.split()
    if tile.codec == "zvc" and error == Error.TRUNCATED:
        return told[0] == "STATUS" and told[1] != str(Error.NONE)
    return told[:2] == ["STATUS", str(error)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--only", default="*", help="blocks of these names")
    parser.add_argument("--tiles", type=int, default=200, help="of each archive")
    parser.add_argument("--values", type=int, nargs="*", help="values a cycle instead of those that are measured")
    parser.add_argument("--faults", type=int, default=2, help="spoilt bodies of each tile, for decoders")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    if shutil.which("verilator") is None:
        sys.exit("verilator is not installed")
    old = json.loads(arguments.json.read_text())["rows"] if arguments.json.exists() else []
    rows = {(r["block"], r["values"], r["network"]): r for r in old}
    for block in (each for each in BLOCKS if fnmatchcase(each.name, arguments.only)):
        for values in arguments.values or measured_widths(block):
            with tempfile.TemporaryDirectory() as folder:
                component, program = built(block, values, Path(folder))
                for archive in arguments.archives:
                    found = spread_tiles(archive, block, values, arguments.tiles)
                    if not found:
                        continue
                    row = play(block, values, found, component, program, arguments.faults)
                    key = (block.name, values, archive.stem)
                    rows[key] = dict(zip(("block", "values", "network"), key, strict=True)) | row
                    rows[key]["commit"] = git_hash()
                    print(rows[key], flush=True)
                    content = {"benchmark": "hardware_proof", "rows": list(rows.values())}
                    arguments.json.write_text(rows_on_lines(content))


if __name__ == "__main__":
    main()
