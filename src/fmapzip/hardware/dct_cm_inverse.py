"""The transform path of ``dct-cm`` behind its blocks: codes of coefficients to values (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum, total
from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.dct_graph import MAX_COEFFICIENT, inverse_graph
from fmapzip.hardware.dct_unit import Transform, add_digit, step_memory
from fmapzip.hardware.streams import beats

STEP_BITS, COEFFICIENT_BITS, POSITION_BITS = 13, 17, 16
RUN = data.StructLayout({"positions": POSITION_BITS, "channels": 6, "below": 8, "lifted": 1})
"""What software tells of a group of channels: positions, channels that are not padding, how many values are negative,
and whether a value that is not masked is at least 1."""


class InverseTransform(wiring.Component):
    """Codes of coefficients to values, a group of channels after the other.

    For each group come its `run` and a step for each frequency, 0 if it is not kept; then for each position a code for
    each frequency, beside it whether the channel of the same number is masked to zero. Of each position the group's
    channels go out.

    Parameters
    ----------
    length : int
        Of the transform: 4, 8, 16 or 32.
    values : int
        Codes and values a cycle, a power of two up to `length`.
    """

    def __init__(self, length: int, values: int) -> None:
        self._length, self._values = length, values
        self._interval = length // values
        super().__init__(
            {
                "run": In(stream.Signature(RUN)),
                "steps": In(stream.Signature(STEP_BITS)),
                "codes": In(beats(values, CODE_BITS + 1)),
                "values": Out(beats(values)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, run = Module(), Signal(RUN)
        m.submodules.transform = transform = Transform(inverse_graph(self._length), self._values)
        loading, loaded, enable = Signal(), Signal(range(self._length)), Signal()
        phase, took, final, line = (
            Signal(range(max(self._interval, 2))),
            Signal(),
            Signal(),
            Signal(transform.delay + 1),
        )
        m.d.comb += self.run.ready.eq(~loading & (run.positions == 0) & ~line.any() & (phase == 0))
        m.d.comb += self.steps.ready.eq(loading)
        with m.If(self.run.valid & self.run.ready):
            m.d.sync += [run.eq(self.run.payload), loading.eq(1)]
        with m.If(self.steps.valid & loading):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == self._length - 1):
                m.d.sync += loading.eq(0)
        self._take(m, loading, run, enable, phase, took)
        m.d.comb += [final.eq(run.positions == 1), transform.enable.eq(enable)]
        with m.If(enable):
            m.d.sync += [line.eq(Cat(took, line)), transform.phase.eq(phase)]
        steps = self._steps(m, loading, loaded, phase)
        masked = self._coefficients(m, transform, steps, run, phase, enable)
        self._emit(
            m, transform, run, line[-1], masked, self._delayed(m, final, transform.delay + 1, enable, "final"), enable
        )
        return m

    def _take(self, m: Module, loading: Any, run: Any, enable: Any, phase: Any, took: Any) -> None:
        """Groups come in at phase 0, or a whole one is left out."""
        inside, due = Signal(), Signal()
        m.d.comb += [
            due.eq(Mux(phase == 0, self.codes.valid & run.positions.any() & ~loading, inside)),
            enable.eq((~self.values.valid | self.values.ready) & (~due | self.codes.valid)),
            took.eq(due & enable),
            self.codes.ready.eq(took),
        ]
        with m.If(enable):
            m.d.sync += inside.eq(due)
            if self._interval > 1:
                m.d.sync += phase.eq(phase + 1)
            with m.If(due & (phase == self._interval - 1)):
                m.d.sync += run.positions.eq(run.positions - 1)

    def _steps(self, m: Module, loading: Any, loaded: Any, phase: Any) -> list[Any]:
        """The step of each lane, in a phase."""
        lanes, taken = self._values, Signal()
        m.d.comb += taken.eq(loading & self.steps.valid)
        if self._interval == 1:
            chain = [Signal(STEP_BITS, name=f"step_{i}") for i in range(lanes)]
            with m.If(taken):
                m.d.sync += [
                    here.eq(behind) for here, behind in zip(chain, [*chain[1:], self.steps.payload], strict=True)
                ]
            return chain
        return step_memory(m, STEP_BITS, lanes, self._interval, self.steps, taken, loaded, phase)

    def _coefficients(
        self, m: Module, transform: Transform, steps: list[Any], run: Any, phase: Any, enable: Any
    ) -> list[Any]:
        """Codes to what the transform reads a cycle later; gives the lanes' masks, as old as its outputs."""
        late = []
        for i, step in enumerate(steps):
            payload = self.codes.payload.data[i]
            coefficient = Signal(signed(COEFFICIENT_BITS + (i == 0)), name=f"coefficient_{i}")
            found = dequantised(m, payload[:CODE_BITS], step)
            if i == 0:
                found = found + Mux(phase == 0, (run.below << 7) + 64, 0)
            with m.If(enable):
                m.d.sync += coefficient.eq(found)
            m.d.comb += getattr(transform, f"input_{i}").eq(coefficient)
            late.append(self._delayed(m, payload[CODE_BITS], transform.delay + 1, enable, f"mask_{i}"))
        return late

    def _delayed(self, m: Module, bit: Any, cycles: int, enable: Any, name: str) -> Any:
        line = Signal(cycles, name=name)
        with m.If(enable):
            m.d.sync += line.eq(Cat(bit, line))
        return line[-1]

    def _emit(
        self, m: Module, transform: Transform, run: Any, there: Any, masked: list[Any], final: Any, enable: Any
    ) -> None:
        """Outputs of the transform to beats of values: rounded, clamped, masked."""
        out, lanes = self.values, self._values
        part = Signal(range(max(self._interval, 2)))
        left, end = Signal(signed(8)), Signal()
        m.d.comb += [left.eq(run.channels - (part << lanes.bit_length() - 1)), end.eq(left <= lanes)]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(enable & there):
            m.d.sync += [out.valid.eq(left > 0), out.payload.count.eq(Mux(end, left, lanes))]
            m.d.sync += out.payload.last.eq(end & final)
            if self._interval > 1:
                m.d.sync += part.eq(part + 1)
            for i in range(lanes):
                value = restored(m, getattr(transform, f"output_{i}"), run.below, run.lifted)
                m.d.sync += out.payload.data[i].eq(Mux(masked[i] | (i >= left), 0, value))


def dequantised(m: Module, code: Any, step: Any) -> Any:
    """The coefficient of a code, clamped: a product by digits of the step to the base 4, from -2 to 2."""
    positive = code[0]
    magnitude = total(m, [(1, code[1:]), (1, positive)], CODE_BITS - 1)
    digits = Cat(Const(0, 1), step, Const(0, 1))
    product = Sum(m, COEFFICIENT_BITS + 1)
    for digit in range((STEP_BITS + 1) // 2):
        below, low, high = digits[2 * digit], digits[2 * digit + 1], digits[2 * digit + 2]
        once, twice = low ^ below, (high & ~low & ~below) | (~high & low & below)
        add_digit(product, m, Cat(magnitude, Const(0, 1)), once, twice, high ^ ~positive, 2 * digit)
    exact = product.result().as_signed()
    far = [magnitude[i:].any() & step[16 - i :].any() for i in range(17 - STEP_BITS, CODE_BITS - 1)]
    top, beyond = exact[13:17] ^ exact[17].replicate(4), Signal()
    m.d.comb += beyond.eq(Cat(far).any() | top[3] | (top[2] & (top[1] | top[0])))  # 40960 is 5 times 2^13
    return Mux(beyond, Mux(positive, MAX_COEFFICIENT, -MAX_COEFFICIENT), exact)


def restored(m: Module, number: Any, below: Any, lifted: Any) -> Any:
    """A value, modulo 256, from 128 times it and what was added to all."""
    found, low = Signal(8), number[-1] | ~number[7:-1].any()
    m.d.comb += found.eq(Mux(low, lifted, Mux(number[15:-1].any(), 255, number[7:15])))
    return total(m, [(1, found), (-1, below)], 8)
