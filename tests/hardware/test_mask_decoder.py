"""The decoder of the mask path of `dct-cm` on Amaranth's simulator, against the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("amaranth")

import fmapzip
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.hardware import block
from fmapzip.hardware.dct_cm_classes import word_bits
from fmapzip.hardware.dct_cm_tiles import tile_word, value_words
from fmapzip.hardware.streams import Error, words
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.reference.bit_blocks import SPLITS
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.dct_cm_values import point_values
from simulate import run

ALL_POINTS = b"\0"


def tile_of(shape: tuple[int, int, int], signed: bool, seed: int = 0) -> Tile:
    """Values of many magnitudes, half of them zero."""
    rng = np.random.default_rng(seed)
    magnitude = np.exp(rng.normal(1.5, 1.3, shape)).astype(int).clip(0, 127) * (rng.random(shape) < 0.5)
    q = (magnitude * (rng.choice([-1, 1], shape) if signed else 1)).astype(np.int8 if signed else np.uint8)
    (tile,) = tiles(fmapzip.encode(q, DctCm(path="mask", coding="bitmap")))
    return tile


def body_of(blocks: Sequence[tuple[int, int, Sequence[int]]]) -> bytes:
    """A body of blocks: each a split, a width of its last class, and codes; written bit by bit."""
    bits: list[int] = []

    def put(value: int, width: int) -> None:
        bits.extend(value >> i & 1 for i in range(width))

    for split, width, codes in blocks:
        zero_bitmap, a, selectors = SPLITS[split]
        put(width, 4)
        put(split, 4)
        rest = list(codes)
        if zero_bitmap:
            bits += [int(u > 0) for u in rest]
            rest = [u for u in rest if u]
        end = zero_bitmap
        small = rest
        for _ in range(selectors):
            end += 1 << a
            bits += [int(u >= end) for u in rest]
            rest = [u for u in rest if u >= end]
        for u in small:
            if u < end:
                put((u - zero_bitmap) & ((1 << a) - 1), a)
        for u in rest:
            put(u - end, width)
    return np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()


def decoded(body: bytes, tile: Tile, values: int, stall: float = 0.3, seed: int = 0) -> tuple[int, list[int]]:
    """The error of a body, and the beats that come with it; a good tile follows, and must come out whole."""
    good = block("dct-cm-mask-decoder").case(tile, values)
    inputs = {name: list(found) for name, found in good.inputs.items()}
    inputs["tile"] = [tile_word(tile)] * 2
    inputs["body"] = words(body, word_bits(values) // 8) + inputs["body"]
    found = run(block("dct-cm-mask-decoder").component(values), inputs, {"status": 2}, stall, seed)
    beats = len(good.outputs["values"])
    assert found["values"][-beats:] == good.outputs["values"]
    assert found["status"][1] == Error.NONE
    return found["status"][0] & 3, found["values"][:-beats]


@pytest.mark.parametrize(("values", "shape"), [(1, (2, 9, 15)), (1, (70, 1, 1)), (2, (3, 7, 7)), (8, (2, 9, 15))])
@pytest.mark.parametrize("signed", [False, True])
def test_bodies_of_the_software_decode(values: int, shape: tuple[int, int, int], signed: bool) -> None:
    tile = tile_of(shape, signed)
    error, beats = decoded(tile.body, tile, values)
    assert (error, beats) == (Error.NONE, value_words(tile, values))


@pytest.mark.parametrize(("values", "below"), [(1, 0), (1, 128), (1, 200), (8, 77)])
def test_every_split_and_width_that_is_legal_decodes(values: int, below: int) -> None:
    rng = np.random.default_rng(below)
    shape, ranked = (16, 5, 5), point_values(None, below)
    blocks, codes = [], []
    for split, (zero_bitmap, a, selectors) in enumerate(SPLITS):
        code = np.minimum(np.exp(rng.normal(2, 2, 25)).astype(int), 255) * (rng.random(25) < 0.7)
        largest = max(int(code.max()) - zero_bitmap - (selectors << a), 0).bit_length()
        blocks.append((split, int(rng.integers(largest, 15)), code.tolist()))
        codes.append(code)
    body = body_of(blocks)
    parameters = ALL_POINTS if below in (0, 128) else bytes([32, below])
    wanted = ranked[np.array(codes)].reshape(shape)
    assert (DCT_CM.decode(body, shape, below, parameters) == wanted).all()
    tile = Tile("dct-cm", wanted.astype(np.uint8), below, body)
    assert decoded(body, tile, values) == (Error.NONE, value_words(tile, values))


def spoilt(tile: Tile, seed: int) -> bytes:
    """A body with a bit flipped, its end cut, or something behind it."""
    rng = np.random.default_rng(seed)
    body = bytearray(tile.body)
    if seed % 3 == 0:
        return bytes(body[: rng.integers(1, len(body))])
    if seed % 3 == 1:
        body[rng.integers(len(body))] ^= 1 << int(rng.integers(8))
        return bytes(body)
    return bytes(body + rng.integers(0, 256, rng.integers(1, 60), np.uint8).tobytes())


@pytest.mark.parametrize(("values", "seed"), [*((1, seed) for seed in range(9)), (8, 0), (8, 1), (8, 2)])
def test_a_spoilt_body_ends_in_the_softwares_error(values: int, seed: int) -> None:
    tile = tile_of((3, 9, 9), True, seed)
    body = spoilt(tile, seed)
    error = Error.NONE
    try:
        DCT_CM.decode(body, tile.values.shape, tile.below, ALL_POINTS)  # type: ignore[arg-type]
    except TruncatedFrame:
        error = Error.TRUNCATED
    except CorruptFrame:
        error = Error.CORRUPT
    found, beats = decoded(body, tile, values, seed=seed)
    assert found == error
    last = 1 << (8 * values + values.bit_length())
    assert [bool(beat & last) for beat in beats] == [False] * (len(beats) - 1) + [True]


@pytest.mark.parametrize("values", [1, 8])
def test_the_place_of_an_error_is_the_number_of_blocks_before_it(values: int) -> None:
    tile = tile_of((6, 9, 9), True)  # planes of two blocks, of 41 and 40 positions
    good = value_words(tile, values)
    beats_of = [-(-size // values) for size in (41, 40)] * 6
    places = []
    for share in (0.1, 0.45, 0.8):
        body = tile.body[: int(share * len(tile.body))]
        inputs = {"tile": [tile_word(tile)], "body": words(body, word_bits(values) // 8)}
        found = run(block("dct-cm-mask-decoder").component(values), inputs, {"status": 1}, 0.3)
        error, place = found["status"][0] & 3, found["status"][0] >> 2
        assert error == Error.TRUNCATED
        sent = sum(beats_of[:place])
        assert found["values"][:sent] == good[:sent]
        places.append(place)
    assert places == sorted(set(places))
    assert places[-1] >= 8  # of 12 blocks
