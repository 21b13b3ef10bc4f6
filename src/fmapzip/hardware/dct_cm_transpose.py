"""The memory between blocks of codes, which hold one frequency, and transforms, which take one position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmapzip.hardware.dct_cm_codes import CODE_BITS
from fmapzip.hardware.streams import beats

SIZE = data.StructLayout({"rows": 7, "columns": 7})
"""Rows of a block that come in, and items of each."""
ITEM_BITS = CODE_BITS + 1
"""Of a code, and above it whether the channel of the same number is masked to zero."""


class Turner(wiring.Component):
    """A memory of two blocks of items: one is written row by row, while the one before leaves column by column.

    While `open`, items of `row` from `column` on are written, all of an item or the part whose bit of `write` is set;
    `close` hands the block of `size` over. Item c of row r stands in memory (r + c) modulo `values`, so that as many
    items of a row or of a column are written or read at once.

    Parameters
    ----------
    rows, columns : int
        At most, powers of two.
    values : int
        Items a cycle, a power of two up to both.
    parts : sequence of int
        Bits of each part of an item that is written by itself, the lowest first.
    """

    def __init__(self, rows: int, columns: int, values: int, parts: Sequence[int] = (ITEM_BITS,)) -> None:
        self._rows, self._columns, self._values, self._parts = rows, columns, values, tuple(parts)
        super().__init__(
            {
                "open": Out(1),
                "write": In(len(self._parts)),
                "row": In(7),
                "column": In(7),
                "items": In(data.ArrayLayout(ITEM_BITS, values)),
                "close": In(1),
                "size": In(SIZE),
                "turned": Out(beats(values, ITEM_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m = Module()
        writes, reads = zip(*(self._bank(m, number) for number in range(self._values)), strict=True)
        full = [Signal(name=f"full_{half}") for half in range(2)]
        sizes = [Signal(SIZE, name=f"size_{half}") for half in range(2)]
        self._write(m, writes, full, sizes)
        self._read(m, reads, full, sizes)
        return m

    def _bank(self, m: Module, number: int) -> tuple[list[Any], list[Any]]:
        """Ports of one of the memories, for each part of its items."""
        depth = 2 * self._rows * self._columns // self._values
        writes, reads = [], []
        for part, bits in enumerate(self._parts):
            m.submodules[f"bank_{number}_{part}"] = memory = Memory(shape=bits, depth=depth, init=[])
            writes.append(memory.write_port())
            reads.append(memory.read_port())
        return writes, reads

    def _place(self, half: Any, row: Any, column: Any) -> Any:
        """Where an item stands in its memory."""
        rows, columns, shift = (n.bit_length() - 1 for n in (self._rows, self._columns, self._values))
        return Cat(column[shift:columns], row[:rows], half)

    def _write(self, m: Module, banks: Sequence[list[Any]], full: list[Any], sizes: list[Any]) -> None:
        half, items = Signal(), Array(self.items[i] for i in range(self._values))
        m.d.comb += self.open.eq(~Array(full)[half])
        with m.If(self.close):
            m.d.sync += half.eq(~half)
            for number in range(2):
                with m.If(half == number):
                    m.d.sync += [full[number].eq(1), sizes[number].eq(self.size)]
        for number, bank in enumerate(banks):
            item, place = Signal(ITEM_BITS, name=f"item_{number}"), self._place(half, self.row, self.column)
            m.d.comb += item.eq(items[self._turned(number - self.row)])
            for part, port in enumerate(bank):
                first = sum(self._parts[:part])
                m.d.comb += [port.en.eq(self.write[part]), port.addr.eq(place)]
                m.d.comb += port.data.eq(item[first : first + self._parts[part]])

    def _read(self, m: Module, banks: Sequence[list[Any]], full: list[Any], sizes: list[Any]) -> None:
        values, out = self._values, self.turned
        half, row, column = Signal(), Signal(7), Signal(7)
        size, here, free, left, column_end, end = Signal(SIZE), Signal(), Signal(), Signal(8), Signal(), Signal()
        turn, count = Signal(range(max(values, 2))), Signal(range(values + 1))
        m.d.comb += [
            size.eq(Mux(half, sizes[1], sizes[0])),
            here.eq(Array(full)[half]),
            free.eq(~out.valid | out.ready),
            left.eq(size.rows - row),
            column_end.eq(left <= values),
            end.eq(column_end & (column + 1 == size.columns)),
        ]
        with m.If(free):
            m.d.sync += [out.valid.eq(here), out.payload.last.eq(end), turn.eq(self._turned(column))]
            m.d.sync += count.eq(Mux(column_end, left, values))
            with m.If(here):
                m.d.sync += [row.eq(Mux(column_end, 0, row + values)), column.eq(column + column_end)]
                with m.If(end):
                    m.d.sync += [column.eq(0), half.eq(~half)]
                    for number in range(2):
                        with m.If(half == number):
                            m.d.sync += full[number].eq(0)
        for number, bank in enumerate(banks):
            own_row = Signal(7, name=f"row_{number}")
            m.d.comb += own_row.eq(row + self._turned(number - column))
            for port in bank:
                m.d.comb += [port.en.eq(free), port.addr.eq(self._place(half, own_row, column))]
        found = Array(Cat(port.data for port in bank) for bank in banks)
        m.d.comb += out.payload.count.eq(count)
        for i in range(values):
            m.d.comb += out.payload.data[i].eq(Mux(i < count, found[self._turned(turn + i)], 0))

    def _turned(self, number: Any) -> Any:
        """A number modulo `values`."""
        return number[: self._values.bit_length() - 1] if self._values > 1 else Const(0, 1)


class Transpose(wiring.Component):
    """Blocks of codes row by row in, column by column out; a block leaves while the next comes.

    Beats end with each row and each column, and the last of a block has `last`.

    Parameters
    ----------
    rows, columns : int
        At most, powers of two.
    values : int
        Codes a cycle, a power of two up to both.
    """

    def __init__(self, rows: int, columns: int, values: int) -> None:
        self._values, self._memory = values, Turner(rows, columns, values)
        super().__init__(
            {
                "size": In(stream.Signature(SIZE)),
                "codes": In(beats(values, ITEM_BITS)),
                "turned": Out(beats(values, ITEM_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """The gates."""
        m, values, memory = Module(), self._values, self._memory
        m.submodules.memory = memory
        open_, size, row, column = Signal(), Signal(SIZE), Signal(7), Signal(7)
        taken, row_end, end = Signal(), Signal(), Signal()
        m.d.comb += [
            self.size.ready.eq(~open_ & memory.open),
            self.codes.ready.eq(open_),
            taken.eq(self.codes.valid & open_),
            row_end.eq(column + values >= size.columns),
            end.eq(row_end & (row + 1 == size.rows)),
            memory.write.eq(taken),
            memory.row.eq(row),
            memory.column.eq(column),
            memory.items.eq(self.codes.payload.data),
            memory.size.eq(size),
            memory.close.eq(taken & end),
        ]
        with m.If(self.size.valid & self.size.ready):
            m.d.sync += [size.eq(self.size.payload), open_.eq(1), row.eq(0), column.eq(0)]
        with m.If(taken):
            m.d.sync += [column.eq(Mux(row_end, 0, column + values)), row.eq(row + row_end)]
            with m.If(end):
                m.d.sync += open_.eq(0)
        wiring.connect(m, memory.turned, wiring.flipped(self.turned))
        return m
