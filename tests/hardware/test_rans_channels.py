"""Level `default` of `context-rans` with weights and biases of channels: exported Verilog in Icarus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("amaranth")

import fmapzip
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput
from fmapzip.hardware import block
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.quantize import QuantParams
from fmapzip.reference.context_parameters import read
from verilog_runs import Program, in_icarus


def map_of(seed: int) -> NDArray[np.uint8]:
    """Channels that go on to the right, each by a scale of its own, in turns with noise."""
    rng, shape = np.random.default_rng(seed), (12, 6, 9)
    number = np.arange(12)[:, None, None]
    walk = rng.normal(0, 1, shape).cumsum(2) * (2 + 2.5 * number)
    return np.clip(np.where(number % 2, walk, rng.normal(0, 20, shape)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def tile() -> Tile:
    """A tile with a plan whose channels have weights of their own."""
    codec, maps = ContextRans(level="default"), np.stack([map_of(seed) for seed in range(40)])
    tap = fmapzip.TapPlan("map", maps.shape[1:], QuantParams("uint8", (1.0,), "none"), codec, codec.train(maps))
    plan = fmapzip.Plan((tap,))
    (found,) = tiles(fmapzip.encode(map_of(99), plan=plan, tap="map"), plan)
    p = read(found.parameters)
    assert p.channel_weights is not None
    assert np.unique(p.channel_weights, axis=0).shape[0] > 1
    return found


@in_icarus
@pytest.mark.parametrize("name", ["context-rans-channels-decoder", "context-rans-channels-encoder"])
def test_tiles_with_weights_of_channels_pass(name: str, tile: Tile, programs: Callable[[str, int], Program]) -> None:
    found = programs(name, 1).play(block(name).case(tile, 1), stall=64, seed=3, reset=300)
    assert found.startswith("PASS"), found


def test_blocks_with_one_set_of_weights_refuse_them(tile: Tile) -> None:
    with pytest.raises(InvalidInput, match="weights=shared"):
        block("context-rans-decoder").case(tile, 1)
