"""What reads blocks of ``dct-cm`` out of a body: the ring, its readers, and the two halves of decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from fmapzip.hardware.dct_cm_classes import PLANES, Classes, word_bits
from fmapzip.hardware.dct_cm_codes import SMALL_BITS, Codes, last_bits
from fmapzip.hardware.ring import BitReader, Ring, connect_reader
from fmapzip.reference.bit_blocks import BLOCK


def read_blocks(m: Module, body: Any, classes: Classes, values: int, clear: Any) -> tuple[Ring, Codes]:
    """A ring for a stream of beats, and the second half behind the first; all but the ring are reset by `clear`."""
    bits, width = word_bits(values), 8 * values
    m.submodules.ring = ring = Ring(bits, 3)
    again = ResetInserter(clear)
    readers = [BitReader(bits, width), BitReader(bits, SMALL_BITS * values), BitReader(bits, last_bits(values))]
    for port, reader in enumerate(readers):
        m.submodules[f"reader_{port}"] = again(reader)
        connect_reader(m, ring, reader, port)
    codes = Codes(values)
    m.submodules.classes, m.submodules.codes = again(classes), again(codes)
    _planes(m, classes, codes, width)
    wiring.connect(m, body, ring.body)
    _connect(m, ring, classes, codes, readers)
    return ring, codes


def _connect(m: Module, ring: Ring, classes: Classes, codes: Codes, readers: Sequence[BitReader]) -> None:
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
