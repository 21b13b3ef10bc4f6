"""Whole bodies of the transform path of `dct-cm`, in Icarus and on Amaranth's simulator, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("amaranth")

from joining import joined

import fmapzip
from faults import software_error
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.hardware import block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.dct_cm_classes import word_bits
from fmapzip.hardware.streams import Error, words
from fmapzip.hardware.tiles import Tile, tiles
from simulate import run
from verilog_runs import Program, in_icarus

LENGTH = 4


def tile_of(shape: tuple[int, int, int], signed: bool, seed: int, **chosen: Any) -> Tile:
    """A smooth map with channels of no, some and only zeros."""
    rng = np.random.default_rng(seed)
    waves = 90 * np.sin(np.add.outer(np.arange(shape[0]) / 3, np.arange(shape[1] * shape[2]) / 5)).reshape(shape)
    share = rng.choice([0.0, 0.6, 1.0], (shape[0], 1, 1))
    noisy = (waves + rng.normal(0, 6, shape)) * (rng.random(shape) < share)
    q = np.clip(noisy, -127 if signed else 0, 127).astype(np.int8 if signed else np.uint8)
    codec = DctCm(path="transform", coding="bitmap", group=LENGTH, **chosen)
    (tile,) = tiles(fmapzip.encode(q, codec))
    return tile


def several() -> list[Tile]:
    """Tiles of one and of two blocks, of whole and of shorter groups, with zero masks and without."""
    return [
        tile_of((5, 3, 4), False, 1, zero_mask=True, step=12, keep=3),
        tile_of((6, 5, 14), True, 2, zero_mask=False, step=8, keep=2),
        tile_of((8, 2, 3), False, 3, zero_mask=True, step=30, keep=2, order="correlation"),
    ]


@in_icarus
@pytest.mark.parametrize(("name", "values"), [("dct-cm-transform-4-encoder", 1), ("dct-cm-transform-4-decoder", 4)])
def test_tiles_become_the_softwares_bodies_and_values(
    name: str, values: int, programs: Callable[[str, int], Program]
) -> None:
    cases = [block(name).case(tile, values) for tile in several()]
    found = programs(name, values).play(joined(cases), stall=51)
    assert found.startswith("PASS"), found


def spoilt(body: bytes, seed: int) -> bytes:
    """A body with its end cut, a bit flipped, or something behind it."""
    rng = np.random.default_rng(seed)
    changed = bytearray(body)
    if seed % 3 == 0:
        return bytes(changed[: rng.integers(1, len(changed))])
    if seed % 3 == 1:
        changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    return bytes(changed + rng.integers(0, 256, rng.integers(1, 40), np.uint8).tobytes())


@pytest.mark.parametrize(
    ("values", "seed"),
    [pytest.param(1, 0, marks=pytest.mark.slow), (4, 1), pytest.param(4, 2, marks=pytest.mark.slow), (4, 3)],
)
def test_a_spoilt_body_ends_in_the_softwares_error_and_the_next_one_decodes(values: int, seed: int) -> None:
    tile, good = several()[0], block("dct-cm-transform-4-decoder").case(several()[2], values)
    body = spoilt(tile.body, seed)
    first = block("dct-cm-transform-4-decoder").case(tile, values)
    inputs = {name: [*first.inputs[name], *given] for name, given in good.inputs.items()}
    inputs["body"] = words(body, word_bits(values) // 8) + list(good.inputs["body"])
    found = run(block("dct-cm-transform-4-decoder").component(values), inputs, {"status": 2}, 0.3, seed)
    count = len(good.outputs["values"])
    assert found["values"][-count:] == good.outputs["values"]
    assert [found["status"][0] & 3, found["status"][1]] == [software_error(tile, body), Error.NONE]
    last = words(b"", values)[0]
    before = found["values"][:-count]
    assert [bool(beat & last) for beat in before] == [False] * (len(before) - 1) + [True]


@in_icarus
def test_the_place_of_an_error_is_the_number_of_blocks_before_it(programs: Callable[[str, int], Program]) -> None:
    tile = several()[1]  # two groups of two blocks of 35 positions
    good = block("dct-cm-transform-4-decoder").case(tile, 1)
    program, places = programs("dct-cm-transform-4-decoder", 1), []
    for share in (0.1, 0.8):
        inputs = {**good.inputs, "body": words(tile.body[: int(share * len(tile.body))], 2)}
        status, error, _, place = program.play(Case(inputs, {"values": [], "status": []}), any=1).split()
        assert (status, int(error)) == ("STATUS", Error.TRUNCATED)
        places.append(int(place))
        sent = sum([4 * 35, 4 * 35, 2 * 35, 2 * 35][: places[-1]])
        outputs = {"values": [*good.outputs["values"][:sent], *words(b"", 1)], "status": [int(error) | int(place) << 2]}
        assert program.play(Case(inputs, outputs)).startswith("PASS")
    assert places == sorted(set(places))
