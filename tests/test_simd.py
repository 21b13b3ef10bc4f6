"""Each instruction set gives the bytes that the scalar code gives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fmapzip import _core

HASH_MANY_FRAMES = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import battery, fmapzip
from strategies import KINDS, make_map

digest = hashlib.sha256(fmapzip._core.crc32c(bytes(range(256)) * 40).to_bytes(4, "little"))
shapes = [(64, 30, 31), (33, 17, 16), (7, 5, 3), (1, 40, 40), (130, 9), (500,), (16, 128, 70)]
for codec in battery.SUBJECTS + battery.IN_SMALL_TILES:
    for index, shape in enumerate(shapes):
        for kind in KINDS:
            for dtype in (np.uint8, np.int8):
                q = make_map(shape, kind, dtype, index)
                last = np.moveaxis(np.ascontiguousarray(np.moveaxis(q, 0, -1)), -1, 0)
                frame = fmapzip.encode(last, codec)
                digest.update(frame)
                digest.update(fmapzip.decode(frame, np.empty_like(last)).tobytes())
print(fmapzip._core.simd(), digest.hexdigest())
"""


def run_with(simd: str) -> tuple[str, str]:
    environment = {**os.environ, "FMAPZIP_SIMD": simd}
    done = subprocess.run(
        [sys.executable, "-c", HASH_MANY_FRAMES, os.path.dirname(__file__)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    name, digest = done.stdout.split()
    return name, digest


@pytest.fixture(scope="module")
def scalar_digest() -> str:
    return run_with("scalar")[1]


@pytest.mark.parametrize("simd", _core.simd_available()[1:])
def test_frames_are_the_same_on_every_instruction_set(simd: str, scalar_digest: str) -> None:
    assert run_with(simd) == (simd, scalar_digest)
