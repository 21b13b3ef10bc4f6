"""The mask path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md), where every value is a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import PLANES, TILE, Classes, word_bits
from fmapzip.hardware.dct_cm_codes import CODE_BITS, SMALL_BITS, Codes, last_bits
from fmapzip.hardware.ring import BitReader, Ring, connect_reader
from fmapzip.hardware.streams import PLACE_BITS, STATUS, Error, beats
from fmapzip.reference.bit_blocks import BLOCK


class MaskDecoder(wiring.Component):
    """A body of the mask path to values; whatever comes in, each tile ends in one last beat and one status.

    Parameters
    ----------
    values : int
        Values a cycle: 1, 2, 4 or 8.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                "body": In(beats(word_bits(values) // 8)),
                "values": Out(beats(values)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        clear, error, closed, place = Signal(), Signal(2), Signal(), Signal(PLACE_BITS)
        tile = Signal(TILE)
        ring, classes, codes = self._parts(m, clear)
        m.d.comb += [ring.clear.eq(clear), classes.tile.eq(tile)]
        free, bad = Signal(), Signal()
        m.d.comb += free.eq(~self.values.valid | self.values.ready)
        self._values_of_codes(m, codes, tile, free, bad, closed)
        settled = ~codes.active & ~codes.output.valid
        with m.If(codes.take & codes.idle):
            m.d.sync += place.eq(place + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tile.ready.eq(1)
                m.d.sync += [tile.eq(self.tile.payload), error.eq(Error.NONE), closed.eq(0), place.eq(0)]
                with m.If(self.tile.valid):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += classes.start.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"):
                with m.If(bad):
                    m.d.sync += error.eq(Error.CORRUPT)
                    m.next = "CLOSE"
                with m.Elif(settled & (classes.error != Error.NONE)):
                    m.d.sync += error.eq(classes.error)
                    m.next = "CLOSE"
                with m.Elif(settled & classes.finished):
                    m.next = "STATUS"
            with m.State("CLOSE"):
                with m.If(closed | free):
                    m.next = "DRAIN"
                with m.If(~closed & free):
                    m.d.sync += [self.values.payload.eq(0), self.values.payload.last.eq(1), self.values.valid.eq(1)]
            with m.State("DRAIN"):
                m.d.comb += ring.skip.eq(1)
                with m.If(ring.ended):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.status.valid.eq(1), clear.eq(self.status.ready)]
                m.d.comb += self.status.payload.error.eq(error)
                m.d.comb += self.status.payload.place.eq(Mux(error == Error.NONE, 0, place))
                with m.If(self.status.ready):
                    m.next = "IDLE"
        return m

    def _parts(self, m: Module, clear: Any) -> tuple[Ring, Classes, Codes]:
        """Ring, readers and halves, all but the ring reset by `clear`."""
        count = self._values
        bits, width = word_bits(count), 8 * count
        m.submodules.ring = ring = Ring(bits, 3)
        again = ResetInserter(clear)
        readers = [BitReader(bits, width), BitReader(bits, SMALL_BITS * count), BitReader(bits, last_bits(count))]
        for port, reader in enumerate(readers):
            m.submodules[f"reader_{port}"] = again(reader)
            connect_reader(m, ring, reader, port)
        classes, codes = Classes(count), Codes(count)
        m.submodules.classes, m.submodules.codes = again(classes), again(codes)
        _planes(m, classes, codes, width)
        wiring.connect(m, wiring.flipped(self.body), ring.body)
        self._connect(m, ring, classes, codes, readers)
        return ring, classes, codes

    def _connect(self, m: Module, ring: Ring, classes: Classes, codes: Codes, readers: Sequence[BitReader]) -> None:
        """Readers of the ring to the halves, and these to each other."""
        at_header, small, last = readers
        m.d.comb += [
            ring.freed.eq(codes.freed),
            classes.bits.eq(at_header.bits),
            classes.ok.eq(at_header.ok),
            classes.place.eq(at_header.place),
            at_header.want.eq(classes.want),
            at_header.take.eq(classes.take),
            at_header.jump.eq(classes.jump),
            at_header.target.eq(classes.target),
            classes.written.eq(ring.written),
            classes.ended.eq(ring.ended),
            classes.limit.eq(ring.limit),
            classes.free.eq(codes.idle),
            codes.codes.eq(classes.codes),
            codes.load.eq(classes.hand_over),
        ]
        for name, reader, target in (("small", small, classes.codes.small), ("last", last, classes.codes.last)):
            m.d.comb += [
                getattr(codes, f"{name}_bits").eq(reader.bits),
                getattr(codes, f"{name}_ok").eq(reader.ok),
                reader.want.eq(getattr(codes, f"{name}_want")),
                reader.take.eq(codes.take),
                reader.jump.eq(classes.hand_over),
                reader.target.eq(target),
            ]

    def _values_of_codes(self, m: Module, codes: Codes, tile: Any, free: Any, bad: Any, closed: Any) -> None:
        """Codes are ranks by ascending magnitude, the positive one of two first."""
        found = codes.output
        wrong, items = [], []
        for i in range(self._values):
            code, value = Signal(CODE_BITS, name=f"rank_{i}"), Signal(8, name=f"value_{i}")
            m.d.comb += code.eq(found.payload.data[i])
            wrong.append(code >= tile.points)
            far, one_sided = Signal(8, name=f"far_{i}"), Signal(name=f"one_sided_{i}")
            m.d.comb += [far.eq(code - tile.both), one_sided.eq(code > tile.both << 1)]
            near = code[1:8] + code[0]
            magnitude = Mux(one_sided, far, near)
            m.d.comb += value.eq(Mux(Mux(one_sided, tile.negative, ~code[0]), -magnitude, magnitude))
            items.append(value)
        m.d.comb += [bad.eq(found.valid & Cat(wrong).any()), found.ready.eq(free & ~bad)]
        with m.If(self.values.ready):
            m.d.sync += self.values.valid.eq(0)
        with m.If(found.valid & found.ready):
            m.d.sync += [self.values.payload.data.eq(Cat(items)), self.values.payload.count.eq(found.payload.count)]
            m.d.sync += [self.values.payload.last.eq(found.payload.last), self.values.valid.eq(1)]
            with m.If(found.payload.last):
                m.d.sync += closed.eq(1)


def _planes(m: Module, classes: Classes, codes: Codes, width: int) -> None:
    """The memory between the two halves: of two blocks, a bit for each plane and position."""
    m.submodules.planes = memory = Memory(shape=PLANES * width, depth=2 * BLOCK // width, init=[])
    write = memory.write_port(granularity=width)
    own, other = memory.read_port(domain="comb"), memory.read_port(domain="comb")
    m.d.comb += [
        write.addr.eq(classes.address),
        write.en.eq(classes.write),
        write.data.eq(classes.write_data.replicate(PLANES)),
        own.addr.eq(classes.address),
        classes.read_data.eq(own.data),
        other.addr.eq(codes.address),
        codes.planes.eq(other.data),
    ]
