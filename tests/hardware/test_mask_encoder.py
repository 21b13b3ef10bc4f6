"""The encoder of the mask path of `dct-cm`, and tables of points, on Amaranth's simulator, against the software."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from joining import joined

import fmapzip
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.hardware import block
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.reference.dct_cm import DCT_CM
from fmapzip.reference.tiles import from_bytes
from simulate import run


def tile_of(shape: tuple[int, int, int], below: int, seed: int) -> Tile:
    """Blocks of many kinds: sparse, dense, of small and of large values."""
    rng = np.random.default_rng(seed)
    spread = np.repeat(rng.uniform(0, 4, shape[0]), shape[1] * shape[2]).reshape(shape)
    magnitude = np.exp(rng.normal(spread, 1.0)).astype(int) * (rng.random(shape) < rng.random((shape[0], 1, 1)))
    sign = np.where(rng.random(shape) < below / 255, -1, 1)
    values = np.clip(magnitude * sign, -below, 255 - below).astype(np.int16).astype(np.uint8)
    parameters = b"\0" if below in (0, 128) else bytes([32, below])
    body = DCT_CM.encode(from_bytes(values, below), below, parameters)
    return Tile("dct-cm", values, below, body, parameters)


@pytest.mark.parametrize("below", [0, 90, 128, 201])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_tiles_become_the_softwares_bodies(below: int, stall: float) -> None:
    shapes = [(5, 7, 9), (70, 1, 1), (1, 1, 5), (6, 3, 3)]
    encoder = block("dct-cm-mask-encoder")
    case = joined([encoder.case(tile_of(shape, below, seed), 1) for seed, shape in enumerate(shapes)])
    wanted = {name: len(words) for name, words in case.outputs.items()}
    assert run(encoder.component(1), case.inputs, wanted, stall) == case.outputs


@pytest.mark.parametrize(("name", "values"), [("dct-cm-points-encoder", 1), ("dct-cm-points-decoder", 2)])
def test_points_are_looked_up_in_a_table_that_may_change_between_tiles(name: str, values: int) -> None:
    rng = np.random.default_rng(3)
    made = block(name)
    cases = []
    for step in (2.0, 5.0):
        q = np.clip(rng.normal(0, 20, (3, 7, 9)) * (rng.random((3, 7, 9)) < 0.6), -127, 127).astype(np.int8)
        (tile,) = tiles(fmapzip.encode(q, DctCm(path="mask", mask_step=step)))
        assert len(tile.parameters) == 33
        cases.append(made.case(tile, values))
    case = joined(cases)
    wanted = {stream: len(words) for stream, words in case.outputs.items()}
    assert run(made.component(values), case.inputs, wanted, 0.3) == case.outputs
