"""EBPC's streams against a plain bit-by-bit writing of the specification."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fmapzip import baselines
from fmapzip.baselines.ebpc import bpc_stream, znz_stream
from strategies import maps


def to_bytes(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def plain_znz(words: list[int]) -> str:
    bits, zeros = "", 0
    for word in words:
        if word == 0:
            zeros += 1
        if zeros and (word != 0 or zeros == 16):
            bits += "0" + format(zeros - 1, "04b")
            zeros = 0
        if word != 0:
            bits += "1"
    return bits + ("0" + format(zeros - 1, "04b") if zeros else "")


def plain_block(words: list[int]) -> str:
    count = len(words)
    place = (count - 1).bit_length()
    deltas = [format((b - a) & 0x1FF, "09b") for a, b in pairwise(words)]
    planes = ["".join(delta[8 - k] for delta in deltas) for k in range(9)]
    bits, zeros, below = format(words[0] & 0xFF, "08b"), 0, "0" * (count - 1)

    def zero_run(length: int) -> str:
        return {0: "", 1: "01"}.get(length, "001" + format(length - 2, "03b"))

    for plane in planes:
        changed = "".join("1" if a != b else "0" for a, b in zip(plane, below, strict=True))
        below = plane
        if "1" not in changed:
            zeros += 1
            continue
        bits += zero_run(zeros)
        zeros = 0
        if "0" not in changed:
            bits += "00000"
        elif "1" not in plane:
            bits += "00001"
        elif changed.strip("0") == "11":
            bits += "00010" + format(changed.index("1"), f"0{place}b")
        elif changed.count("1") == 1:
            bits += "00011" + format(changed.index("1"), f"0{place}b")
        else:
            bits += "1" + changed
    return bits + zero_run(zeros)


def plain_bpc(words: list[int], block: int) -> str:
    kept = [word for word in words if word]
    kept += [0] * (-len(kept) % block)
    return "".join(plain_block(kept[i : i + block]) for i in range(0, len(kept), block))


@given(q=maps(), block=st.sampled_from([8, 16]))
def test_streams_are_those_of_the_specification(q: NDArray[np.uint8], block: int) -> None:
    words = [int(v) for v in q.reshape(-1)]
    assert znz_stream(q) == to_bytes(plain_znz(words))
    assert bpc_stream(q, block) == to_bytes(plain_bpc(words, block))


def test_a_block_worked_out_by_hand() -> None:
    # Differences 0 0 0 0 0 0 1: the lowest plane has a single one at place 6, the second plane differs by the same
    # one but is zero itself, and the seven planes above are zero.
    words = np.array([5, 5, 5, 5, 5, 5, 5, 6], np.uint8)
    assert bpc_stream(words) == to_bytes("00000101" + "00011" + "110" + "00001" + "001" + "101")
    assert znz_stream(words) == b"\xff"


@pytest.mark.parametrize("block", [8, 16])
def test_a_map_of_zeros_has_no_bit_plane_stream(block: int) -> None:
    assert bpc_stream(np.zeros((4, 5), np.uint8), block) == b""
    assert znz_stream(np.zeros(33, np.uint8)) == to_bytes("01111" + "01111" + "00000")


@given(q=maps(), block=st.sampled_from([8, 16]), data=st.data())
def test_a_damaged_stream_is_an_error_or_another_map(q: NDArray[np.uint8], block: int, data: st.DataObject) -> None:
    method = baselines.make("ebpc", block=block)
    encoded = bytearray(method.encode(q))
    encoded[data.draw(st.integers(4, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = method.decode(bytes(encoded), q.shape, q.dtype)
    except (ValueError, IndexError):
        return
    assert decoded.shape == q.shape
