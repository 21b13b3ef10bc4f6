"""What writes blocks of ``dct-cm`` into a body: the choice of a split, then the codes in its sections."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from fmapzip.hardware.dct_cm_choice import Choice
from fmapzip.hardware.dct_cm_sections import WORD, Assembler, Sorter
from fmapzip.hardware.packing import Packer
from fmapzip.reference.bit_blocks import BLOCK


def write_blocks(m: Module, body: Any, code_bits: int, rows: bool = False) -> tuple[Choice, Sorter, Any]:
    """Put the parts in front of a stream of beats; codes wait in a memory of two blocks.

    Codes go to the choice while there is room, which comes back beside it. The sorter must be told of the chosen block
    whether it is the tile's last, and with `rows` whether it is a row of a zero mask.
    """
    m.submodules.choice = choice = Choice(code_bits)
    m.submodules.sorter = sorter = Sorter(code_bits, rows)
    m.submodules.assembler = assembler = Assembler(code_bits, rows)
    m.submodules.packer = packer = Packer(WORD, 1)
    m.submodules.codes = memory = Memory(shape=code_bits, depth=2 * BLOCK, init=[])
    write, read = memory.write_port(), memory.read_port()
    written, taken, next_taken = Signal(8), Signal(8), Signal(8)
    m.d.comb += [
        choice.taken.eq(sorter.taken),
        write.addr.eq(written),
        write.data.eq(choice.code),
        write.en.eq(choice.count),
        next_taken.eq(taken + sorter.next),
        read.addr.eq(next_taken),
        sorter.code.eq(read.data),
        sorter.chosen.eq(choice.chosen),
        sorter.split.eq(choice.split),
        sorter.last_bits.eq(choice.last_bits),
        sorter.size.eq(choice.of_size),
        sorter.free.eq(assembler.free),
        assembler.sections.eq(sorter.sections),
        assembler.start.eq(sorter.done),
    ]
    m.d.sync += [taken.eq(next_taken), written.eq(written + choice.count)]
    wiring.connect(m, assembler.memories, sorter.memories)
    wiring.connect(m, assembler.output, packer.input)
    m.d.comb += [
        body.valid.eq(packer.output.valid),
        body.payload.data.eq(packer.output.payload.data),
        body.payload.count.eq((packer.output.payload.count + 7) >> 3),
        body.payload.last.eq(packer.output.payload.last),
        packer.output.ready.eq(body.ready),
    ]
    room = (written - taken)[:8] != 2 * BLOCK
    return choice, sorter, (~choice.end | choice.free) & room
