"""The worked examples of the format's pages: golden frames taken apart field by field by the reference's readers.

python tests/format_examples.py     # writes them between the markers of the pages
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from fmapzip.reference.bit_blocks import SPLITS
from fmapzip.reference.bit_blocks import Reader as BlockReader
from fmapzip.reference.context_parameters import TOKENS, _Bits, read
from fmapzip.reference.context_rans import ZERO_PROBABILITY, Contexts, Tokens, lanes_of
from fmapzip.reference.fields import Reader
from fmapzip.reference.rans import LaneDecoder

ROOT = Path(__file__).parent.parent
FEATURES = ROOT / "tests" / "golden" / "features"
PAGES = {
    "frame": "docs/FORMAT.md",
    "dct-cm": "docs/format/dct-cm.md",
    "context-rans": "docs/format/context-rans.md",
}
SHOWN_FLAGS = 3


class Table:
    """Rows of a frame's bytes, each from where the row before ended."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.lines = ["| offset | bytes | field | value |", "|---:|---|---|---|"]

    def row(self, end: int, field: str, value: str) -> None:
        """One row, up to `end`."""
        part = self.data[self.at : end]
        self.lines.append(f"| {self.at} | `{part.hex(' ').upper()}` | {field} | {value} |")
        self.at = end


def example(name: str) -> str:
    """The Markdown of one example."""
    data = (FEATURES / f"example-{name}.fmap").read_bytes()
    table, reader = Table(data), Reader(data)
    shape, parameters, bodies = _header(table, reader)
    below: list[str] = []
    if name == "frame":
        count = int(np.prod(shape))
        table.row(table.at + (count + 7) // 8, "bitmap", "values " + _listed(_nonzero(data[table.at :], count)))
        table.row(table.at + bodies - (count + 7) // 8, "values", "those values in order")
    elif name == "dct-cm":
        below = _block_bits(data[table.at : table.at + bodies], int(np.prod(shape)))
        table.row(table.at + bodies, "body", "one block, below")
    else:
        below = _symbols(data[table.at : table.at + bodies], parameters, (shape[0], shape[1], shape[2]))
        p = read(parameters)
        states = table.at + 4 * lanes_of(p, (shape[0], shape[1], shape[2]))
        table.row(states, "states", f"of {(states - table.at) // 4} lane")
        table.row(reader.position - 4, "words", f"{(reader.position - 4 - states) // 2} of them")
    table.row(len(data), "checksum", "CRC-32C of all bytes before it")
    return "\n".join(["", *table.lines, *below, ""])


def _header(table: Table, reader: Reader) -> tuple[tuple[int, ...], bytes, int]:
    reader.take(4)
    table.row(reader.position, "magic", '"FMAP"')
    table.row(reader.position + 1, "version", str(reader.u8()))
    code = reader.u8()
    table.row(reader.position, "codec", f"number {code}")
    flags = reader.u8()
    meaning = [f"ndim = {flags >> 3 & 3}", "`int8`" if flags & 1 else "`uint8`", *["a scale"] * (flags >> 1 & 1)]
    table.row(reader.position, "flags", f"`{flags:08b}`: {', '.join(meaning)}")
    shape = tuple(reader.varint() for _ in range(flags >> 3 & 3))
    table.row(reader.position, "dimensions", f"C, H, W = {', '.join(map(str, shape))}")
    if flags & 2:
        scale = struct.unpack("<f", reader.take(4))[0]
        table.row(reader.position, "scale", str(scale))
    size = reader.varint()
    table.row(reader.position, "length of parameters", str(size))
    parameters = reader.take(size)
    if code == 3:
        table.row(reader.position, "parameters: flags", "mask path, all points, blocks")
    elif code == 4:
        _parameters(table, parameters)
    table.row(reader.position + 1, "tile rows", f"R = {reader.varint()}, so one tile")
    bodies = struct.unpack("<I", reader.take(4))[0]
    table.row(reader.position, "tile length", f"{bodies} bytes, raw form {int(np.prod(shape))}")
    reader.take(bodies + 4)
    return shape, parameters, bodies


def _parameters(table: Table, parameters: bytes) -> None:
    p, start = read(parameters), table.at
    table.row(start + 1, "flags", "no neighbours, `uint8`")
    table.row(start + 2, "tables", f"K = {len(p.raw_bits)}")
    table.row(start + 3, "channels", f"C = {p.channels}")
    bits = _Bits(parameters[3:])
    for _ in range(2):
        bits.rice_array(len(p.raw_bits) * TOKENS)
    contexts = "; ".join(f"channel {c}: table {p.table_of[c]}, class {p.zero_class_of[c]}" for c in range(p.channels))
    raw, frequencies = _listed(p.raw_bits[0]), _listed(p.frequencies[0])
    table.row(start + len(parameters), "arrays", f"n = {raw}; frequencies {frequencies}; {contexts}")


def _block_bits(body: bytes, positions: int) -> list[str]:
    """The fields of a body of one block, bit by bit."""
    bits = np.unpackbits(np.frombuffer(body, np.uint8), bitorder="little")
    header = body[0]
    (zero_bitmap, a, selectors), b = SPLITS[header >> 4], header & 15
    lines = ["", "| first bit | bits, in order | field | value |", "|---:|---|---|---|"]
    at = 0

    def row(count: int, field: str, value: str) -> None:
        nonlocal at
        lines.append(f"| {at} | `{''.join(map(str, bits[at : at + count]))}` | {field} | {value} |")
        at += count

    codes = BlockReader(body).block(positions)
    rest = codes
    row(4, "width", f"b = {b}")
    row(4, "split", f"{header >> 4}: z = {zero_bitmap}, a = {a}, L = {selectors}")
    if zero_bitmap:
        row(positions, "zero bitmap", f"not zero: positions {_listed(np.flatnonzero(codes))}")
        rest = rest[rest >= zero_bitmap]
    for i in range(1, selectors + 1):
        reach = zero_bitmap + (i << a)
        row(len(rest), f"selector {i}", f"which of {_listed(rest)} are at least {reach}")
        rest = rest[rest >= reach]
    last = zero_bitmap + (selectors << a)
    small = codes[(codes >= zero_bitmap) & (codes < last)]
    if a:
        row(a * len(small), "small codes", f"the codes {_listed(small)}")
    row(b * len(rest), "last class", f"{_listed(rest - last)}, so the codes {_listed(rest)}")
    row(len(bits) - at, "padding", "zeros")
    coded = codes[codes > 0]
    return [*lines, "", f"The codes that are not zero, {_listed(coded)}, are the points {_listed(_points(coded))}."]


def _symbols(body: bytes, parameters: bytes, shape: tuple[int, int, int]) -> list[str]:
    """The first symbols of a body of one lane, as a decoder takes them."""
    p = read(parameters)
    lanes = lanes_of(p, shape)
    tokens, contexts, decoder = Tokens(p), Contexts(p, shape), LaneDecoder(body, lanes)
    none = np.zeros(1, np.int64)
    lines = ["", "| symbol | state x | what decides | is | next state |", "|---|---:|---|---|---:|"]
    spans = 0
    for place in contexts.places():
        tables, classes = contexts.of(place)
        indices = np.zeros(len(tables), np.int64)
        for i, zero_class in enumerate(classes):
            p_zero, before = int(ZERO_PROBABILITY[zero_class]), int(decoder.states[0])
            slot = before % 4096
            indices[i] = slot >= p_zero
            frequency = 4096 - p_zero if indices[i] else p_zero
            decoder.advance(np.array([frequency]), np.array([slot - p_zero * indices[i]]), 12, none)
            if spans == 0 and i < SHOWN_FLAGS:
                what = "not zero" if indices[i] else "zero"
                why = f"x mod 4096 = {slot}, p = {p_zero}"
                lines.append(f"| row 0, zero flag {i} | {before} | {why} | {what} | {decoder.states[0]} |")
        for i in np.flatnonzero(indices):
            before, table = int(decoder.states[0]), int(tables[i])
            slot = before % 256
            token = int(tokens.of_slot[table, slot])
            which = np.array([table]), np.array([token])
            raw = decoder.advance(tokens.frequencies[which], slot - tokens.starts[which], 8, tokens.raw_bits[which])
            indices[i] = tokens.base[table, token] + raw[0]
            why, what = f"x mod 256 = {slot}", f"token {token}, raw {raw[0]}: {indices[i]}"
            lines.append(f"| row {place[0]}, token of value {i} | {before} | {why} | {what} | {decoder.states[0]} |")
        contexts.put(place, indices)
        spans += 1
    decoder.close()
    text = f"The rows are {spans} spans of {len(tables)} values. The first {SHOWN_FLAGS} zero flags and all "
    return [*lines, "", text + "tokens are shown; after the last flag all words are used and the state is 2^15."]


def _nonzero(bitmap: bytes, count: int) -> list[int]:
    return [i for i in range(count) if bitmap[i // 8] >> i % 8 & 1]


def _points(codes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    return [int((code + 1) // 2 if code % 2 else -code // 2) for code in codes]


def _listed(numbers: object) -> str:
    return ", ".join(str(int(n)) for n in np.asarray(numbers).ravel())


def page_with_example(name: str) -> str:
    """The page's text as it has to be."""
    text = (ROOT / PAGES[name]).read_text("utf-8")
    begin, end = f"<!-- example: {name}: begin -->", f"<!-- example: {name}: end -->"
    before, _, rest = text.partition(begin)
    return before + begin + "\n" + example(name) + "\n" + end + rest.partition(end)[2]


def main() -> None:
    """Write the examples into their pages."""
    for name, page in PAGES.items():
        (ROOT / page).write_text(page_with_example(name), "utf-8")


if __name__ == "__main__":
    main()
