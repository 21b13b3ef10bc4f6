"""The memories of ``context-rans`` that words of ``table`` fill, one of each kind for each lane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib.memory import Memory

from fmapzip.hardware.rans_lane import TABLE, TOKEN, TOKENS
from fmapzip.hardware.rans_tile import CONTEXT, PART_BITS, PART_PLACE, Target

CELLS = 128
"""Cells of means and spreads that there is room for."""


def value_memories(m: Module, lanes: int, bits: int, write: Any, load: Any) -> list[Any]:
    """Read ports of what stands for each byte: for a decoder of an index its value, for an encoder the reverse."""
    chosen = write & (load.target == Target.VALUES)
    return [_memory(m, f"values_{lane}", bits, 256, load.address, load.data, chosen) for lane in range(lanes)]


def table_memories(m: Module, lanes: int, tables: int, write: Any, load: Any) -> list[Any]:
    """Read ports of token tables, a whole table at a clock."""
    chosen = write & (load.target == Target.TOKENS)
    address, token = load.address[4:], load.data.replicate(TOKENS)
    enable = Cat(chosen & (load.address[:4] == each) for each in range(TOKENS))
    return [
        _memory(m, f"tables_{lane}", TABLE.size, tables, address, token, enable, TOKEN.size) for lane in range(lanes)
    ]


def cell_memories(m: Module, lanes: int, write: Any, load: Any, kind: Any = CONTEXT) -> list[Any]:
    """Read ports of the contexts of cells."""
    chosen = write & (load.target == Target.CONTEXTS)
    return [_memory(m, f"cells_{lane}", kind.size, CELLS, load.address, load.data, chosen) for lane in range(lanes)]


def channel_memories(m: Module, lanes: int, depth_of: Callable[[int], int], write: Any, load: Any) -> list[Any]:
    """Read ports of the contexts of a span's groups."""
    bits, chosen = (lanes - 1).bit_length(), write & (load.target == Target.CONTEXTS)
    address, own = load.address[bits:], load.address[:bits]
    return [
        _memory(m, f"contexts_{lane}", CONTEXT.size, depth_of(lane), address, load.data, chosen & (own == lane))
        for lane in range(lanes)
    ]


def own_memory(m: Module, lane: int, lanes: int, depth: int, part: int, write: Any, load: Any) -> Any:
    """The read port of what channels have of their own, for the groups of a span on a lane."""
    bits = (lanes - 1).bit_length()
    here = Cat(load.address[:bits], load.address[PART_PLACE:]) == (lane | part << bits)
    address, chosen = load.address[bits:PART_PLACE], write & (load.target == Target.CHANNELS) & here
    return _memory(m, f"channels_{part}_{lane}", PART_BITS[part], depth, address, load.data, chosen)


def _memory(
    m: Module, name: str, bits: int, depth: int, address: Any, word: Any, enable: Any, granularity: int | None = None
) -> Any:
    """The read port of a memory, which `enable` writes."""
    m.submodules[name] = memory = Memory(shape=bits, depth=depth, init=[])
    port = memory.write_port(granularity=granularity)
    m.d.comb += [port.addr.eq(address), port.data.eq(word), port.en.eq(enable)]
    return memory.read_port()
