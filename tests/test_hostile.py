"""Bytes and buffers from strangers: what they may cost, and that errors are the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip import _core
from fmapzip.errors import CorruptFrame, FrameError, InvalidInput

SETUP = """
import resource, sys
import numpy as np, fmapzip

def limit_memory(megabytes):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(megabytes * 2**20),) * 2)
"""


def run(script: str, *arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SETUP + script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def signed_frame(beginning: bytes) -> bytes:
    return beginning + _core.crc32c(beginning).to_bytes(4, "little")


@pytest.mark.parametrize("codec", ["raw", "zvc", "dct-cm", "context-rans"])
def test_an_output_over_the_frames_own_bytes_is_refused(codec: str) -> None:
    q = np.random.default_rng(0).integers(0, 3, (4, 16, 16)).astype(np.uint8)
    frame = fmapzip.encode(q, codec)
    memory = np.zeros(len(frame) + q.size, np.uint8)
    memory[: len(frame)] = np.frombuffer(frame, np.uint8)
    data = memoryview(memory)[: len(frame)]
    out = memory[len(frame) - 1 : len(frame) - 1 + q.size].reshape(q.shape)
    with pytest.raises(InvalidInput, match="shares memory"):
        fmapzip.decode(data, out)
    with pytest.raises(InvalidInput, match="shares memory"):
        fmapzip.decode_batch(data, out[None])
    beside = memory[len(frame) :].reshape(q.shape)
    assert (fmapzip.decode(data, beside) == q).all()
    assert (fmapzip.decode_batch(data, beside[:, ::-1][None]) == q).all()


def test_a_frame_over_the_map_that_it_is_made_of_is_refused() -> None:
    memory = np.zeros(5000, np.uint8)
    q = memory[:4096].reshape(16, 16, 16)
    with pytest.raises(InvalidInput, match="shares memory"):
        fmapzip.encode_into(q, memory[4095:], "zvc")
    assert fmapzip.encode_into(q, memory[4096:], "zvc") == len(fmapzip.encode(q, "zvc"))


OUTCOMES = """
codec, seed = sys.argv[1], int(sys.argv[2])
q = np.random.default_rng(seed).integers(0, 9, (34, 9, 7)).astype(np.uint8)
q[::2] //= 7
settings = {}
if codec == "dct-cm":
    settings = {"path": ("mask", "transform")[seed % 2], "coding": ("bitmap", "rans")[seed // 2]}
if codec in ("max", "ultra"):
    sys.path.insert(0, sys.argv[3])
    from untrained import Untrained
    codec, q = Untrained(level=codec), np.repeat(np.repeat(q[:12] * (q[:12] > 6), 2, 1), 3, 2)
frame = fmapzip.encode(q, codec, **settings)
rng = np.random.default_rng(seed)
for _ in range(400):
    forged = bytearray(frame[:-4])
    forged[int(rng.integers(5, len(forged)))] ^= 1 << int(rng.integers(8))
    forged += fmapzip._core.crc32c(bytes(forged)).to_bytes(4, "little")
    try:
        print(fmapzip._core.crc32c(fmapzip.decode(bytes(forged), limits=fmapzip.Limits(1 << 20)).tobytes()))
    except (fmapzip.errors.FmapzipError, LookupError) as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("codec", "seed"),
    [
        ("zvc", 0),
        ("context-rans", 0),
        ("context-rans", 1),
        *(("dct-cm", i) for i in range(4)),
        ("max", 0),
        ("ultra", 0),
    ],
)
def test_errors_and_their_places_do_not_depend_on_the_instruction_set(codec: str, seed: int) -> None:
    here = Path(__file__).parent
    found = {simd: run(OUTCOMES, codec, seed, here, FMAPZIP_SIMD=simd).split("\n") for simd in _core.simd_available()}
    for simd in found.keys() - {"scalar"}:
        differing = [(a, b) for a, b in zip(found["scalar"], found[simd], strict=True) if a != b]
        assert not differing, (simd, differing[:3])


def test_words_that_run_out_are_truncated_on_every_instruction_set(tmp_path: Path) -> None:
    """A frame whose last tile's words run out where instruction sets look for the end at different moments."""
    rng = np.random.default_rng(5)
    q = (rng.integers(0, 40, (130, 6, 6)) * (rng.random((130, 6, 6)) < 0.7)).astype(np.uint8)
    frame = fmapzip.encode(q, "context-rans", level="fast")
    parsed = _core.Frame(frame, 0, 1 << 20, 1 << 20, True)
    offset, length, table = parsed.payload_offset, parsed.payload_bytes, parsed.lengths_offset
    frames = []
    for cut in (2, 4, 8, 16, 32, 64):
        shorter = bytearray(frame[: offset + length - cut])
        shorter[table : table + 4] = (length - cut).to_bytes(4, "little")
        frames.append(signed_frame(bytes(shorter)))
    path = tmp_path / "frames"
    path.write_bytes(b"".join(len(f).to_bytes(4, "little") + f for f in frames))
    script = """
data = open(sys.argv[1], "rb").read()
while data:
    size = int.from_bytes(data[:4], "little")
    try:
        fmapzip.decode(data[4 : 4 + size])
    except fmapzip.errors.FrameError as error:
        print(type(error).__name__)
    data = data[4 + size :]
"""
    for simd in _core.simd_available():
        assert run(script, path, FMAPZIP_SIMD=simd).split() == ["TruncatedFrame"] * len(frames)


def offsets_for(channels: int) -> bytes:
    """Parameters of context-rans with a stored offset for each of `channels`, one bit each."""
    bits = "0000" + 16 * "111111110" + "0000" + 16 * "0" + 2 * "00000" + "0000"  # tables, contexts, Rice parameter
    size = (len(bits) + channels + 7) // 8
    packed = int(bits[::-1], 2).to_bytes(size, "little")
    number = b""
    left = channels
    while left >= 128:
        number += bytes([left & 127 | 128])
        left >>= 7
    return bytes([1 | 4, 0]) + number + bytes([left]) + bytes(8) + bytes(2) + bytes([1, 1]) + packed


def frame_of(channels: int, parameters: bytes) -> bytes:
    size = b""
    left = len(parameters)
    while left >= 128:
        size += bytes([left & 127 | 128])
        left >>= 7
    head = (
        b"FMAP\0\4\x18"
        + bytes([channels, 1, 1])
        + size
        + bytes([left])
        + parameters
        + b"\1"
        + (4).to_bytes(4, "little")
    )
    return signed_frame(head + bytes(4))


def test_parameters_are_held_against_the_map_before_tables_are_built(tmp_path: Path) -> None:
    path = tmp_path / "frame"
    path.write_bytes(frame_of(64, offsets_for((16 << 23) - 2000)))
    out = run(
        """
frame = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for work in (fmapzip.decode, fmapzip.inspect):
    try:
        work(frame)
    except fmapzip.errors.CorruptFrame as error:
        assert "another number of channels" in str(error), error
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
""",
        path,
    )
    assert [int(x) < 80 for x in out.split()] == [True, True], out
    with pytest.raises(FrameError, match="state is out of range"):  # what remains wrong where the number is right
        fmapzip.decode(frame_of(64, offsets_for(64)))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("path", ["mask", "transform"])
@pytest.mark.parametrize("coding", ["bitmap", "rans"])
def test_encoding_one_channel_takes_memory_near_the_maps_size(path: str, coding: str) -> None:
    out = run(
        """
path, coding = sys.argv[1:]
q = np.random.default_rng(0).integers(0, 256, (1, 4096, 1024)).astype(np.uint8)
codec = fmapzip.registry.make("dct-cm", path=path, coding=coding)
prepared = fmapzip._core.Codec(3, codec.parameters(q[:, :64]))
limit_memory(64)
frame, = fmapzip._core.encode_batch(q[None], prepared, b"", False, 0, b"", 0, 1)
assert len(frame) <= fmapzip.frame_bound(q.shape)
assert path == "transform" or (fmapzip.decode(frame) == q).all()
print("done")
""",
        path,
        coding,
    )
    assert out.split() == ["done"]


def test_an_error_is_at_a_byte_of_the_frame() -> None:
    q = np.random.default_rng(0).integers(0, 200, (8, 16, 16)).astype(np.uint8)
    frame = fmapzip.encode(q, "dct-cm", path="transform", order="natural", step=16)
    parsed = _core.Frame(frame, 0, 1 << 20, 1 << 20, True)
    at = frame.index(parsed.parameters)
    bad_step = bytearray(frame[:-4])
    bad_step[at + 2 + 2 * 3 : at + 4 + 2 * 3] = b"\1\0"  # the fourth step, below the least
    with pytest.raises(CorruptFrame, match=rf"step.*\(at byte {at + 2 + 2 * 3}\)"):
        fmapzip.decode(signed_frame(bytes(bad_step)))
    bad = signed_frame(bytes(bad_step))
    with pytest.raises(
        CorruptFrame, match=rf"\(at byte {at + 2 + 2 * 3} of the frame that begins at byte {len(frame)}\)"
    ):
        fmapzip.decode_batch(frame + bad)


def test_a_tiles_error_is_at_a_byte_of_the_frame() -> None:
    q = np.random.default_rng(0).integers(0, 2, (64, 64, 64)).astype(np.uint8)
    frame = fmapzip.encode(q, "zvc")
    parsed = _core.Frame(frame, 0, 1 << 20, 1 << 20, True)
    offset, length = parsed.payload_offset + len(parsed.body(0)), len(parsed.body(1))
    bitmap = 64 * 32 * 64 // 8
    changed = bytearray(frame[:-4])
    changed[offset] ^= 1
    with pytest.raises(CorruptFrame, match=rf"bitmap.*\(at byte {offset + bitmap}\)"):
        fmapzip.decode(signed_frame(bytes(changed)))
    assert length > bitmap


def test_a_map_that_default_readers_refuse_is_not_encoded_by_accident() -> None:
    small = fmapzip.Limits(max_values=100)
    q = np.zeros((3, 4, 5, 6), np.uint8)
    for work in (fmapzip.encode, lambda q, **options: fmapzip.encode_into(q, np.empty(999, np.uint8), **options)):
        with pytest.raises(InvalidInput, match=r"limits\.max_values, 100"):
            work(q[0], limits=small)
        assert work(q[0, :3], limits=small)
    with pytest.raises(InvalidInput, match=r"limits\.max_values, 100"):
        fmapzip.encode_batch(q, limits=small)
    assert len(fmapzip.encode_batch(q[:, :3], limits=small)) == 3
    huge = np.broadcast_to(np.uint8(0), (2, 1 << 14, (1 << 13) + 1))
    with pytest.raises(InvalidInput, match=rf"limits\.max_values, {1 << 28}"):
        fmapzip.encode(huge)
