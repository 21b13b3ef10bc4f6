from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, registry
from fmapzip.archive import Archive, ArchiveWriter
from fmapzip.archive.records import FOOTER, HEADER, Kind, pack
from fmapzip.errors import CorruptArchive, FmapzipError, FrameError, InvalidInput, UnsupportedVersion


def sparse_map(seed: int, shape: tuple[int, ...] = (6, 5, 4)) -> np.ndarray:
    return np.maximum(np.random.default_rng(seed).normal(0, 30, shape), 0).astype(np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive of three samples of ``b`` and two of ``a``, written in turns."""
    with ArchiveWriter(tmp_path / "maps.fmz", metadata={"model": "demo"}) as out:
        for sample in range(3):
            for name in ("b", "a")[: 2 if sample < 2 else 1]:
                out.add(name, sample, fmapzip.encode(sparse_map(sample)))
    return tmp_path / "maps.fmz"


def test_frames_come_back_by_name_and_sample_in_any_order(path: Path) -> None:
    with Archive(path) as archive:
        assert archive.names == ("b", "a")
        assert archive.samples("b") == [0, 1, 2]
        assert len(archive) == 5
        assert ("a", 1) in archive
        assert ("a", 2) not in archive
        assert not archive.recovered
        assert archive.metadata == {"model": "demo"}
        for name, sample in reversed(list(archive)):
            np.testing.assert_array_equal(archive[name, sample], sparse_map(sample))
            assert archive.frame_bytes(name, sample) == len(archive.frame(name, sample))


def test_a_name_alone_gives_all_its_samples_as_a_batch(path: Path) -> None:
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive["b"], np.stack([sparse_map(i) for i in range(3)]))
        np.testing.assert_array_equal(archive["a"], np.stack([sparse_map(i) for i in range(2)]))
        with pytest.raises(KeyError):
            archive["c"]
        assert repr(archive) == f"<Archive {str(path)!r}: 5 frames of 2 maps>"


def test_samples_that_differ_in_shape_make_no_batch(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        for sample in range(2):
            out.add("a", sample, fmapzip.encode(sparse_map(0, (2, 3, 3 + sample))))
    with Archive(tmp_path / "x.fmz") as archive, pytest.raises(InvalidInput, match="differ in shape"):
        archive["a"]


def test_what_is_not_there_is_a_key_error(path: Path) -> None:
    with Archive(path) as archive:
        for key in (("b", 3), ("a", 2), ("c", 0)):
            with pytest.raises(KeyError):
                archive[key]


def test_an_embedded_plan_decodes_its_frames(tmp_path: Path) -> None:
    plan = Plan((TapPlan("conv", (6, 5, 4), QuantParams("uint8", (0.5,)), registry.make("zvc")),))
    with ArchiveWriter(tmp_path / "x.fmz", plan=plan) as out:
        out.add("conv", 7, fmapzip.encode(sparse_map(1), plan=plan))
    with Archive(tmp_path / "x.fmz") as archive:
        assert archive.plan == plan
        np.testing.assert_array_equal(archive.read("conv", 7, dequantize=True), sparse_map(1) * np.float32(0.5))


def test_an_archive_without_frames_is_one(tmp_path: Path) -> None:
    ArchiveWriter(tmp_path / "x.fmz").close()
    with Archive(tmp_path / "x.fmz") as archive:
        assert (len(archive), list(archive), archive.names, archive.recovered) == (0, [], (), False)
        assert (archive.plan, archive.metadata) == (None, {})


def test_the_writer_refuses_what_could_not_be_read_back(tmp_path: Path) -> None:
    frame = fmapzip.encode(sparse_map(0))
    out = ArchiveWriter(tmp_path / "x.fmz")
    out.add("a", 0, frame)
    for name, sample in (("a", 0), ("a", -1), ("a", 2**32), ("", 0), ("a\nb", 0), ("x" * 1025, 0)):
        with pytest.raises(InvalidInput):
            out.add(name, sample, frame)
    with pytest.raises(FrameError):
        out.add("b", 0, frame[:-1])
    with pytest.raises(InvalidInput):
        out.describe({"x": float("nan")})
    out.close()
    with pytest.raises(InvalidInput, match="closed"):
        out.add("c", 0, frame)
    with Archive(tmp_path / "x.fmz") as archive:
        assert list(archive) == [("a", 0)]


def test_cut_anywhere_it_gives_the_whole_frames_before_the_cut(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    whole = {key: sparse_map(key[1]) for key in [("b", 0), ("a", 0), ("b", 1), ("a", 1), ("b", 2)]}
    counts = []
    for length in range(len(HEADER), len(data)):
        (tmp_path / "cut.fmz").write_bytes(data[:length])
        with Archive(tmp_path / "cut.fmz") as archive:
            assert archive.recovered
            assert set(archive) == set(list(whole)[: len(archive)])
            for key in archive:
                np.testing.assert_array_equal(archive[key], whole[key])
            counts.append(len(archive))
    assert counts == sorted(counts)
    assert counts[-1] == 5


def test_a_writer_left_by_an_error_leaves_its_frames_readable(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ArchiveWriter(tmp_path / "x.fmz") as out:  # noqa: PT012
        out.add("a", 0, fmapzip.encode(sparse_map(0)))
        raise KeyboardInterrupt
    with Archive(tmp_path / "x.fmz") as archive:
        assert archive.recovered
        np.testing.assert_array_equal(archive["a", 0], sparse_map(0))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_is_an_error_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    with ArchiveWriter(folder / "x.fmz", metadata={"n": 3}) as out:
        for sample in range(3):
            out.add("map", sample, fmapzip.encode(sparse_map(sample)))
    content = bytearray((folder / "x.fmz").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    (folder / "x.fmz").write_bytes(content)
    try:
        with Archive(folder / "x.fmz") as archive:
            for name, sample in archive:
                assert name == "map"
                np.testing.assert_array_equal(archive[name, sample], sparse_map(sample))
            assert archive.metadata in ({}, {"n": 3})
    except FmapzipError:
        pass


def test_other_files_and_versions_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"FMZ", b"PK\x03\x04 something else", HEADER[:-1] + b"\x01"):
        (tmp_path / "x.fmz").write_bytes(content)
        with pytest.raises(CorruptArchive):
            Archive(tmp_path / "x.fmz")
    (tmp_path / "x.fmz").write_bytes(b"FMZA\x09\0\0\0")
    with pytest.raises(UnsupportedVersion):
        Archive(tmp_path / "x.fmz")
    with pytest.raises(FileNotFoundError):
        Archive(tmp_path / "absent.fmz")


def test_an_index_that_lies_is_not_believed(path: Path, tmp_path: Path) -> None:
    """Exchange two frame records of equal length: the index then names the wrong ones."""
    frame = fmapzip.encode(np.zeros((2, 3, 3), np.uint8))
    with ArchiveWriter(tmp_path / "x.fmz") as out:
        for sample in range(2):
            out.add("a", sample, frame)
    data = (tmp_path / "x.fmz").read_bytes()
    record = 5 + 8 + len(frame) + 4
    first = data.index(frame) - 13
    swapped = (
        data[:first]
        + data[first + record : first + 2 * record]
        + data[first : first + record]
        + data[first + 2 * record :]
    )
    (tmp_path / "x.fmz").write_bytes(swapped)
    with Archive(tmp_path / "x.fmz") as archive, pytest.raises(CorruptArchive, match="not what the index says"):
        archive["a", 0]


@pytest.mark.parametrize("metadata", [b"[1]", b"{", b"[" * 100_000, b"\xff"])
def test_metadata_that_is_no_json_object_is_refused(tmp_path: Path, metadata: bytes) -> None:
    (tmp_path / "x.fmz").write_bytes(HEADER + pack(Kind.METADATA, metadata))
    with Archive(tmp_path / "x.fmz") as archive, pytest.raises(CorruptArchive, match="metadata"):
        _ = archive.metadata


def test_a_footer_that_points_nowhere_falls_back_to_scanning(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: -FOOTER.size] + b"\xff" * FOOTER.size)
    with Archive(path) as archive:
        assert archive.recovered
        assert len(archive) == 5


def ramp(start: int) -> np.ndarray:
    return np.maximum(37 * np.arange(start, start + 120) % 101 - 50, 0).astype(np.uint8).reshape(6, 5, 4)


def write_golden(path: Path) -> None:
    """What ``golden_v0.fmz`` holds; the file itself is never made again."""
    with ArchiveWriter(path, metadata={"made by": "test_archive.py", "ü": [1, 2.5, None]}) as out:
        for sample in (0, 7):
            out.add("conv/ü", sample, fmapzip.encode(ramp(sample), "zvc"))
            out.add("fc", sample, fmapzip.encode(np.arange(10, dtype=np.uint8) + sample, "raw"))


def test_the_golden_archive_reads_and_is_written_the_same_way(tmp_path: Path) -> None:
    golden = Path(__file__).with_name("golden_v0.fmz")
    with Archive(golden) as archive:
        assert list(archive) == [("conv/ü", 0), ("conv/ü", 7), ("fc", 0), ("fc", 7)]
        np.testing.assert_array_equal(archive["conv/ü", 7], ramp(7))
        assert archive["fc", 7].tolist() == list(range(7, 17))
        assert archive.metadata["ü"] == [1, 2.5, None]
    write_golden(tmp_path / "again.fmz")
    assert (tmp_path / "again.fmz").read_bytes() == golden.read_bytes()
