"""inspect: every byte has its section, or the frame is refused by a typed error."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import fmapzip
from battery import SUBJECTS
from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.errors import CorruptFrame, FrameError, MissingCodec
from strategies import make_map
from test_api import SPARSE, Halves, forge

IDS = [str(codec) for codec in SUBJECTS]
DENSE = make_map((12, 10, 11), "noise", np.int8, 3) // 4


@pytest.mark.parametrize("codec", SUBJECTS, ids=IDS)
@pytest.mark.parametrize("q", [SPARSE, DENSE], ids=["sparse", "dense"])
def test_sections_of_valid_frames_sum_to_the_frame(codec: Codec, q: Any) -> None:
    frame = fmapzip.encode(q, codec)
    sections = fmapzip.inspect(frame).sections
    assert sum(sections.values()) == len(frame)
    assert min(sections.values()) >= 0


@pytest.mark.parametrize("codec", SUBJECTS, ids=IDS)
def test_corrupt_bodies_and_parameters_are_refused_by_typed_errors_or_add_up(codec: Codec) -> None:
    rng = np.random.default_rng(5)
    frame = fmapzip.encode(SPARSE, codec)
    for _ in range(300):
        at = int(rng.integers(10, len(frame) - 4))
        forged = forge(frame, at, rng.integers(0, 256, 1, np.uint8).tobytes())
        try:
            info = fmapzip.inspect(forged)
        except (FrameError, MissingCodec):
            continue
        assert sum(info.sections.values()) == len(forged)
        assert min(info.sections.values()) >= 0


def body_of(codec: int, shape: tuple[int, int, int], parameters: bytes, body: bytes) -> bytes:
    """A frame with a valid header and one coded tile that may hold anything."""
    head = b"FMAP\0" + bytes([codec, 0x18]) + bytes(shape) + bytes([len(parameters)]) + parameters
    head += bytes([shape[1]]) + len(body).to_bytes(4, "little") + body
    return head + fmapzip._core.crc32c(head).to_bytes(4, "little")


@pytest.mark.parametrize("body", [b"\0", b"\xff" * 40, b"\x10" * 500])
def test_a_dct_cm_body_that_no_encoder_writes_is_refused_as_decoding_refuses_it(body: bytes) -> None:
    frame = body_of(3, (8, 8, 8), b"\0", body)
    with pytest.raises(FrameError):
        fmapzip.decode(frame)
    with pytest.raises(FrameError):
        fmapzip.inspect(frame)


def test_a_zvc_body_shorter_than_its_bitmap_is_refused() -> None:
    with pytest.raises(FrameError, match="bitmap"):
        fmapzip.inspect(body_of(2, (8, 8, 8), b"", b"\1\2\3"))


def test_a_plans_frame_whose_tile_its_parameters_do_not_fit_is_refused() -> None:
    codec = registry.make("dct-cm", path="transform", coding="bitmap", order="natural")
    other = codec.train(make_map((9, 8, 8), "noise", np.uint8, 1)[None])
    tap = fmapzip.TapPlan("a", (9, 8, 8), fmapzip.QuantParams("uint8", (0.5,)), codec, other)
    plan = fmapzip.Plan((tap,))
    frame = fmapzip.encode(make_map((9, 8, 8), "sparse", np.uint8, 1), plan=plan)
    assert sum(fmapzip.inspect(frame, plan).sections.values()) == len(frame)
    assert "body" in fmapzip.inspect(frame).sections


class Absent(Halves):
    id: ClassVar[str] = "test-absent"


def test_a_frame_of_a_codec_that_is_not_installed_is_inspected_but_not_decoded() -> None:
    frame = Absent().encode(np.arange(120, dtype=np.uint8).reshape(6, 4, 5) % 16)
    info = fmapzip.inspect(frame)
    assert (info.codec, info.sections["body"]) == ("test-absent", 60)
    with pytest.raises(MissingCodec):
        fmapzip.decode(frame)


def test_a_codec_that_miscounts_is_named_corrupt_instead_of_believed() -> None:
    class Miscounting(Halves):
        id: ClassVar[str] = "test-miscounting"

        def sections(self, body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
            return {"values": len(body) + 1, "debt": -1}

    registry.register(Miscounting)
    frame = Miscounting().encode(np.zeros((6, 4, 5), np.uint8))
    with pytest.raises(CorruptFrame, match="sections"):
        fmapzip.inspect(frame)
