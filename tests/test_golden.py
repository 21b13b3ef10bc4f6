"""Frames and errors under version control: output bytes are API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip import _core, errors, registry
from fmapzip.reference import decode as reference_decode

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_ERRORS = Path(__file__).parent / "golden_errors"
ENTRIES = json.loads((GOLDEN / "golden.json").read_text())
ERRORS = json.loads((GOLDEN_ERRORS / "errors.json").read_text())
# What an encoder chose before it chose otherwise still decodes.
PRESENT = [entry for entry in ENTRIES if not entry.get("earlier")]

every_frame = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["file"] for entry in ENTRIES])


def frame_and_map(entry: dict[str, Any]) -> tuple[bytes, np.ndarray[Any, Any]]:
    return (GOLDEN / entry["file"]).read_bytes(), np.load(GOLDEN / "maps" / entry["map"])


@pytest.mark.parametrize("entry", PRESENT, ids=[entry["file"] for entry in PRESENT])
def test_a_golden_frame_is_what_its_codec_still_writes(entry: dict[str, Any]) -> None:
    frame, q = frame_and_map(entry)
    assert fmapzip.encode(q, registry.from_config(entry["codec"])) == frame


@every_frame
def test_a_golden_frame_decodes_in_core_and_reference(entry: dict[str, Any]) -> None:
    frame, q = frame_and_map(entry)
    decoded = fmapzip.decode(frame)
    assert np.array_equal(decoded, reference_decode(frame))
    assert decoded.shape == q.shape
    if registry.from_config(entry["codec"]).lossless:
        assert np.array_equal(decoded, q)


def test_sizes_of_golden_frames_are_those_of_the_table() -> None:
    lines = [line.split("\t") for line in (GOLDEN / "sizes.tsv").read_text().splitlines()[1:]]
    assert {name: int(size) for name, size in lines} == {
        e["file"]: (GOLDEN / e["file"]).stat().st_size for e in ENTRIES
    }


@pytest.mark.parametrize("entry", ERRORS, ids=[entry["file"] for entry in ERRORS])
def test_a_golden_error_is_still_refused_in_the_same_way(entry: dict[str, Any]) -> None:
    data = (GOLDEN_ERRORS / entry["file"]).read_bytes()
    with pytest.raises(getattr(errors, entry["error"])) as caught:
        fmapzip.decode(data)
    assert type(caught.value).__name__ == entry["error"]
    assert entry["message"] in str(caught.value)
    with pytest.raises(errors.FrameError) as judged:
        reference_decode(data)
    assert type(judged.value) is type(caught.value)


CLASSES = """
import json, sys, pathlib, fmapzip
from fmapzip import errors, _core
seen = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.fmap")):
    try:
        fmapzip.decode(path.read_bytes())
    except errors.FmapzipError as error:
        seen[path.name] = [type(error).__name__, str(error)]
print(json.dumps([_core.simd(), seen]))
"""


def test_every_instruction_set_refuses_golden_errors_alike() -> None:
    outcomes = {}
    for simd in _core.simd_available():
        command = [sys.executable, "-c", CLASSES, str(GOLDEN_ERRORS)]
        done = subprocess.run(
            command, env={**os.environ, "FMAPZIP_SIMD": simd}, capture_output=True, text=True, check=True
        )
        name, seen = json.loads(done.stdout)
        outcomes[name] = {file: error for file, (error, _) in seen.items()}
    expected = {entry["file"]: entry["error"] for entry in ERRORS}
    assert all(outcome == expected for outcome in outcomes.values()), outcomes
