"""What software tells the blocks of ``context-rans``: a tile's size, and what stands in their memories."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data

from fmapzip.hardware.rans_lane import FLAG_BITS

TABLE_NUMBER_BITS = 6
TABLES = 1 << TABLE_NUMBER_BITS
"""Token tables that the format has at most."""
CONTEXT = data.StructLayout({"table": TABLE_NUMBER_BITS, "zero": FLAG_BITS})
"""Where a value's context leads: the number of its token table, and of 4096 the frequency of its zero flag."""
CLASS = data.StructLayout({"table": TABLE_NUMBER_BITS, "zero_class": 6})
"""The same of a cell, where a channel's bias moves the class of the frequency."""

TILE = data.StructLayout(
    {
        "rows": 16,
        "spans": 16,
        "groups": 12,
        "rest": 7,
        "final_groups": 12,
        "final_rest": 7,
        "lanes": 3,
        "load": 1,
    }
)
"""Rows, and spans in each; groups of a span, one value for each lane, and the values of its last one, and so for the
last span of a row; the logarithm of the tile's lanes; whether words of `table` come before it."""


class Target:
    """The memory that a word of `table` is for."""

    VALUES = 0
    TOKENS = 1
    CONTEXTS = 2
    LEVELS = 3
    OFFSETS = 4
    REGISTERS = 5
    CHANNELS = 6


class Register:
    """Addresses of registers: the weights of means, then of spreads, and the companded value of index 0."""

    WEIGHTS = 0
    NOTHING = 8


class Part:
    """What a channel has of its own, as the highest bits of an address: its weights, two a word, and its biases."""

    WEIGHTS = 0
    SPREAD_BIAS = 2
    ZERO_BIAS = 3


PART_BITS = (16, 16, 16, 7)
PART_PLACE = 14
"""The bit of an address where the part begins."""

LOAD = data.StructLayout({"data": 19, "address": 16, "target": 3, "last": 1})
"""A word of `table`: what is written where, and whether the tile begins after it."""


def load_word(target: int, address: int, value: int) -> int:
    """A word of `table` that is not the last, as a number."""
    return value % (1 << 19) | address << 19 | target << 35


LAST_LOAD = 1 << 38
"""Set in the last word of `table`."""


def opening(m: Module, block: Any, tile: Any, write: Any, *fresh: Any) -> None:
    """States in which a tile's description comes, with `fresh` assignments, and words of `table`; then START."""
    with m.State("IDLE"):
        m.d.comb += block.tile.ready.eq(1)
        m.d.sync += [tile.eq(block.tile.payload), *fresh]
        with m.If(block.tile.valid):
            m.next = "START"
            with m.If(block.tile.payload.load):
                m.next = "LOAD"
    with m.State("LOAD"):
        m.d.comb += [block.table.ready.eq(1), write.eq(block.table.valid)]
        with m.If(block.table.valid & block.table.payload.last):
            m.next = "START"
