"""The memories of ``context-rans`` that words of ``table`` fill, one of each kind for each lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib.memory import Memory

from fmapzip.hardware.rans_lane import TABLE, TOKEN, TOKENS
from fmapzip.hardware.rans_tile import CONTEXT, Target

CELLS = 128
"""Cells of means and spreads that there is room for."""


def value_memories(m: Module, lanes: int, bits: int, write: Any, load: Any) -> list[Any]:
    """Read ports of what stands for each byte: for a decoder of an index its value, for an encoder the reverse."""
    found = []
    for lane in range(lanes):
        m.submodules[f"values_{lane}"] = memory = Memory(shape=bits, depth=256, init=[])
        port = memory.write_port()
        m.d.comb += [
            port.addr.eq(load.address),
            port.data.eq(load.data),
            port.en.eq(write & (load.target == Target.VALUES)),
        ]
        found.append(memory.read_port())
    return found


def table_memories(m: Module, lanes: int, tables: int, write: Any, load: Any) -> list[Any]:
    """Read ports of token tables, a whole table at a clock."""
    found = []
    for lane in range(lanes):
        m.submodules[f"tables_{lane}"] = memory = Memory(shape=TABLE.size, depth=tables, init=[])
        port = memory.write_port(granularity=TOKEN.size)
        chosen = write & (load.target == Target.TOKENS)
        m.d.comb += [
            port.addr.eq(load.address[4:]),
            port.data.eq(load.data.replicate(TOKENS)),
            port.en.eq(Cat(chosen & (load.address[:4] == token) for token in range(TOKENS))),
        ]
        found.append(memory.read_port())
    return found


def cell_memories(m: Module, lanes: int, write: Any, load: Any) -> list[Any]:
    """Read ports of the contexts of cells."""
    found = []
    for lane in range(lanes):
        m.submodules[f"cells_{lane}"] = memory = Memory(shape=CONTEXT.size, depth=CELLS, init=[])
        port = memory.write_port()
        m.d.comb += [
            port.addr.eq(load.address),
            port.data.eq(load.data),
            port.en.eq(write & (load.target == Target.CONTEXTS)),
        ]
        found.append(memory.read_port())
    return found


def channel_memories(m: Module, lanes: int, depth_of: Callable[[int], int], write: Any, load: Any) -> list[Any]:
    """Read ports of the contexts of a span's groups."""
    found, bits = [], (lanes - 1).bit_length()
    for lane in range(lanes):
        m.submodules[f"contexts_{lane}"] = memory = Memory(shape=CONTEXT.size, depth=depth_of(lane), init=[])
        port = memory.write_port()
        m.d.comb += [
            port.addr.eq(load.address[bits:]),
            port.data.eq(load.data),
            port.en.eq(write & (load.target == Target.CONTEXTS) & (load.address[:bits] == lane)),
        ]
        found.append(memory.read_port())
    return found
