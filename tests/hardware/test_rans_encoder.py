"""The encoders of `context-rans`, in Icarus, and what they take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("amaranth")

from joining import joined

import fmapzip
from fmapzip.errors import InvalidInput
from fmapzip.hardware import block
from fmapzip.hardware.context_rans_tiles import cut
from fmapzip.hardware.tiles import Tile, tiles
from verilog_runs import Program, in_icarus

LEVELS = {"context-rans-fast-encoder": "fast", "context-rans-encoder": "default"}


def tile_of(shape: tuple[int, int, int], level: str, step: int = 1) -> Tile:
    """Channels of many densities, with negative values."""
    rng = np.random.default_rng(1)
    spread = rng.choice([0.4, 3, 30], (shape[0], 1, 1))
    q = np.clip(rng.normal(0, spread, shape), -128, 127).astype(np.int8)
    (tile,) = tiles(fmapzip.encode(q, "context-rans", level=level, step=step))
    return tile


@in_icarus
@pytest.mark.parametrize("name", LEVELS)
def test_bodies_are_the_softwares_one_after_another(name: str, programs: Callable[[str, int], Program]) -> None:
    case = block(name).case(tile_of((4, 5, 6), LEVELS[name], step=2), 1)
    found = programs(name, 1).play(joined([case, case]), stall=77)
    assert found.startswith("PASS"), found


def test_a_block_of_few_tables_takes_tiles_of_few() -> None:
    rng = np.random.default_rng(2)
    maps = np.clip(rng.normal(0, rng.choice([1, 4, 16], (12, 1, 1)), (3, 12, 20, 20)), -128, 127).astype(np.int8)
    plan = fmapzip.fit({"a": maps}, "context-rans", weights="shared", tables=8)
    (tile,) = tiles(fmapzip.encode(maps[0], plan=plan, tap="a"), plan)
    for kind in ("encoder", "decoder"):
        made = block(f"context-rans-{kind}")
        assert list(made.with_options({"tables": 8}).cut(tile, 4))
        with pytest.raises(InvalidInput, match="8 token tables is too large for a block of 4"):
            list(made.with_options({"tables": 4}).cut(tile, 4))


@pytest.mark.parametrize("name", LEVELS)
def test_frames_of_small_tiles_go_through_as_they_are(name: str) -> None:
    rng = np.random.default_rng(3)
    q = np.clip(rng.normal(0, rng.choice([0.4, 3, 30], (4, 1, 1)), (4, 10, 12)), -128, 127).astype(np.int8)
    found = list(tiles(fmapzip.encode(q, "context-rans", level=LEVELS[name], tile_values=250)))
    assert [tile.values.shape for tile in found] == [(4, 5, 12)] * 2
    for kind in ("encoder", "decoder"):
        made = block(name.replace("encoder", kind))
        assert [piece for tile in found for piece in made.cut(tile, 1)] == found


@pytest.mark.parametrize("name", LEVELS)
def test_tiles_are_cut_to_the_groups_that_are_held(name: str) -> None:
    made, tile = block(name), tile_of((5, 40, 30), LEVELS[name])
    pieces = list(cut(tile, 4, groups=300))
    assert all(len(made.case(piece, 4).inputs["values"]) <= 300 for piece in pieces)
    assert sum(piece.values.shape[1] for piece in pieces) == 40
    with pytest.raises(InvalidInput, match="too long"):
        list(cut(tile, 4, groups=10))


@pytest.mark.parametrize("name", ["context-rans-encoder", "context-rans-channels-encoder"])
def test_a_tile_of_no_more_channels_than_lanes_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="more channels than lanes: 1 on 1"):
        block(name).case(tile_of((1, 12, 15), "default", step=16), 1)
