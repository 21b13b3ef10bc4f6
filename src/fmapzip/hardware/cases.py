"""What goes into a block for a tile, and what must come out of it: words for each of its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fmapzip.hardware import context_rans_tiles as rans
from fmapzip.hardware.dct_cm_classes import word_bits
from fmapzip.hardware.dct_cm_groups import (
    CodedGroup,
    Group,
    blocks_of,
    body_word,
    code_words,
    coded_again,
    coded_groups,
    ends_in_a_word,
    group_words,
    groups,
    line_words,
    quantizer_word,
    size_word,
)
from fmapzip.hardware.dct_cm_tiles import body_bits, rank_table, tile_word, value_table, value_words
from fmapzip.hardware.rans_coder import body_bytes
from fmapzip.hardware.rans_encoder_coder import body_words
from fmapzip.hardware.rans_lane import WORD_BITS
from fmapzip.hardware.streams import Error, status_word, words
from fmapzip.hardware.tiles import Tile
from fmapzip.hardware.zvc import bitmap_bytes

Words = Mapping[str, list[int]]


@dataclass(frozen=True)
class Case:
    """One tile through one block.

    Attributes
    ----------
    inputs, outputs : words by the name of the stream
    """

    inputs: Words
    outputs: Words


MakeCase = Callable[[Tile, int], Case]


def zvc_encoder(tile: Tile, values: int) -> Case:
    """A tile's values in, the two parts of its body out."""
    flat = tile.values.reshape(-1)
    final = flat[(flat.size - 1) // values * values :]
    body = _zvc_body(tile, values, end=not final.any())  # known to be the end only when the last values were seen
    return Case({"values": words(flat.tobytes(), values)}, body)


def zvc_decoder(tile: Tile, values: int) -> Case:
    """The two parts of a tile's body in, its values out."""
    outputs = {"values": words(tile.values.tobytes(), values), "status": [status_word(Error.NONE)]}
    return Case({"size": [tile.values.size], **_zvc_body(tile, values)}, outputs)


def _zvc_body(tile: Tile, values: int, end: bool = False) -> dict[str, list[int]]:
    split = (tile.values.size + 7) // 8
    bitmap = words(tile.body[:split], bitmap_bytes(values))
    return {"bitmap": bitmap, "nonzero": words(tile.body[split:], values, end=end)}


def mask_decoder(tile: Tile, values: int) -> Case:
    """A body of the mask path in, its values out."""
    return _decoder(tile, values, {"tile": [tile_word(tile)]})


def points_decoder(tile: Tile, values: int) -> Case:
    """The same, after the values of ranks."""
    return _decoder(tile, values, {"tile": [tile_word(tile, load=True)], "table": value_table(tile)})


def _decoder(tile: Tile, values: int, settings: dict[str, list[int]]) -> Case:
    inputs = {**settings, "body": words(tile.body, word_bits(values) // 8)}
    return Case(inputs, {"values": value_words(tile, values), "status": [status_word(Error.NONE)]})


def mask_encoder(tile: Tile, values: int) -> Case:
    """A tile's values in, a body of the mask path out; where its bits fill the last word, an empty one follows."""
    return _encoder(tile, values, {"tile": [tile_word(tile)]})


def points_encoder(tile: Tile, values: int) -> Case:
    """The same, after the ranks of values."""
    return _encoder(tile, values, {"tile": [tile_word(tile, load=True)], "table": rank_table(tile)})


def _encoder(tile: Tile, values: int, settings: dict[str, list[int]]) -> Case:
    body = words(tile.body, word_bits(values) // 8, end=body_bits(tile) % word_bits(values) == 0)
    return Case({**settings, "values": value_words(tile, values)}, {"body": body})


def inverse_transform(tile: Tile, values: int, length: int) -> Case:
    """The codes of a tile's coefficients in, group by group; its values out."""
    found = coded_groups(tile, length)
    inputs = {"run": [group.run for group in found], "steps": _steps(found), "codes": _codes(found, values)}
    return Case(inputs, {"values": _group_values(found, values)})


def forward_transform(tile: Tile, values: int, length: int) -> Case:
    """A tile's values in, as they were decoded, group by group; the codes of their coefficients out."""
    found = coded_groups(coded_again(tile), length)
    inputs = {"run": [group.forward_run for group in found], "steps": _quantizers(found)}
    return Case({**inputs, "values": _group_values(found, values)}, {"codes": _codes(found, values)})


def body_decoder(tile: Tile, values: int, length: int) -> Case:
    """A body of the transform path in, with the steps of its groups; its values out, the tile's last beat with last."""
    found = list(groups(tile, length))
    inputs = {
        "tile": [body_word(tile, length)],
        "run": [group.run for group in found],
        "steps": _steps(found),
        "body": words(tile.body, word_bits(values) // 8),
    }
    last = words(b"", values)[0]
    given = _group_values(found, values)
    outputs = [word & ~last for word in given[:-1]] + given[-1:]
    return Case(inputs, {"values": outputs, "status": [status_word(Error.NONE)]})


def body_encoder(tile: Tile, values: int, length: int) -> Case:
    """A tile's values in, as they were decoded, and the quantizers of its groups; a body of the transform path out."""
    again = coded_again(tile)
    found = list(groups(again, length))
    inputs = {
        "tile": [body_word(again, length)],
        "run": [group.forward_run for group in found],
        "steps": _quantizers(found),
        "values": _group_values(found, values),
    }
    bits = word_bits(values)
    return Case(inputs, {"body": words(again.body, bits // 8, end=ends_in_a_word(again, length, bits))})


def _steps(found: Iterable[Group]) -> list[int]:
    return [step for group in found for step in group.steps]


def _quantizers(found: Iterable[Group]) -> list[int]:
    return [quantizer_word(step) for step in _steps(found)]


def _codes(found: Iterable[CodedGroup], values: int) -> list[int]:
    return [word for group in found for word in code_words(group, values)]


def _group_values(found: Iterable[Group], values: int) -> list[int]:
    return [word for group in found for word in group_words(group, values)]


def to_positions(tile: Tile, values: int, length: int) -> Case:
    """A tile's codes by frequency in, by position out."""
    return _turned(tile, values, length, by_frequency=True)


def to_frequencies(tile: Tile, values: int, length: int) -> Case:
    """The reverse."""
    return _turned(tile, values, length, by_frequency=False)


def _turned(tile: Tile, values: int, length: int, by_frequency: bool) -> Case:
    found: dict[str, list[int]] = {"size": [], "codes": [], "turned": []}
    for group in coded_groups(tile, length):
        for block in blocks_of(group):
            given = block.T if by_frequency else block
            found["size"].append(size_word(given.shape))
            found["codes"] += line_words(given, values)
            found["turned"] += line_words(given.T, values)
    return Case({name: found[name] for name in ("size", "codes")}, {"turned": found["turned"]})


def fast_decoder(tile: Tile, lanes: int) -> Case:
    """Tables and a body of `context-rans` in contexts of channels in, its values out."""
    return _rans_decoder(tile, lanes, rans.fast_table(tile, lanes))


def default_decoder(tile: Tile, lanes: int) -> Case:
    """The same in contexts of neighbours."""
    return _rans_decoder(tile, lanes, rans.default_table(tile, lanes))


def channels_decoder(tile: Tile, lanes: int) -> Case:
    """The same where channels have weights and biases of their own."""
    return _rans_decoder(tile, lanes, rans.default_table(tile, lanes, channels_own=True))


def _rans_decoder(tile: Tile, lanes: int, table: list[int]) -> Case:
    inputs = {"tile": [rans.tile_word(tile, lanes)], "table": table, "body": words(tile.body, body_bytes(lanes))}
    return Case(inputs, {"values": rans.value_words(tile, lanes), "status": [status_word(Error.NONE)]})


def fast_encoder(tile: Tile, lanes: int) -> Case:
    """Tables and values in, the words of a body of `context-rans` in contexts of channels out, the last first."""
    return _rans_encoder(tile, lanes, rans.fast_table(tile, lanes, encodes=True))


def default_encoder(tile: Tile, lanes: int) -> Case:
    """The same in contexts of neighbours."""
    return _rans_encoder(tile, lanes, rans.default_table(tile, lanes, encodes=True))


def channels_encoder(tile: Tile, lanes: int) -> Case:
    """The same where channels have weights and biases of their own."""
    return _rans_encoder(tile, lanes, rans.default_table(tile, lanes, encodes=True, channels_own=True))


def _rans_encoder(tile: Tile, lanes: int, table: list[int]) -> Case:
    inputs = {"tile": [rans.tile_word(tile, lanes)], "table": table, "values": rans.value_words(tile, lanes)}
    backwards = np.frombuffer(tile.body, "<u2")[::-1].tolist()
    return Case(inputs, {"body": words(backwards, body_words(lanes), WORD_BITS)})
