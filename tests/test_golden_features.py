"""Golden frames of each feature of the format: what the manifest says of them, in core and reference."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fmapzip
from fmapzip import Plan, _core
from fmapzip.frame import parse
from fmapzip.reference import decode as reference_decode

FEATURES = Path(__file__).parent / "golden" / "features"
MANIFEST = json.loads((FEATURES / "manifest.json").read_text())
FRAMES = {entry["file"].removesuffix(".fmap"): entry for entry in MANIFEST["frames"]}
PLAN = Plan.load(FEATURES / MANIFEST["plan"])

NEIGHBOURS, SIGNED, OFFSETS, PREDICTED, REQUANTIZED, POINTS = (1 << bit for bit in range(6))
OF_CHANNELS = HEAD = 128


def data_of(name: str) -> bytes:
    return (FEATURES / FRAMES[name]["file"]).read_bytes()


def parameters_of(name: str) -> bytes:
    tap = FRAMES[name]["tap"]
    return parse(data_of(name)).parameters if tap is None else PLAN[tap].parameters


def references_of(name: str) -> list[NDArray[Any]] | None:
    """The maps that a frame refers to, which other frames hold."""
    files = FRAMES[name].get("references", [])
    return [fmapzip.decode((FEATURES / file).read_bytes(), plan=PLAN) for file in files] or None


def test_the_manifest_lists_every_file() -> None:
    assert {path.stem for path in FEATURES.glob("*.fmap")} == set(FRAMES)
    assert hashlib.sha256((FEATURES / MANIFEST["plan"]).read_bytes()).hexdigest() == MANIFEST["plan_sha256"]


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_decodes_to_what_the_manifest_says(name: str) -> None:
    entry, data = FRAMES[name], data_of(name)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    q = fmapzip.decode(data, plan=PLAN, reference=references_of(name))
    assert (str(q.dtype), list(q.shape)) == (entry["dtype"], entry["shape"])
    assert hashlib.sha256(q.tobytes()).hexdigest() == entry["decoded_sha256"]
    assert np.array_equal(reference_decode(data, parameters_of(name), references_of(name) or []), q)


@pytest.mark.parametrize("name", [name for name, entry in FRAMES.items() if entry["codec"] == "context-rans"])
def test_the_core_still_writes_the_bodies_of_lossless_frames(name: str) -> None:
    frame, parameters = parse(data_of(name)), parameters_of(name)
    if parameters[0] & REQUANTIZED or len(frame.tile_lengths) > 1:
        pytest.skip("not lossless, or not of the core's rows")
    references = references_of(name)
    q = fmapzip.decode(data_of(name), plan=PLAN, reference=references)
    codec = _core.Codec(4, parameters) if references is None else _core.Codec(4, parameters).given(references)
    again = _core.encode(q, codec, b"", False, frame.zero_point, frame.plan_hash, frame.tap, 1)
    assert fmapzip.inspect(again, PLAN).tile_bytes == fmapzip.inspect(data_of(name), PLAN).tile_bytes
    if not frame.scales:
        assert again == data_of(name)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_frames_have_what_they_are_there_to_show(dtype: str) -> None:
    def flags(name: str) -> int:
        return parameters_of(f"{name}-{dtype}")[0] & ~SIGNED

    def lanes(name: str) -> int:
        shape = FRAMES[f"{name}-{dtype}"]["shape"]
        return _core.context_lanes(parameters_of(f"{name}-{dtype}"), *shape)

    assert flags("rans-fast") == 0
    assert flags("rans-offsets") == NEIGHBOURS | OFFSETS
    assert flags("rans-channel-weights") == NEIGHBOURS | OFFSETS | OF_CHANNELS
    assert flags("rans-predicted") == PREDICTED
    assert flags("rans-head") == PREDICTED | HEAD
    assert flags("rans-references") == OFFSETS | PREDICTED | HEAD
    assert flags("rans-points") == NEIGHBOURS | OFFSETS | REQUANTIZED | POINTS
    assert flags("rans-centred") & (REQUANTIZED | POINTS) == REQUANTIZED
    assert flags("rans-predicted-points") & (PREDICTED | POINTS) == PREDICTED | POINTS
    assert parameters_of(f"rans-predicted-{dtype}")[1] + 1 == 64
    assert lanes("rans-64-lanes") == lanes("rans-fast-64-lanes") == 64
    assert parameters_of(f"transform-16-{dtype}")[1] == 2 | 1 << 2
    assert parameters_of(f"transform-32-{dtype}")[1] & 3 == 3
    for name in ("transform-rans", "transform-rans-full"):
        frame, data = parse(data_of(f"{name}-{dtype}")), data_of(f"{name}-{dtype}")
        at = frame.payload_offset
        assert data[at + 4 + int.from_bytes(data[at : at + 4], "little")] > 0
    assert len(fmapzip.inspect(data_of(f"tiles-{dtype}")).tile_bytes) == 4
    stored = fmapzip.inspect(data_of(f"stored-tile-{dtype}"))
    assert 0 < stored.stored_tiles < len(stored.tile_bytes)
