"""``zvc`` of docs/format/zvc.md: bitmap and bytes as two streams, which lie one behind the other in a body."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.network import close_up, masked, moves, ranks, spread
from fmapzip.hardware.packing import Packer, Window
from fmapzip.hardware.streams import SIZE_BITS, STATUS, Error, beats


def bitmap_bytes(values: int) -> int:
    """Bytes in a beat of the bitmap, for so many values a cycle."""
    return max(1, values // 8)


class ZvcEncoder(wiring.Component):
    """Values to their bitmap and those that are not zero.

    Parameters
    ----------
    values : int
        Values a cycle: 1, 2, 4, 8, 16 or 32.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        super().__init__(
            {"values": In(beats(values)), "bitmap": Out(beats(bitmap_bytes(values))), "nonzero": Out(beats(values))}
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, count = Module(), self._values
        m.submodules.packer = packer = Packer(count)
        taken, free = Signal(), Signal()
        payload = self.values.payload
        items = self._known(m)
        present = Signal(count)
        m.d.comb += present.eq(Cat(item.any() for item in items))
        _, total = ranks(m, list(present))
        closed = close_up(m, items, moves(m, list(present)))
        m.d.comb += [
            free.eq(~self.bitmap.valid | self.bitmap.ready),
            self.values.ready.eq(free & packer.input.ready),
            taken.eq(self.values.valid & self.values.ready),
            packer.input.valid.eq(self.values.valid & free),
            packer.input.payload.data.eq(Cat(closed)),
            packer.input.payload.count.eq(total),
            packer.input.payload.last.eq(payload.last),
        ]
        wiring.connect(m, packer.output, wiring.flipped(self.nonzero))
        with m.If(self.bitmap.ready):
            m.d.sync += self.bitmap.valid.eq(0)
        with m.If(taken):
            self._write(m, present)
        return m

    def _known(self, m: Module) -> list[Any]:
        payload, count = self.values.payload, self._values
        known = Signal(8 * count)
        m.d.comb += known.eq(masked(m, [payload.data[i] for i in range(count)], payload.count))
        return [known.word_select(i, 8) for i in range(count)]

    def _write(self, m: Module, present: Any) -> None:
        """The bits of one cycle: a beat, or its part from `phase` on."""
        payload, out, count = self.values.payload, self.bitmap, self._values
        if count >= 8:
            m.d.sync += [out.payload.data.eq(present), out.payload.count.eq((payload.count + 7) >> 3)]
            m.d.sync += [out.payload.last.eq(payload.last), out.valid.eq(1)]
            return
        phase, gathered, bits = Signal(range(8 // count)), Signal(8), Signal(8)
        m.d.comb += bits.eq(gathered | present << phase * count)
        end = payload.last | (phase == 8 // count - 1)
        m.d.sync += [gathered.eq(Mux(end, 0, bits)), phase.eq(Mux(end, 0, phase + 1)), out.valid.eq(end)]
        m.d.sync += [out.payload.data.eq(bits), out.payload.count.eq(1), out.payload.last.eq(payload.last)]


class ZvcDecoder(wiring.Component):
    """A bitmap and bytes to values; whatever comes in, each tile ends in one last beat and one status.

    Parameters
    ----------
    values : int
        Values a cycle: 1, 2, 4, 8, 16 or 32.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        super().__init__(
            {
                "size": In(stream.Signature(SIZE_BITS)),
                "bitmap": In(beats(bitmap_bytes(values))),
                "nonzero": In(beats(values)),
                "values": Out(beats(values)),
                "status": Out(stream.Signature(STATUS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        m.submodules.window = window = Window(self._values)
        wiring.connect(m, wiring.flipped(self.nonzero), window.input)
        remaining, place = Signal(SIZE_BITS), Signal(SIZE_BITS)
        bitmap_ended, error = Signal(), Signal(2)
        free = Signal()
        m.d.comb += free.eq(~self.values.valid | self.values.ready)
        with m.If(self.values.ready):
            m.d.sync += self.values.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.size.ready.eq(1)
                m.d.sync += [remaining.eq(self.size.payload), place.eq(0), bitmap_ended.eq(0), error.eq(Error.NONE)]
                with m.If(self.size.valid):
                    m.next = "DECODE"
            with m.State("DECODE"):
                self._decode(m, window, remaining, place, bitmap_ended, error, free)
            with m.State("CHECK"):
                with m.If(window.level.any()):
                    m.d.sync += error.eq(Error.CORRUPT)
                    m.next = "DRAIN"
                with m.Elif(window.ended):
                    m.next = "STATUS"
            with m.State("ERROR"), m.If(free):
                m.d.sync += [self.values.payload.eq(0), self.values.payload.last.eq(1), self.values.valid.eq(1)]
                m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += [window.skip.eq(1), self.bitmap.ready.eq(~bitmap_ended)]
                with m.If(self.bitmap.valid & self.bitmap.ready):
                    m.d.sync += bitmap_ended.eq(self.bitmap.payload.last)
                with m.If(bitmap_ended & window.ended):
                    m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [
                    self.status.valid.eq(1),
                    self.status.payload.error.eq(error),
                    self.status.payload.place.eq(Mux(error == Error.NONE, 0, place)),
                    window.clear.eq(self.status.ready),
                ]
                with m.If(self.status.ready):
                    m.next = "IDLE"
        return m

    def _decode(
        self, m: Module, window: Window, remaining: Any, place: Any, bitmap_ended: Any, error: Any, free: Any
    ) -> None:
        """One cycle's values, where their bits and bytes are there."""
        count, bitmap, out = self._values, self.bitmap, self.values
        bits = 8 * bitmap_bytes(count)
        phases = bits // count
        phase = Signal(range(max(phases, 2)))
        current = Signal(bits)
        m.d.comb += current.eq(Cat(bitmap.payload.data) >> phase * count)
        wanted = [Signal(name=f"wanted_{i}") for i in range(bits)]
        m.d.comb += [wanted[i].eq(i < remaining) for i in range(bits)]
        present = [current[i] & wanted[i] for i in range(count)]
        _, total = ranks(m, present)
        window_items = [window.items.word_select(i, 8) for i in range(count)]
        found = spread(m, window_items, present, moves(m, present))
        final, spare, covered, excess = Signal(), Signal(), Signal(), Signal()
        known = bitmap.payload.count << 3
        m.d.comb += [
            final.eq(remaining <= count),
            spare.eq(final & Cat(current[i] & ~wanted[i] for i in range(bits)).any()),
            covered.eq(remaining <= bits),
            excess.eq((phase == 0) & (known >= remaining + 8)),
        ]
        short = (phase == 0) & bitmap.payload.last & (known < remaining)
        lengthy = excess | (covered & ~bitmap.payload.last)
        enough = window.level >= total
        beat_ends = final | (phase == phases - 1)
        with m.If(bitmap.valid):
            with m.If(short):
                m.d.sync += [error.eq(Error.TRUNCATED), phase.eq(0)]
                m.next = "ERROR"
            with m.Elif(spare | ((phase == 0) & lengthy) | (~enough & window.ended)):
                m.d.sync += [error.eq(Error.CORRUPT), phase.eq(0)]
                m.next = "ERROR"
            with m.Elif(enough & free):
                m.d.comb += [window.take.eq(total), bitmap.ready.eq(beat_ends)]
                m.d.sync += [
                    phase.eq(Mux(beat_ends, 0, phase + 1)),
                    bitmap_ended.eq(bitmap.payload.last & beat_ends),
                    remaining.eq(remaining - count),
                    place.eq(place + count),
                    out.payload.data.eq(Cat(found)),
                    out.payload.count.eq(Mux(final, remaining, count)),
                    out.payload.last.eq(final),
                    out.valid.eq(1),
                ]
                with m.If(final):
                    m.next = "CHECK"
