"""The transform path of `dct-cm` behind its blocks: graphs, folded units and values, against the reference."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("amaranth")

from amaranth.sim import Simulator

import fmapzip
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.errors import InvalidInput
from fmapzip.hardware import block
from fmapzip.hardware.arithmetic import signed_digits
from fmapzip.hardware.cases import Case
from fmapzip.hardware.dct_cm_groups import groups
from fmapzip.hardware.dct_cm_inverse import RUN
from fmapzip.hardware.dct_graph import LENGTHS, MAX_COEFFICIENT, inverse_graph
from fmapzip.hardware.dct_unit import Transform, quarters
from fmapzip.hardware.streams import words
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.reference import dct
from fmapzip.reference.dct_cm_values import group_values, unzigzag
from verilog_runs import Program, in_icarus


@pytest.mark.parametrize("length", LENGTHS)
def test_graphs_are_the_references_transforms(length: int) -> None:
    rng = np.random.default_rng(length)
    y = rng.integers(-MAX_COEFFICIENT, MAX_COEFFICIENT, (length, 30), endpoint=True).astype(np.int32)
    y[:, :8] = np.sign(y[:, :8]) * MAX_COEFFICIENT
    found = np.array([inverse_graph(length).run([int(v) for v in column]) for column in y.T]).T
    assert ((found + 64 >> 7) == dct.inverse(y)).all()


@given(st.integers(-(2**15) + 1, 2**15 - 1))
def test_digits_make_their_number(number: int) -> None:
    assert sum(sign << place for sign, place in signed_digits(number)) == number
    assert sum(digit * 4**place for place, digit in enumerate(quarters(number))) == number


def through(unit: Transform, given_groups: list[list[int]]) -> list[list[int]]:
    """Groups through a unit, one behind the other."""
    length, lanes = len(given_groups[0]), len(given_groups[0]) // unit.interval
    flat = [number for group in given_groups for number in group]
    found: list[int] = []

    async def play(ctx: Any) -> None:
        ctx.set(unit.enable, 1)
        for cycle in range(len(flat) // lanes + unit.delay):
            ctx.set(unit.phase, cycle % unit.interval)
            for lane in range(lanes):
                at = cycle * lanes + lane
                ctx.set(getattr(unit, f"input_{lane}"), flat[at] if at < len(flat) else 0)
            if cycle >= unit.delay:
                found.extend(ctx.get(getattr(unit, f"output_{lane}")) for lane in range(lanes))
            await ctx.tick()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator = Simulator(unit)
        simulator.add_clock(1e-6)
        simulator.add_testbench(play)
        simulator.run()
    return [found[at : at + length] for at in range(0, len(flat), length)]


@pytest.mark.parametrize(("length", "lanes"), [(4, 1), (4, 4), (8, 2)])
def test_units_compute_their_graph(length: int, lanes: int) -> None:
    graph, rng = inverse_graph(length), np.random.default_rng(lanes)
    most = -graph.inputs[0].low
    given_groups = [[int(v) for v in rng.integers(-most, most, length, endpoint=True)] for _ in range(8)]
    assert through(Transform(graph, lanes), given_groups) == [graph.run(group) for group in given_groups]


def tile_of(shape: tuple[int, int, int], signed: bool, seed: int = 0, **chosen: Any) -> Tile:
    """A smooth map that has zeros, coded by the transform path."""
    rng = np.random.default_rng(seed)
    waves = 90 * np.sin(np.add.outer(np.arange(shape[0]) / 3, np.arange(shape[1] * shape[2]) / 5)).reshape(shape)
    noisy = (waves + rng.normal(0, 6, shape)) * (rng.random(shape) < 0.8)
    q = np.clip(noisy, -127 if signed else 0, 127).astype(np.int8 if signed else np.uint8)
    (tile,) = tiles(fmapzip.encode(q, DctCm(path="transform", coding="bitmap", **chosen)))
    return tile


@in_icarus
@pytest.mark.parametrize(("length", "values", "zero_mask"), [(4, 1, False), (4, 4, True)])
def test_codes_become_the_softwares_values(
    length: int, values: int, zero_mask: bool, programs: Callable[[str, int], Program]
) -> None:
    channels = 2 * length - (3 if zero_mask else 1)
    tile = tile_of((channels, 5, 4), not zero_mask, group=length, keep=length - 1, zero_mask=zero_mask, step=12)
    name = f"dct-cm-inverse-{length}"
    found = programs(name, values).play(block(name).case(tile, values), stall=77)
    assert found.startswith("PASS"), found


@in_icarus
@settings(max_examples=20)
@given(data=st.data())
def test_any_codes_and_steps_become_the_references_values(
    data: st.DataObject, programs: Callable[[str, int], Program]
) -> None:
    length = 4
    values = data.draw(st.sampled_from([1, 4]))
    channels = data.draw(st.integers(1, length))
    below = data.draw(st.integers(0, 255))
    steps = data.draw(st.lists(st.just(0) | st.integers(4, 4096) | st.just(4), min_size=length, max_size=length))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codes = np.exp(rng.uniform(0, np.log(16431), (6, length))).astype(np.int64)
    masked = rng.random((6, length)) < 0.2
    kept = [k for k in range(length) if steps[k]]
    nonzero = ~masked.T[:channels]
    wanted = group_values(unzigzag(codes.T[kept]), nonzero, (channels, 6), tuple(steps), below)
    fields = {"positions": 6, "channels": channels, "below": below, "lifted": int(below == 0)}
    inputs = {
        "run": [int(RUN.const(fields).as_value().value)],
        "steps": steps,
        "codes": words([int(v) for v in (codes | masked << 15).reshape(-1)], values, 16),
    }
    parts = [words((column % 256).astype(np.uint8).tobytes(), values) for column in wanted.T]
    last = words(b"", values)[0]
    out = [word & ~last for part in parts for word in part]
    out[-1] |= last
    program = programs(f"dct-cm-inverse-{length}", values)
    found = program.play(Case(inputs, {"values": out}), stall=data.draw(st.sampled_from([0, 102])))
    assert found.startswith("PASS"), found


def test_a_tile_of_another_length_or_path_is_refused() -> None:
    tile = tile_of((8, 4, 4), signed=True, group=8, step=12)
    with pytest.raises(InvalidInput, match="groups of 16"):
        list(groups(tile, 16))
    with pytest.raises(InvalidInput, match="groups of 8"):
        list(groups(Tile("dct-cm", tile.values, 0, tile.body), 8))
