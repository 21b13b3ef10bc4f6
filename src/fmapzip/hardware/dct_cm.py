"""The decoder of the mask path of ``dct-cm`` with bitmap coding (docs/format/dct-cm.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import PLANES, TILE, Classes, word_bits
from fmapzip.hardware.dct_cm_codes import SMALL_BITS, Codes, last_bits
from fmapzip.hardware.dct_cm_values import Values
from fmapzip.hardware.ring import BitReader, Ring, connect_reader
from fmapzip.hardware.streams import PLACE_BITS, STATUS, Error, beats
from fmapzip.reference.bit_blocks import BLOCK


class MaskDecoder(wiring.Component):
    """A body of the mask path to values; whatever comes in, each tile ends in one last beat and one status.

    Parameters
    ----------
    values : int
        Values a cycle: 1, 2, 4 or 8.
    points : bool
        Whether the values of ranks stand in a table, which `table` loads.
    """

    def __init__(self, values: int, points: bool = False) -> None:
        self._values, self._points = values, points
        super().__init__(
            {
                "tile": In(stream.Signature(TILE)),
                **({"table": In(stream.Signature(8))} if points else {}),
                "body": In(beats(word_bits(values) // 8)),
                "values": Out(beats(values)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        clear, error, place, tile = Signal(), Signal(2), Signal(PLACE_BITS), Signal(TILE)
        ring, classes, codes = self._parts(m, clear)
        out = Values(self._values, self._points)
        m.submodules.values = ResetInserter(clear)(out)
        wiring.connect(m, codes.output, out.codes)
        wiring.connect(m, out.output, wiring.flipped(self.values))
        m.d.comb += [ring.clear.eq(clear), classes.tile.eq(tile), out.tile.eq(tile)]
        settled = ~codes.active & out.idle
        with m.If(codes.take & codes.idle):
            m.d.sync += place.eq(place + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.tile.ready.eq(1)
                m.d.sync += [tile.eq(self.tile.payload), error.eq(Error.NONE), place.eq(0)]
                with m.If(self.tile.valid):
                    m.next = "START"
                    if self._points:
                        with m.If(self.tile.payload.load):
                            m.next = "LOAD"
            if self._points:
                with m.State("LOAD"):
                    self._load(m, out, tile)
            with m.State("START"):
                m.d.comb += classes.start.eq(1)
                m.next = "DECODE"
            with m.State("DECODE"):
                with m.If(out.bad):
                    m.d.sync += error.eq(Error.CORRUPT)
                    m.next = "CLOSE"
                with m.Elif(settled & (classes.error != Error.NONE)):
                    m.d.sync += error.eq(classes.error)
                    m.next = "CLOSE"
                with m.Elif(settled & classes.finished):
                    m.next = "STATUS"
            with m.State("CLOSE"):
                m.d.comb += out.close.eq(~out.closed & ~out.waiting)
                with m.If(out.closed):
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += ring.skip.eq(1)
                with m.If(ring.ended):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [self.status.valid.eq(~self.values.valid), clear.eq(self.status.valid & self.status.ready)]
                m.d.comb += self.status.payload.error.eq(error)
                m.d.comb += self.status.payload.place.eq(Mux(error == Error.NONE, 0, place))
                with m.If(clear):
                    m.next = "IDLE"
        return m

    def _load(self, m: Module, values: Values, tile: Any) -> None:
        """Fill the table with the values of the tile's ranks."""
        loaded = Signal(8)
        m.d.comb += [self.table.ready.eq(1), values.write.eq(self.table.valid)]
        m.d.comb += [values.address.eq(loaded), values.entry.eq(self.table.payload)]
        with m.If(self.table.valid):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded + 1 == tile.points):
                m.d.sync += loaded.eq(0)
                m.next = "START"

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
