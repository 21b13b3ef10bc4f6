"""The first half of decoding a body of the transform path of ``dct-cm``: rows of zero masks are blocks too."""

from __future__ import annotations

from typing import Any, ClassVar

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_classes import Classes, Registers
from fmapzip.hardware.dct_cm_rows import ROW
from fmapzip.hardware.streams import Error
from fmapzip.reference.bit_blocks import MASK_MIXED, MASK_NO_ZEROS


class RowClasses(Classes):
    """The same for rows, one `row` after another while `active`; `advance` says that one is handed over.

    A row of a zero mask is a block with a zero bitmap and nothing else, behind a header of 2 bits; without bits where
    these say that all or none of its positions are zero.
    """

    _source: ClassVar[dict[str, Any]] = {"row": In(ROW), "active": In(1), "advance": Out(1)}

    def __init__(self, values: int) -> None:
        super().__init__(values)
        self._told, self._ones = Signal(), Signal()

    def _begin(self, m: Module, r: Registers) -> None:
        pass

    def _header(self, m: Module, r: Registers) -> None:
        row, mode = self.row, self.bits[:2]
        with m.If(self.active & ~row.mask):
            self._take_header(m, r, row.size, row.final)
            m.d.sync += self._told.eq(0)
        with m.Elif(self.active):
            m.d.comb += self.want.eq(2)
            m.d.sync += [r.codes.zero_bitmap.eq(1), r.codes.small_bits.eq(0), r.codes.selectors.eq(0)]
            m.d.sync += [r.codes.last_bits.eq(0), r.codes.size.eq(row.size), r.codes.final.eq(0)]
            m.d.sync += [r.stage.eq(0), r.first.eq(1), r.left.eq(row.size), r.not_zero.eq(row.size), r.after.eq(0)]
            m.d.sync += [self._told.eq(mode != MASK_MIXED), self._ones.eq(mode == MASK_NO_ZEROS)]
            with m.If(r.truncated):
                self._fail(m, Error.TRUNCATED)
            with m.Elif(self.ok):
                m.d.comb += self.take.eq(1)
                m.next = "STAGE"
                with m.If(mode == 3):
                    self._fail(m, Error.CORRUPT)

    def _answers(self, m: Module, r: Registers, current: Any) -> tuple[list[Any], Any]:
        fresh, total = super()._answers(m, r, current)
        told = Signal(self._slice)
        m.d.comb += told.eq(Mux(self._told, current & self._ones.replicate(self._slice), Cat(fresh)))
        return list(told), Mux(self._told, 0, total)

    def _advance(self, m: Module, r: Registers) -> None:
        m.d.comb += self.advance.eq(1)
