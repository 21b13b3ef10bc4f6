"""The `zvc` blocks on Amaranth's simulator, against the software."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from joining import joined

import fmapzip
from fmapzip.errors import CorruptFrame, TruncatedFrame
from fmapzip.hardware import block
from fmapzip.hardware.cases import Case
from fmapzip.hardware.streams import Error, words
from fmapzip.hardware.tiles import Tile, tiles
from fmapzip.hardware.zvc import bitmap_bytes
from fmapzip.reference.zvc import ZVC
from simulate import run

SHAPES = ((3, 5, 7), (2, 9, 9), (1, 8, 32), (5, 1, 1))


def tile_of(shape: tuple[int, int, int], density: float, seed: int = 0) -> Tile:
    rng = np.random.default_rng(seed)
    q = (rng.integers(1, 256, shape) * (rng.random(shape) < density)).astype(np.uint8)
    q[0, 0, :2] = 0  # it is coded
    q[0, :, 0] = 0
    (tile,) = tiles(fmapzip.encode(q, "zvc"))
    return tile


def outputs(name: str, values: int, case: Case, stall: float = 0.0) -> dict[str, list[int]]:
    wanted = {stream: len(found) for stream, found in case.outputs.items()}
    return run(block(name).component(values), case.inputs, wanted, stall)


@pytest.mark.parametrize("name", ["zvc-encoder", "zvc-decoder"])
@pytest.mark.parametrize("values", [1, 4, 8, 32])
@pytest.mark.parametrize(("shape", "density"), list(zip(SHAPES, (0.5, 0.1, 0.8, 0.3), strict=True)))
def test_a_block_gives_the_softwares_bytes(name: str, values: int, shape: tuple[int, int, int], density: float) -> None:
    case = block(name).case(tile_of(shape, density), values)
    assert outputs(name, values, case, stall=0.4) == case.outputs


@pytest.mark.parametrize("name", ["zvc-encoder", "zvc-decoder"])
def test_tiles_follow_one_another_without_a_pause(name: str) -> None:
    each = [block(name).case(tile_of(shape, 0.4, seed), 8) for seed, shape in enumerate(SHAPES)]
    together = joined(each)
    assert outputs(name, 8, together) == together.outputs


def spoilt(tile: Tile, seed: int) -> bytes:
    """A body with one bit of its bitmap flipped, or its end cut or lengthened."""
    rng = np.random.default_rng(seed)
    body = bytearray(tile.body)
    if seed % 3 == 0:
        body[rng.integers((tile.values.size + 7) // 8)] ^= 1 << int(rng.integers(8))
        return bytes(body)
    if seed % 3 == 1:
        return bytes(body[: rng.integers(1, len(body))])
    return bytes(body + bytes(int(rng.integers(1, 12))))


def software_error(body: bytes, tile: Tile) -> int:
    try:
        ZVC.decode(body, tile.values.shape, 0, b"")  # type: ignore[arg-type]
    except TruncatedFrame:
        return Error.TRUNCATED
    except CorruptFrame:
        return Error.CORRUPT
    return Error.NONE


@pytest.mark.parametrize("values", [1, 8])
@pytest.mark.parametrize("seed", range(6))
def test_a_spoilt_body_ends_in_the_softwares_error_and_the_next_tile_decodes(values: int, seed: int) -> None:
    tile = tile_of((3, 7, 7), 0.4, seed)
    body, split = spoilt(tile, seed), (tile.values.size + 7) // 8
    good = block("zvc-decoder").case(tile, values)
    inputs = {
        "size": [tile.values.size] * 2,
        "bitmap": words(body[:split], bitmap_bytes(values)) + good.inputs["bitmap"],
        "nonzero": words(body[split:], values) + good.inputs["nonzero"],
    }
    component = block("zvc-decoder").component(values)
    found = run(component, inputs, {"status": 2, "values": len(good.outputs["values"]) + 1}, stall=0.2, seed=seed)
    assert [status & 3 for status in found["status"]] == [software_error(body, tile), Error.NONE]
    assert found["values"][-len(good.outputs["values"]) :] == good.outputs["values"]


@pytest.mark.parametrize("values", [1, 8])
@pytest.mark.parametrize("missing", [1, 9, 30])
def test_the_place_of_an_error_is_the_number_of_values_before_it(values: int, missing: int) -> None:
    tile = tile_of((3, 7, 7), 0.4)
    flat, split = tile.values.reshape(-1), (tile.values.size + 7) // 8
    there = len(tile.body) - split - missing
    whole = int(np.flatnonzero(flat)[there])  # values up to the first one that is missing
    inputs = {
        "size": [flat.size],
        "bitmap": words(tile.body[:split], bitmap_bytes(values)),
        "nonzero": words(tile.body[split:-missing], values),
    }
    found = run(block("zvc-decoder").component(values), inputs, {"status": 1}, stall=0.2)
    (status,) = found["status"]
    assert (status & 3, status >> 2) == (software_error(tile.body[:-missing], tile), whole // values * values)
    sent = [beat >> 8 * i & 255 for beat in found["values"] for i in range(values)]
    assert sent[: status >> 2] == flat[: status >> 2].tolist()
