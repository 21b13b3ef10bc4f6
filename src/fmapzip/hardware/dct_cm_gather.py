"""The values of a position's channels, as the forward transform of ``dct-cm`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum
from fmapzip.hardware.streams import beats

RUN = data.StructLayout({"positions": 16, "channels": 6, "below": 8, "masked": 1, "fold": 2})
"""What software tells of a group of channels: positions, channels, how many values are negative, whether zeros are
masked, and the logarithm of how much shorter than the block's its transform is."""
VALUE_BITS, MEAN_BITS = 9, 16


class Gather(wiring.Component):
    """Beats of a position's channels, as many as they fill, to all numbers of a transform.

    Zeros that are masked become the mean of the position's other values; channels behind the last repeat it, and a
    shorter transform's numbers are followed by the same backwards, which gives its coefficients and zeros between them.
    While `full`, of `part` the numbers stand at `numbers`, and at `masked` which channels are zero there; `next` lets
    another position come. `ended` says that the last beat of a position is taken; they come while `open`.

    Parameters
    ----------
    length : int
        Numbers of a transform.
    values : int
        Values of a beat, numbers of a part.
    """

    def __init__(self, length: int, values: int) -> None:
        self._length, self._values = length, values
        super().__init__(
            {
                "run": In(RUN),
                "open": In(1),
                "values": In(beats(values)),
                "part": In(range(max(2, length // values))),
                "next": In(1),
                "ended": Out(1),
                "full": Out(1),
                "numbers": Out(data.ArrayLayout(signed(VALUE_BITS), values)),
                "masked": Out(values),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, run, lanes = Module(), self.run, self._values
        coming = [Signal(signed(VALUE_BITS), name=f"coming_{i}") for i in range(self._length)]
        here = [Signal(signed(VALUE_BITS), name=f"here_{i}") for i in range(self._length)]
        left, at, complete = Signal(signed(8)), Signal(range(max(2, self._length // lanes))), Signal()
        final, accepted, moved = Signal(), Signal(), Signal()
        sums, count, mean = Signal(signed(14)), Signal(6), Signal(signed(VALUE_BITS))
        items = [self._value(m, i) for i in range(lanes)]
        m.d.comb += [
            left.eq(run.channels - (at << lanes.bit_length() - 1)),
            final.eq(left <= lanes),
            self.values.ready.eq(self.open & ~complete),
            accepted.eq(self.values.valid & self.values.ready),
            self.ended.eq(accepted & final),
            moved.eq(complete & (~self.full | self.next)),
        ]
        with m.If(self.next):
            m.d.sync += self.full.eq(0)
        with m.If(accepted):
            m.d.sync += [at.eq(Mux(final, 0, at + 1)), complete.eq(final)]
            m.d.sync += [sums.eq(sums + sum(items)), count.eq(count + sum(item.any() for item in items))]
            for i, number in enumerate(coming):
                with m.If(at == i // lanes):
                    m.d.sync += number.eq(items[i % lanes])
        with m.If(moved):
            m.d.sync += [complete.eq(0), self.full.eq(1), mean.eq(_mean(m, sums, count)), sums.eq(0), count.eq(0)]
            m.d.sync += [kept.eq(number) for kept, number in zip(here, coming, strict=True)]
        for i in range(lanes):
            self._number(m, here, mean, i)
        return m

    def _value(self, m: Module, i: int) -> Any:
        """An item of the beat as a number; 0 behind its count."""
        byte, found = self.values.payload.data[i], Signal(signed(VALUE_BITS), name=f"value_{i}")
        positive = Signal(9, name=f"moved_{i}")
        m.d.comb += [positive.eq((byte + self.run.below)[:8]), found.eq(positive - self.run.below)]
        present = i < self.values.payload.count
        kept = Signal(signed(VALUE_BITS), name=f"kept_{i}")
        m.d.comb += kept.eq(Mux(present, found, 0))
        return kept

    def _number(self, m: Module, here: Sequence[Any], mean: Any, lane: int) -> None:
        """The number of a lane in the part that is asked for."""
        bits = (self._length - 1).bit_length()
        place, folded = Signal(bits, name=f"place_{lane}"), Signal(bits, name=f"folded_{lane}")
        channel, value = Signal(6, name=f"channel_{lane}"), Signal(signed(VALUE_BITS), name=f"chosen_{lane}")
        run, shift = self.run, self._values.bit_length() - 1
        m.d.comb += [place.eq(self.part << shift | lane), folded.eq(place)]
        for fold in range(1, bits - 1):
            with m.If(run.fold == fold):
                m.d.comb += folded.eq(_mirrored(place, bits, fold))
        masked = run.masked & ~value.any()
        m.d.comb += [
            channel.eq(Mux(folded >= run.channels, run.channels - 1, folded)),
            value.eq(Array(here)[channel[:bits]]),
            self.numbers[lane].eq(Mux(masked, mean, value)),
            self.masked[lane].eq(masked & (place < run.channels)),
        ]


def _mirrored(place: Any, bits: int, fold: int) -> Any:
    """A place in a transform that is halved so many times, each half the other backwards."""
    for step in range(fold):
        top = bits - 1 - step
        place = place[:top] ^ place[top].replicate(top)
    return place


def _mean(m: Module, sums: Any, count: Any) -> Any:
    """The mean of so many numbers, rounded as the format does; 0 of none."""
    reciprocal = Signal(MEAN_BITS + 1)
    with m.Switch(count):
        for c in range(1, 33):
            with m.Case(c):
                m.d.comb += reciprocal.eq((65536 + c // 2) // c)
    found = Sum(m, 32)
    found.add_constant(32768)
    for j in range(MEAN_BITS + 1):
        row = Signal(signed(len(sums)))
        m.d.comb += row.eq(sums & reciprocal[j].replicate(len(sums)))
        found.add(row, j)
    return found.result()[MEAN_BITS : MEAN_BITS + VALUE_BITS]
