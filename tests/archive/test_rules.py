"""Archives that break a rule of docs/FORMAT.md although every checksum holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, registry
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.archive.records import (
    ENTRY,
    FRAME_KEY,
    HEADER,
    Index,
    Kind,
    pack,
    pack_footer,
    pack_index,
)
from fmapzip.errors import CorruptArchive, FmapzipError, InvalidInput, InvalidType

FRAME = fmapzip.encode(np.zeros((2, 3, 3), np.uint8), "raw")


def name(text: bytes) -> bytes:
    return pack(Kind.NAME, text)


def frame(number: int, sample: int) -> bytes:
    return pack(Kind.FRAME, FRAME_KEY.pack(number, sample) + FRAME)


def indexed(records: bytes, index: Index) -> bytes:
    body = HEADER + records
    return body + pack(Kind.INDEX, pack_index(index)) + pack_footer(len(body))


def entries(*rows: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), ENTRY)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (name(b"a") + name(b"b") + name(b"a"), "names 'a' twice"),
        (name(b"a") + name(b"a"), "names 'a' twice"),
        (name(b""), "not valid"),
        (name(b"a\nb"), "not valid"),
        (name(b"\xe2\x80\xae"), "not valid"),
        (name(b"\xff"), "not valid"),
        (name(b"\xed\xa0\x80"), "not valid"),
        (name(b"x" * 1025), "not valid"),
        (frame(0, 0), "no name before it"),
        (frame(0, 0) + name(b"a"), "no name before it"),
        (name(b"a") + frame(0, 3) + frame(0, 3), "there already"),
        (name(b"a") + pack(Kind.FRAME, bytes(7)), "too short"),
        (pack(Kind.PLAN, b"") + pack(Kind.PLAN, b""), "second plan"),
    ],
)
def test_records_that_break_a_rule_are_refused_without_an_index(tmp_path: Path, records: bytes, message: str) -> None:
    (tmp_path / "x.fmz").write_bytes(HEADER + records)
    with pytest.raises(CorruptArchive, match=message):
        Archive(tmp_path / "x.fmz")


RECORDS = name(b"a") + frame(0, 0) + frame(0, 1)
FIRST = len(HEADER) + len(name(b"a"))
SECOND = FIRST + len(frame(0, 0))
SIZE = len(FRAME)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (Index(0, 0, ("a", "a"), entries((0, 0, FIRST, SIZE))), "a name twice"),
        (Index(0, 0, ("a", ""), entries()), "not valid"),
        (Index(0, 0, ("a\u202e",), entries()), "not valid"),
        (Index(0, 0, ("a",), entries((0, 1, SECOND, SIZE), (0, 0, FIRST, SIZE))), "not in order"),
        (Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE), (0, 0, SECOND, SIZE))), "not in order"),
        (Index(0, 0, ("a",), entries((1, 0, FIRST, SIZE))), "without a name"),
        (Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE), (0, 1, FIRST, SIZE))), "overlap"),
        (Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE + 1), (0, 1, SECOND, SIZE))), "overlap"),
        (Index(FIRST, 0, ("a",), entries((0, 0, FIRST, SIZE))), "overlap"),
        (Index(FIRST, FIRST, ("a",), entries()), "overlap"),
        (Index(0, 0, ("a",), entries((0, 1, SECOND, SIZE + 1))), "outside"),
        (Index(0, 0, ("a",), entries((0, 1, SECOND, 2**32 - 1))), "outside"),
        (Index(0, 0, ("a",), entries((0, 1, 2**64 - 1, SIZE))), "outside"),
        (Index(0, 0, ("a",), entries((0, 1, 7, SIZE))), "outside"),
        (Index(2**64 - 1, 0, ("a",), entries()), "outside"),
        (Index(0, len(HEADER + RECORDS), ("a",), entries()), "outside"),
    ],
)
def test_an_index_that_breaks_a_rule_is_refused(tmp_path: Path, index: Index, message: str) -> None:
    (tmp_path / "x.fmz").write_bytes(indexed(RECORDS, index))
    with pytest.raises(CorruptArchive, match=message):
        Archive(tmp_path / "x.fmz")


def test_the_same_index_without_a_fault_is_read(tmp_path: Path) -> None:
    index = Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE), (0, 1, SECOND, SIZE)))
    (tmp_path / "x.fmz").write_bytes(indexed(RECORDS, index))
    with Archive(tmp_path / "x.fmz") as archive:
        assert [archive.frame(*key) for key in archive] == [FRAME, FRAME]


def test_nothing_stands_between_index_and_footer_and_nothing_follows_them(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        out.add("a", 0, FRAME)
    whole = (tmp_path / "x.fmz").read_bytes()
    (tmp_path / "x.fmz").write_bytes(whole[:-16] + name(b"b") + whole[-16:])
    with pytest.raises(CorruptArchive, match="footer"):
        Archive(tmp_path / "x.fmz")
    (tmp_path / "x.fmz").write_bytes(HEADER + RECORDS + pack_footer(FIRST))
    with pytest.raises(CorruptArchive, match="footer"):
        Archive(tmp_path / "x.fmz")


def test_walking_ends_at_the_index(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        out.add("a", 0, FRAME)
    whole = (tmp_path / "x.fmz").read_bytes()
    (tmp_path / "x.fmz").write_bytes(whole + frame(0, 1))
    with Archive(tmp_path / "x.fmz") as archive:
        assert archive.recovered
        assert list(archive) == [("a", 0)]


def problems(path: Path) -> list[str]:
    with Archive(path) as archive:
        return list(archive.verify())


def test_verifying_a_sound_archive_finds_nothing(tmp_path: Path) -> None:
    plan = Plan((TapPlan("a", (2, 3, 3), QuantParams("uint8", (0.5,)), registry.make("zvc")),))
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan, metadata={"n": 1}) as out:
        out.add("a", 0, fmapzip.encode(np.zeros((2, 3, 3), np.uint8), plan=plan))
        out.describe({"n": 2})
        out.add("b", 0, FRAME)
    assert problems(tmp_path / "x.fmz") == []


def test_verifying_finds_a_change_of_any_byte(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.fmz", metadata={"n": 1}) as out:
        out.describe({"n": 2})
        for sample in range(2):
            out.add("a", sample, FRAME)
    whole = (tmp_path / "x.fmz").read_bytes()
    for at in range(len(whole)):
        (tmp_path / "x.fmz").write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            assert problems(tmp_path / "x.fmz"), at
        except FmapzipError:
            continue


def test_verifying_finds_records_that_the_index_leaves_out(tmp_path: Path) -> None:
    index = Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE)))
    (tmp_path / "x.fmz").write_bytes(indexed(RECORDS, index))
    assert problems(tmp_path / "x.fmz") == ["the index is not what the records say"]


def test_verifying_finds_frames_that_do_not_decode_and_goes_on(tmp_path: Path) -> None:
    broken = pack(Kind.FRAME, FRAME_KEY.pack(0, 0) + FRAME[:-1] + bytes([FRAME[-1] ^ 1]))
    records = name(b"a") + broken + frame(0, 1) + pack(Kind.METADATA, b"{")
    index = Index(0, 0, ("a",), entries((0, 0, FIRST, SIZE), (0, 1, SECOND, SIZE)))
    index = Index(0, SECOND + len(frame(0, 1)), index.names, index.entries)
    (tmp_path / "x.fmz").write_bytes(indexed(records, index))
    metadata, sample = problems(tmp_path / "x.fmz")
    assert metadata.startswith("metadata: ")
    assert sample.startswith("a, sample 0: ")


def test_many_names_are_recovered(tmp_path: Path) -> None:
    """In linear time: looking each up in a list took minutes."""
    count = 100_000
    (tmp_path / "x.fmz").write_bytes(HEADER + b"".join(name(b"%d" % i) for i in range(count)) + frame(count - 1, 0))
    with Archive(tmp_path / "x.fmz") as archive:
        assert len(archive.names) == count
        assert [len(archive.samples(x)) for x in archive.names] == [0] * (count - 1) + [1]


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (("\ud800", 0), InvalidInput),
        ((b"a", 0), InvalidType),
        ((None, 0), InvalidType),
        (("a", 0.5), InvalidType),
        (("a", 1.0), InvalidType),
        (("a", "0"), InvalidType),
        (("a", -1), InvalidInput),
    ],
)
def test_the_writer_refuses_keys_that_no_archive_has(tmp_path: Path, key: tuple, error: type[Exception]) -> None:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        with pytest.raises(error):
            out.add(*key, FRAME)
        out.add("a", np.int64(3), memoryview(FRAME))
    with Archive(tmp_path / "x.fmz") as archive:
        assert list(archive) == [("a", 3)]
        assert archive.frame("a", 3) == FRAME
        assert "1 frame" in repr(archive)
