"""Exported Verilog in Icarus against the software: golden frames, random maps, tables, stalls, resets and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("amaranth")

import fmapzip
from faults import agrees, software_error
from fmapzip.errors import InvalidInput
from fmapzip.hardware.blocks import block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.quantize import QuantParams
from fmapzip.registry import make
from strategies import KINDS, make_map
from verilog_runs import Program, by_day, chosen_blocks, has_simulator

if not has_simulator():
    pytest.skip("no iverilog: the exported Verilog is not run", allow_module_level=True)

GOLDEN = Path(__file__).parents[1] / "golden"
PLAYED = chosen_blocks(1)
AT_RANDOM = by_day(PLAYED)
"""By day random tiles go through the widest of a block's forms; golden frames go through all."""


def golden_cases(name: str, values: int) -> Iterator[tuple[str, Case]]:
    """The tiles of golden frames that a block takes, each body once."""
    seen = set()
    for path in sorted(GOLDEN.glob(f"{block(name).codec}-*.fmap")):
        for tile in tiles(path.read_bytes()):
            if (tile.body, tile.parameters) not in seen:
                seen.add((tile.body, tile.parameters))
                try:
                    yield path.stem, block(name).case(tile, values)
                except InvalidInput:  # of another path, level or number of lanes
                    continue


@pytest.mark.parametrize(("name", "values"), PLAYED)
def test_golden_frames_pass(name: str, values: int, programs: Callable[[str, int], Program], nightly: bool) -> None:
    """By day every fourth of the frames' tiles: a simulation of all takes minutes."""
    for number, (frame, case) in list(enumerate(golden_cases(name, values)))[:: 1 if nightly else 4]:
        found = programs(name, values).play(case, stall=64, seed=number, reset=50)
        assert found.startswith("PASS"), f"{frame}: {found}"


@st.composite
def codecs(draw: st.DrawFn, name: str) -> fmapzip.Codec:
    """A codec whose tiles a block takes, with any other settings."""
    chosen = dict(block(name).settings)
    if chosen.get("path") == "transform":
        count = chosen["group"]
        chosen["step"] = draw(st.sampled_from([0.5, 1.0, 3.0, 17.0]))
        chosen["slope"] = draw(st.sampled_from([0.0, 1.5]))
        chosen["keep"] = draw(st.none() | st.integers(1, count))
        chosen["zero_mask"] = draw(st.booleans())
        chosen["order"] = draw(st.sampled_from(["natural", "correlation"]))
    elif "points" in name:
        chosen["mask_step"] = draw(st.sampled_from([1.5, 3.0, 20.0]))
        chosen["points"] = draw(st.sampled_from(["trained", "centred"]))
    elif block(name).codec == "context-rans":
        chosen["step"] = draw(st.sampled_from([1, "3/2", 4, 30]))
    return make(block(name).codec, **chosen)


@st.composite
def random_tiles(draw: st.DrawFn, name: str, values: int) -> Tile:
    """A tile that a block takes, with tables of its own or of a plan that has not seen it."""
    shape = (draw(st.integers(1, 24)), draw(st.integers(1, 7)), draw(st.integers(1, 9)))
    kind, dtype = draw(st.sampled_from(KINDS)), draw(st.sampled_from([np.uint8, np.int8]))
    seed, codec = draw(st.integers(0, 999)), draw(codecs(name))
    q = make_map(shape, kind, dtype, seed)
    plan = None
    if draw(st.booleans()):
        others = np.stack([make_map(shape, kind, dtype, seed + 1 + i) for i in range(3)])
        quantizer = QuantParams("int8" if dtype == np.int8 else "uint8", (1.0,), "none")
        plan = fmapzip.Plan((fmapzip.TapPlan("map", shape, quantizer, codec, codec.train(others)),))
    frame = fmapzip.encode(q, codec) if plan is None else fmapzip.encode(q, plan=plan, tap="map")
    pieces = [piece for tile in tiles(frame, plan) for piece in block(name).cut(tile, values)]
    assume(pieces)  # else it is stored raw
    return pieces[0]


def case_of(name: str, values: int, tile: Tile) -> Case:
    try:
        return block(name).case(tile, values)
    except InvalidInput:
        assume(False)
        raise


SEEDS = st.integers(0, 2**20)
few = settings(max_examples=6, suppress_health_check=list(HealthCheck))
many = settings(few, max_examples=60)


@pytest.mark.parametrize(("name", "values"), AT_RANDOM)
def test_random_tiles_pass_with_any_stalls_and_a_reset(
    name: str, values: int, programs: Callable[[str, int], Program], nightly: bool
) -> None:
    @(many if nightly else few)
    @given(random_tiles(name, values), st.sampled_from([0, 30, 128, 230]), SEEDS, st.integers(0, 400))
    def check(tile: Tile, stall: int, seed: int, reset: int) -> None:
        found = programs(name, values).play(case_of(name, values, tile), stall=stall, seed=seed, reset=reset)
        assert found.startswith("PASS"), found

    check()


@st.composite
def spoilt(draw: st.DrawFn, body: bytes) -> bytes:
    """Bits flipped, the end cut, something behind it, or any bytes."""
    changed = bytearray(body)
    way = draw(st.sampled_from(["flip", "cut", "more", "any"]))
    if way == "cut" and len(body) > 1:
        return body[: draw(st.integers(1, len(body) - 1))]
    if way == "more":
        return body + draw(st.binary(min_size=1, max_size=9))
    if way == "any":
        return draw(st.binary(min_size=1, max_size=2 * len(body)))
    for at in draw(st.lists(st.integers(0, 8 * len(body) - 1), min_size=1, max_size=3)):
        changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


@pytest.mark.parametrize(("name", "values"), [each for each in AT_RANDOM if each.values[0].endswith("-decoder")])
def test_spoilt_bodies_end_in_the_softwares_error(
    name: str, values: int, programs: Callable[[str, int], Program], nightly: bool
) -> None:
    @(many if nightly else few)
    @given(st.data(), st.sampled_from([0, 60, 200]), SEEDS)
    def check(data: st.DataObject, stall: int, seed: int) -> None:
        tile = data.draw(random_tiles(name, values))
        body = data.draw(spoilt(tile.body))
        inputs = case_of(name, values, Tile(tile.codec, tile.values, tile.below, body, tile.parameters)).inputs
        found = programs(name, values).play(Case(inputs, {"values": [], "status": []}), any=1, stall=stall, seed=seed)
        assert agrees(tile, found, software_error(tile, body)), found

    check()
