"""Zero classes of ``context-rans`` at level ``default`` that channels move by biases of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data

from fmapzip.hardware.rans_lane import FLAG_BITS
from fmapzip.hardware.rans_memories import own_memory
from fmapzip.hardware.rans_tile import CLASS, CONTEXT, Part
from fmapzip.reference.context_rans import ZERO_PROBABILITY

CLASSES = len(ZERO_PROBABILITY)


def moved_contexts(
    m: Module, depth: int, cells: Sequence[Any], group: Any, enable: Any, write: Any, load: Any
) -> list[Any]:
    """The contexts of cells, whose read ports have classes; of `group` the biases are read beside them."""
    found = []
    for lane, cell in enumerate(cells):
        port = own_memory(m, lane, len(cells), depth, Part.ZERO_BIAS, write, load)
        m.d.comb += [port.addr.eq(group), port.en.eq(enable)]
        told, context = data.View(CLASS, cell.data), Signal(CONTEXT, name=f"context_{lane}")
        zero = _zero(m, told.zero_class, port.data.as_signed())
        m.d.comb += [context.table.eq(told.table), context.zero.eq(zero)]
        found.append(context)
    return found


def _zero(m: Module, zero_class: Any, bias: Any) -> Any:
    """The frequency of zero of a class and a bias."""
    moved, limited, found = Signal(signed(8)), Signal(range(CLASSES)), Signal(FLAG_BITS)
    m.d.comb += moved.eq(zero_class + bias)
    m.d.comb += limited.eq(Mux(moved < 0, 0, Mux(moved >= CLASSES, CLASSES - 1, moved[:6])))
    with m.Switch(limited):
        for number, frequency in enumerate(ZERO_PROBABILITY):
            with m.Case(number):
                m.d.comb += found.eq(int(frequency))
    return found
