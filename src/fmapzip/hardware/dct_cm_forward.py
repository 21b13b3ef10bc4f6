"""The transform path of ``dct-cm`` before its blocks: values to codes of coefficients (docs/format/dct-cm.md)."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.arithmetic import Sum
from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.dct_cm_gather import RUN, Gather
from fmapzip.hardware.dct_graph import forward_graph
from fmapzip.hardware.dct_unit import Transform, step_memory
from fmapzip.hardware.streams import beats

STEP = data.StructLayout({"reciprocal": 16, "shift": 4, "half": 12})
"""A quantizer: 2^(16 + shift) / step rounded up, without its highest bit; the smallest shift by which 1 reaches the
step; half of the step rounded down. All 0 for a frequency that is not kept."""
NUMERATOR_BITS = 16


class ForwardTransform(wiring.Component):
    """Values to codes of coefficients, a group of channels after the other.

    For each group come its `run` and a quantizer for each frequency; then for each position its channels. Of each
    position the codes of all frequencies go out, beside each whether the channel of the same number is masked to zero.

    Parameters
    ----------
    length : int
        Of the transform: 4, 8, 16 or 32.
    values : int
        Values and codes a cycle, a power of two up to `length`.
    """

    def __init__(self, length: int, values: int) -> None:
        self._length, self._values = length, values
        self._interval = length // values
        super().__init__(
            {
                "run": In(stream.Signature(RUN)),
                "steps": In(stream.Signature(STEP)),
                "values": In(beats(values)),
                "codes": Out(beats(values, CODE_BITS + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, run = Module(), Signal(RUN)
        m.submodules.transform = transform = Transform(forward_graph(self._length), self._values)
        m.submodules.gather = gather = Gather(self._length, self._values)
        loading, loaded, to_come = Signal(), Signal(range(self._length)), Signal.like(run.positions)
        m.d.comb += [
            self.run.ready.eq(~loading & ~run.positions.any()),
            self.steps.ready.eq(loading),
            gather.run.eq(run),
            gather.open.eq(~loading & to_come.any()),
        ]
        wiring.connect(m, wiring.flipped(self.values), gather.values)
        with m.If(self.run.valid & self.run.ready):
            m.d.sync += [run.eq(self.run.payload), to_come.eq(self.run.payload.positions), loading.eq(1)]
        with m.Elif(gather.ended):
            m.d.sync += to_come.eq(to_come - 1)
        with m.If(self.steps.valid & loading):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == self._length - 1):
                m.d.sync += loading.eq(0)
        enable, there, masked = self._feed(m, transform, gather)
        part = Signal(range(max(self._interval, 2)))
        self._emit(m, transform, run, self._steps(m, loading, loaded, part), enable & there, masked, part)
        return m

    def _feed(self, m: Module, transform: Transform, gather: Gather) -> tuple[Any, Any, list[Any]]:
        """A position's numbers go into the transform, in phase; gives enable, and what comes out: whether, masks."""
        phase, inside, due, took = Signal(range(max(self._interval, 2))), Signal(), Signal(), Signal()
        enable, line = Signal(), Signal(transform.delay + 1)
        scale = 7 - (self._length.bit_length() - 1)
        m.d.comb += [
            due.eq(Mux(phase == 0, gather.full, inside)),
            enable.eq(~self.codes.valid | self.codes.ready),
            took.eq(due & enable),
            gather.part.eq(phase if self._interval > 1 else 0),
            gather.next.eq(took & (phase == self._interval - 1)),
            transform.enable.eq(enable),
        ]
        with m.If(enable):
            m.d.sync += [inside.eq(due), line.eq(Cat(took, line)), transform.phase.eq(phase)]
            if self._interval > 1:
                m.d.sync += phase.eq(phase + 1)
        masked = []
        for i in range(self._values):
            port = getattr(transform, f"input_{i}")
            number, late = Signal(port.shape(), name=f"number_{i}"), Signal(transform.delay + 1, name=f"masked_{i}")
            with m.If(enable):
                m.d.sync += [number.eq(Cat(Const(0, scale), gather.numbers[i]).as_signed())]
                m.d.sync += late.eq(Cat(gather.masked[i], late))
            m.d.comb += port.eq(number)
            masked.append(late[-1])
        return enable, line[-1], masked

    def _steps(self, m: Module, loading: Any, loaded: Any, part: Any) -> list[Any]:
        """The quantizer of each lane, in a part."""
        taken = Signal()
        m.d.comb += taken.eq(loading & self.steps.valid)
        words = step_memory(m, STEP.size, self._values, self._interval, self.steps, taken, loaded, part)
        return [data.View(STEP, word) for word in words]

    def _emit(
        self, m: Module, transform: Transform, run: Any, steps: list[Any], there: Any, masked: list[Any], part: Any
    ) -> None:
        """Outputs of the transform to codes."""
        out, final = self.codes, Signal()
        m.d.comb += final.eq(part == self._interval - 1 if self._interval > 1 else 1)
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(there):
            m.d.sync += [out.valid.eq(1), out.payload.count.eq(self._values)]
            m.d.sync += out.payload.last.eq(final & (run.positions == 1))
            if self._interval > 1:
                m.d.sync += part.eq(part + 1)
            with m.If(final):
                m.d.sync += run.positions.eq(run.positions - 1)
            for i, step in enumerate(steps):
                code = quantised(m, getattr(transform, f"output_{i}"), step)
                m.d.sync += out.payload.data[i].eq(Cat(code, masked[i]))


def quantised(m: Module, coefficient: Any, step: Any) -> Any:
    """The code of a coefficient: its magnitude and half a step, times the step's reciprocal."""
    negative, magnitude, numerator = coefficient[-1], Signal(NUMERATOR_BITS), Signal(NUMERATOR_BITS)
    m.d.comb += [
        magnitude.eq(Mux(negative, -coefficient, coefficient)),
        numerator.eq(magnitude + step.half),
    ]
    product = Sum(m, 2 * NUMERATOR_BITS + 1)
    for i in range(NUMERATOR_BITS):
        product.add_bit(numerator[i], NUMERATOR_BITS + i)
        for j in range(NUMERATOR_BITS):
            product.add_bit(numerator[i] & step.reciprocal[j], i + j)
    quotient, code = Signal(CODE_BITS - 1), Signal(CODE_BITS)
    m.d.comb += [
        quotient.eq(Mux(step.shift.any(), product.result()[NUMERATOR_BITS:] >> step.shift, 0)),
        code.eq(Cat(Const(0, 1), quotient) - (quotient.any() & ~negative)),
    ]
    return code
