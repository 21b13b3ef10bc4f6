"""encode, decode, inspect: what they take, what they refuse, and how."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest

import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import PythonCodec
from fmapzip.errors import (
    CorruptFrame,
    InvalidInput,
    InvalidType,
    LimitExceeded,
    MissingCodec,
    PlanMismatch,
    TruncatedFrame,
    UnknownCodec,
    UnsupportedVersion,
)
from strategies import make_map

SPARSE = make_map((16, 9, 7), "sparse", np.uint8, 0)


def forge(frame: bytes, position: int, replacement: bytes) -> bytes:
    """The frame with other bytes in one place, and a checksum that fits."""
    body = frame[:position] + replacement + frame[position + len(replacement) : -4]
    return body + fmapzip._core.crc32c(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("q", "error"),
    [
        (SPARSE.astype(np.float32), InvalidType),
        (SPARSE.astype(np.uint16), InvalidType),
        (SPARSE.astype(bool), InvalidType),
        ("a string", InvalidType),
        (None, InvalidType),
        ([1, 2, 3], InvalidType),
        (np.zeros((2, 2, 2, 2, 2), np.uint8), InvalidInput),
        (np.uint8(3), InvalidInput),
        (np.zeros((0, 4, 4), np.uint8), InvalidInput),
        (np.zeros((4, 0, 4), np.uint8), InvalidInput),
    ],
)
def test_what_is_not_a_map_is_refused_with_a_typed_error(q: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        fmapzip.encode(q)


def test_the_buffer_protocol_is_enough() -> None:
    assert np.array_equal(fmapzip.decode(fmapzip.encode(bytearray(b"\0\1\2\0"))), [0, 1, 2, 0])
    assert np.array_equal(fmapzip.decode(memoryview(fmapzip.encode(memoryview(SPARSE)))), SPARSE)


def test_a_read_only_map_is_encoded_and_a_read_only_output_refused() -> None:
    q = SPARSE.copy()
    q.flags.writeable = False
    frame = fmapzip.encode(q)
    with pytest.raises(InvalidInput, match="read-only"):
        fmapzip.decode(frame, q)


@pytest.mark.parametrize(
    "out", [np.zeros((16, 9, 6), np.uint8), np.zeros((16, 63), np.uint8), np.zeros((16, 9, 7), np.int8)]
)
def test_an_output_of_another_shape_or_dtype_is_refused(out: np.ndarray[Any, Any]) -> None:
    with pytest.raises((InvalidInput, InvalidType)):
        fmapzip.decode(fmapzip.encode(SPARSE), out)


def test_encode_into_a_buffer_gives_the_same_bytes_and_refuses_a_small_one() -> None:
    frame = fmapzip.encode(SPARSE)
    out = np.zeros(fmapzip.frame_bound(SPARSE.shape), np.uint8)
    size = fmapzip.encode_into(SPARSE, out)
    assert out[:size].tobytes() == frame
    with pytest.raises(InvalidInput, match=str(len(frame))):
        fmapzip.encode_into(SPARSE, np.zeros(10, np.uint8))


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_a_number_of_threads_that_makes_no_sense_is_refused(threads: Any) -> None:
    with pytest.raises(InvalidInput):
        fmapzip.encode(SPARSE, threads=threads)


def test_an_unknown_codec_error_lists_what_exists() -> None:
    with pytest.raises(UnknownCodec, match="raw, zvc"):
        fmapzip.encode(SPARSE, "jpeg")


def test_a_setting_of_the_wrong_type_is_named() -> None:
    with pytest.raises(InvalidInput, match="setting 'step' of codec 'dct-cm': expected `float`, got `str`"):
        fmapzip.encode(SPARSE, codec="dct-cm", step="x")
    with pytest.raises(InvalidInput, match=r"setting 'keep\[1\]' of codec 'dct-cm': expected `int`, got `str`"):
        fmapzip.encode(SPARSE, codec="dct-cm", keep=[0, "b"])


def test_an_unknown_setting_error_lists_what_exists() -> None:
    with pytest.raises(InvalidInput, match="its settings: tile_values"):
        fmapzip.encode(SPARSE, "zvc", level=3)


def test_a_header_that_claims_2_to_the_31_values_allocates_nothing() -> None:
    frame = fmapzip.encode(np.zeros((1, 1, 1), np.uint8))
    dims = frame.index(b"\1\1\1", 6)
    huge = frame[:dims] + b"\x80\x80\x80\x80\x08" + frame[dims + 1 : -4]
    huge += fmapzip._core.crc32c(huge).to_bytes(4, "little")
    with pytest.raises(LimitExceeded):
        fmapzip.decode(huge)


def test_the_callers_limit_is_kept() -> None:
    frame = fmapzip.encode(SPARSE)
    with pytest.raises(LimitExceeded):
        fmapzip.decode(frame, limits=fmapzip.Limits(max_values=SPARSE.size - 1))
    assert np.array_equal(fmapzip.decode(frame, limits=fmapzip.Limits(max_values=SPARSE.size)), SPARSE)


def test_each_way_of_being_no_frame_has_its_error() -> None:
    frame = fmapzip.encode(SPARSE)
    with pytest.raises(CorruptFrame, match="magic"):
        fmapzip.decode(b"PNG!" + frame[4:])
    with pytest.raises(UnsupportedVersion):
        fmapzip.decode(forge(frame, 4, b"\x07"))
    with pytest.raises(UnsupportedVersion, match="later release"):
        fmapzip.decode(forge(frame, 6, bytes([frame[6] | 0x80])))
    with pytest.raises(TruncatedFrame):
        fmapzip.decode(b"")
    with pytest.raises(CorruptFrame, match="follow"):
        fmapzip.decode(frame + b"\0")
    with pytest.raises(CorruptFrame, match="checksum"):
        fmapzip.decode(frame[:-1] + bytes([frame[-1] ^ 1]))
    with pytest.raises(MissingCodec):
        fmapzip.decode(forge(frame, 5, b"\xee"))


def test_frames_one_after_another_decode_as_a_batch() -> None:
    batch = np.stack([make_map((8, 5, 5), "sparse", np.uint8, seed) for seed in range(5)])
    frames = fmapzip.encode_batch(batch, threads=2)
    assert frames == [fmapzip.encode(sample) for sample in batch]
    for given in (frames, b"".join(frames)):
        assert np.array_equal(fmapzip.decode_batch(given, threads=2), batch)
    out = np.zeros((5, 5, 5, 8), np.uint8).transpose(0, 3, 1, 2)
    fmapzip.decode_batch(frames, out)
    assert np.array_equal(out, batch)


def test_a_batch_of_unequal_or_no_frames_is_refused() -> None:
    with pytest.raises(InvalidInput, match="differ"):
        fmapzip.decode_batch([fmapzip.encode(SPARSE), fmapzip.encode(SPARSE[1:])])
    with pytest.raises(InvalidInput, match="no frame"):
        fmapzip.decode_batch(b"")


@pytest.mark.parametrize("scale", [(0.25,), tuple(np.linspace(0.1, 2, 16))])
def test_a_frame_with_its_quantizer_decodes_to_floats(scale: tuple[float, ...]) -> None:
    quantizer = fmapzip.QuantParams("uint8", scale)
    frame = fmapzip.encode(SPARSE, quantizer=quantizer)
    assert np.array_equal(fmapzip.decode(frame, dequantize=True), quantizer.dequantize(SPARSE))
    assert fmapzip.inspect(frame).quantizer is not None


def test_floats_need_a_quantizer() -> None:
    with pytest.raises(InvalidInput, match="no quantizer"):
        fmapzip.decode(fmapzip.encode(SPARSE), dequantize=True)


def test_inspect_accounts_for_every_byte() -> None:
    for q in (SPARSE, make_map((5, 6, 7), "noise", np.int8, 1), make_map((90, 60, 60), "sparse", np.uint8, 2)):
        for codec in ("raw", "zvc"):
            frame = fmapzip.encode(q, codec)
            info = fmapzip.inspect(frame)
            assert sum(info.sections.values()) == len(frame) == info.total_bytes
            assert info.codec == codec
            assert info.shape == q.shape


def one_tap_plan(codec: str = "zvc") -> fmapzip.Plan:
    tap = fmapzip.TapPlan("conv1", SPARSE.shape, fmapzip.QuantParams("uint8", (0.5,)), registry.make(codec), b"")
    return fmapzip.Plan((tap,))


def test_a_frame_of_a_plan_decodes_with_that_plan_only() -> None:
    plan = one_tap_plan()
    frame = fmapzip.encode(SPARSE, plan=plan)
    assert np.array_equal(fmapzip.decode(frame, plan=plan), SPARSE)
    assert np.array_equal(fmapzip.decode(frame, plan=plan, dequantize=True), SPARSE * np.float32(0.5))
    with pytest.raises(PlanMismatch):
        fmapzip.decode(frame)
    with pytest.raises(PlanMismatch):
        fmapzip.decode(frame, plan=one_tap_plan("raw"))


def test_a_tap_that_the_plan_lacks_is_refused() -> None:
    with pytest.raises((PlanMismatch, LookupError)):
        fmapzip.encode(SPARSE, plan=one_tap_plan(), tap="conv9")


class Halves(PythonCodec):
    """A third party's codec for maps of small values: two values a byte."""

    id: ClassVar[str] = "test-halves"

    @property
    def lossless(self) -> bool:
        return True

    def encode_tile(self, tile: Any, parameters: bytes) -> bytes:
        flat = tile.reshape(-1)
        return flat.tobytes() if flat.max(initial=0) > 15 or flat.size % 2 else (flat[::2] | flat[1::2] << 4).tobytes()

    def decode_tile(self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes) -> Any:
        pairs = np.frombuffer(body, np.uint8)
        if 2 * pairs.size != np.prod(shape):
            raise CorruptFrame("not half as many bytes as values")
        return np.stack([pairs & 15, pairs >> 4], 1).reshape(shape).astype(dtype)


def test_a_registered_codec_of_a_third_party_works_in_frames() -> None:
    registry.register(Halves)
    assert "test-halves" in registry.names()
    q = np.arange(120, dtype=np.uint8).reshape(6, 4, 5) % 16
    frame = fmapzip.encode(q, "test-halves")
    assert len(frame) < q.size
    assert np.array_equal(fmapzip.decode(frame), q)
    assert fmapzip.inspect(frame).codec == "test-halves"
    assert np.array_equal(fmapzip.decode_batch(fmapzip.encode_batch(q[None], "test-halves"))[0], q)
    assert np.array_equal(fmapzip.decode(fmapzip.encode(q + 100, "test-halves")), q + 100)


def test_a_codec_id_cannot_be_taken_twice() -> None:
    class Thief(Halves):
        id: ClassVar[str] = "zvc"

    with pytest.raises(InvalidInput, match="exists already"):
        registry.register(Thief)


def test_importing_fmapzip_loads_nothing_heavy() -> None:
    heavy = ("torch", "matplotlib", "onnxruntime", "scipy", "PIL", "rich", "typer")
    code = f"import sys, fmapzip; print([m for m in {heavy!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_torch_tensors_are_encoded_without_a_copy_and_never_written_when_they_require_grad() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(SPARSE.copy())
    assert fmapzip.encode(tensor) == fmapzip.encode(SPARSE)
    out = torch.zeros(SPARSE.shape, dtype=torch.uint8)
    assert fmapzip.decode(fmapzip.encode(SPARSE), out) is out
    assert np.array_equal(out.numpy(), SPARSE)
    with pytest.raises(InvalidInput, match="detach"):
        fmapzip.encode(torch.zeros(3, 3, 3, requires_grad=True))
    with pytest.raises(InvalidInput, match="grad"):
        fmapzip.decode(fmapzip.encode(SPARSE), torch.zeros(3, requires_grad=True))


class Interrupted:
    """An array whose export the user interrupts."""

    requires_grad = False

    def __dlpack__(self, **options: Any) -> Any:
        raise KeyboardInterrupt

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def test_an_interrupt_while_an_array_is_handed_over_stays_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        fmapzip.encode(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        fmapzip.decode(fmapzip.encode(SPARSE), out=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        fmapzip.decode_batch([fmapzip.encode(SPARSE)], out=Interrupted())
