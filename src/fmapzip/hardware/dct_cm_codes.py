"""The second half of decoding blocks of ``dct-cm``: codes of known classes, in order of position."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import CODES, PLANES
from fmapzip.hardware.network import moves, ranks, spread
from fmapzip.hardware.ring import PLACE, choose
from fmapzip.hardware.streams import beat
from fmapzip.reference.bit_blocks import BLOCK, MAX_CODE_BITS, SPLITS

SMALL_BITS = max(a for _, a, _ in SPLITS)
CODE_BITS = MAX_CODE_BITS + 1
"""Bits of a code: the largest threshold and a last class of the largest width."""
FAST_BITS = 8
"""Widths of the last class up to which one cycle reads all its codes; wider ones, which no encoder takes, need two."""


def last_bits(values: int) -> int:
    """Bits of the last class that are looked at in a cycle."""
    return MAX_CODE_BITS if values == 1 else FAST_BITS * values


class Codes(wiring.Component):
    """Reads the codes of a block, `values` a cycle, from the places of its small codes and of its last class.

    `codes` is taken where `load`; `idle` says that another may come. Beats of `output` hold codes and end with blocks.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        ports: dict[str, Any] = {
            "codes": In(CODES),
            "load": In(1),
            "idle": Out(1),
            "active": Out(1),
            "address": Out(range(2 * BLOCK // (8 * values))),
            "planes": In(PLANES * 8 * values),
            "freed": Out(PLACE),
            "output": Out(stream.Signature(beat(values, CODE_BITS))),
        }
        for name, bits in (("small", SMALL_BITS * values), ("last", last_bits(values))):
            ports |= {f"{name}_bits": In(bits), f"{name}_ok": In(1), f"{name}_want": Out(range(bits + 1))}
        super().__init__({**ports, "take": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count, out = Module(), self._values, self.output
        codes, at = Signal(CODES), Signal(range(BLOCK))
        buffer, second, ready, done = Signal(), Signal(), Signal(), Signal()
        slow = codes.last_bits > FAST_BITS if count > 1 else Const(0)
        lane_bits = count.bit_length() - 1
        here = [i < codes.size for i in range(count)]
        if count > 1:
            here = [bit & (~slow | (second == (i >= count // 2))) for i, bit in enumerate(here)]
        planes = self._planes(m, at[lane_bits : lane_bits + 3])
        not_zero = [bit & (planes[0][i] | ~codes.zero_bitmap) for i, bit in enumerate(here)]
        deepest = choose(m, {i: plane for i, plane in enumerate(planes) if i}, codes.selectors, count)
        last = [bit & Mux(codes.selectors == 0, 1, deepest[i]) for i, bit in enumerate(not_zero)]
        small = [bit & ~other for bit, other in zip(not_zero, last, strict=True)]
        found_small = self._spread(m, "small", small, codes.small_bits, SMALL_BITS)
        found_last = self._spread(m, "last", last, codes.last_bits, MAX_CODE_BITS)
        m.d.comb += [
            self.idle.eq(~self.active | (ready & done)),
            ready.eq(self.active & self.small_ok & self.last_ok & (~out.valid | out.ready)),
            self.take.eq(ready),
            done.eq((codes.size <= count) & (second | ~slow)),
            self.address.eq(Cat(at[lane_bits + 3 :], buffer)),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(ready):
            for i in range(count):
                code = Signal(CODE_BITS, name=f"code_{i}")
                steps = sum((plane[i] & (level < codes.selectors) for level, plane in enumerate(planes[1:])), start=0)
                threshold = (codes.zero_bitmap & planes[0][i]) + (steps << codes.small_bits)
                m.d.comb += code.eq(threshold + (found_small[i] | found_last[i]))
                with m.If(here[i] | ~second):
                    m.d.sync += out.payload.data[i].eq(Mux(not_zero[i], code, 0))
            with m.If(second | ~slow):
                m.d.sync += [out.valid.eq(1), out.payload.count.eq(Mux(codes.size < count, codes.size, count))]
                m.d.sync += [out.payload.last.eq(codes.final & done), codes.size.eq(codes.size - count)]
                m.d.sync += at.eq(at + count)
            m.d.sync += second.eq(slow & ~second)
            with m.If(done):
                m.d.sync += [self.active.eq(0), self.freed.eq(codes.end), buffer.eq(~buffer)]
        with m.If(self.load):
            m.d.sync += [codes.eq(self.codes), self.active.eq(1), at.eq(0)]
        return m

    def _planes(self, m: Module, part: Any) -> list[Any]:
        """The planes' bits of the positions of this cycle."""
        width, count = 8 * self._values, self._values
        found = []
        for plane in range(PLANES):
            bits = Signal(count, name=f"plane_{plane}")
            m.d.comb += bits.eq(self.planes[plane * width : (plane + 1) * width].word_select(part, count))
            found.append(bits)
        return found

    def _spread(self, m: Module, name: str, present: list[Any], width: Any, most: int) -> list[Any]:
        """The next codes of a section at the positions that are present."""
        bits = getattr(self, f"{name}_bits")
        packed = []
        for i in range(self._values):
            fields = {k: bits[k * i : k * (i + 1)] for k in range(1, most + 1) if k * (i + 1) <= len(bits)}
            packed.append(choose(m, fields, width, most))
        _, total = ranks(m, present)
        m.d.comb += getattr(self, f"{name}_want").eq(total * width)
        return spread(m, packed, present, moves(m, present))
