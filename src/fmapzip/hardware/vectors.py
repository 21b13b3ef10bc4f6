"""Test vectors: a folder for each case, and beside them the block's Verilog and a test bench that plays them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from fmapzip.hardware.blocks import Block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.rans_trace import lane_steps, trace_table, trace_words
from fmapzip.hardware.testbench import COUNTS, stream_names, testbench, word_bits
from fmapzip.hardware.tiles import Tile
from fmapzip.hardware.verilog import verilog

CYCLES_PER_VALUE = 40
"""Of the budget in a case: more than streams that stall half of the time need."""
TRACE = 64
"""Steps of each lane of `context-rans` that a case tells."""
STALL, SEED = 64, 1
"""Back-pressure that a case proposes: streams stall in 64 of 256 cycles."""


def write_block(block: Block, values: int, folder: Path) -> Any:
    """Write a block's Verilog and test bench; gives its component."""
    component, module = block.component(values), block.module_name(values)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.v").write_text(verilog(component, module), "utf-8")
    (folder / f"{module}_tb.sv").write_text(testbench(component, module), "utf-8")
    return component


def write_case(component: Any, case: Case, folder: Path) -> dict[str, int]:
    """Write the words of a case; gives how many each stream has."""
    inputs, outputs = stream_names(component)
    words = {**case.inputs, **case.outputs}
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*inputs, *outputs):
        digits = -(-word_bits(component, name) // 4)
        (folder / f"{name}.hex").write_text("".join(f"{word:0{digits}x}\n" for word in words[name]), "ascii")
    counts = {name: len(words[name]) for name in (*inputs, *outputs)}
    (folder / COUNTS).write_text("".join(f"{count}\n" for count in counts.values()), "ascii")
    return counts


def write_vectors(
    block: Block, values: int, named: Iterable[tuple[str, Tile]], folder: Path, trace: int = TRACE
) -> list[Path]:
    """Write a block's Verilog, its test bench and a folder for each tile, by its name.

    Of `context-rans` a case has the states of each lane at its start and after each of the first `trace` steps.

    Raises
    ------
    InvalidInput
        The block does not take a tile; then nothing is written.
    """
    cases = [(name, tile, block.case(tile, values)) for name, tile in named]
    component = write_block(block, values, folder)
    written = []
    for name, tile, case in cases:
        target = folder / name
        counts = write_case(component, case, target)
        np.save(target / "values.npy", tile.values)
        np.save(target / "body.npy", np.frombuffer(tile.body, np.uint8))
        described = _described(block, values, tile, counts)
        if tile.codec == "context-rans":
            described["trace"] = _write_trace(tile, trace, target)
        (target / "case.json").write_text(json.dumps(described, indent=1) + "\n", "ascii")
        written.append(target)
    return written


def _write_trace(tile: Tile, count: int, folder: Path) -> dict[str, int]:
    """Write what the lanes do first, for eyes and for ``$readmemh``; gives how many lanes and steps."""
    lanes = lane_steps(tile, count)
    (folder / "states.csv").write_text(trace_table(lanes), "ascii")
    (folder / "states.hex").write_text(trace_words(lanes, count), "ascii")
    return {"lanes": len(lanes), "steps": count}


def _described(block: Block, values: int, tile: Tile, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "block": block.name,
        "module": block.module_name(values),
        "values_per_cycle": values,
        "codec": tile.codec,
        "parameters": tile.parameters.hex(),
        "shape": list(tile.values.shape),
        "negative_values": tile.below,
        "body_bytes": len(tile.body),
        "crc32": {"values": crc32(tile.values.tobytes()), "body": crc32(tile.body)},
        "words": counts,
        "budget": 1000 + CYCLES_PER_VALUE * tile.values.size,
        "stall": STALL,
        "seed": SEED,
    }
