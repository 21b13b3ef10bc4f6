"""Stores: folders of archives that several writers fill, that survive kills, and that are compacted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter, StoreWriter, compact, verify_store
from fmapzip.archive.store_index import INDEX, StoreIndex, read_index
from fmapzip.errors import CorruptArchive, FrameError, InvalidInput
from fmapzip.plan import Plan, TapPlan
from fmapzip.registry import make

QUANTIZER = fmapzip.QuantParams("uint8", (0.1,))
PLAN = Plan(tuple(TapPlan(name, (4, 6, 6), QUANTIZER, make("zvc")) for name in ("early", "late")))


def frames_of(number: int) -> dict[str, bytes]:
    values = np.random.default_rng(number).integers(0, 9, (2, 4, 6, 6)).astype(np.uint8)
    return {name: fmapzip.encode(q, plan=PLAN, tap=name) for name, q in zip(("early", "late"), values, strict=True)}


def fill(folder: Path, numbers: Iterable[int], shard_bytes: int = 1, **options: object) -> None:
    with StoreWriter(folder, plan=PLAN, shard_bytes=shard_bytes, **options) as out:  # type: ignore[arg-type]
        for number in numbers:
            out.add(f"{number}.png", frames_of(number), number % 3)


def names_of(folder: Path) -> list[str]:
    return [name for shard in index_of(folder).shards for name in Archive(folder / shard.file).metadata["images"]]


def index_of(folder: Path) -> StoreIndex:
    found = read_index(folder)
    assert found is not None
    return found


def is_whole(folder: Path, numbers: Iterable[int]) -> None:
    """Every sample is there once, in order, with its maps and label."""
    assert list(verify_store(folder)) == []
    assert names_of(folder) == [f"{number}.png" for number in numbers]
    for shard in index_of(folder).shards:
        with Archive(folder / shard.file) as archive:
            assert archive.plan == PLAN
            for sample, name in enumerate(archive.metadata["images"]):
                number = int(name.removesuffix(".png"))
                assert archive.metadata["labels"][sample] == number % 3
                assert {tap: archive.frame(tap, sample) for tap in archive.names} == frames_of(number)


def test_shards_end_at_a_size_and_the_index_lists_them(tmp_path: Path) -> None:
    fill(tmp_path, range(5), len(PLAN.to_bytes()) + 2 * sum(map(len, frames_of(0).values())))
    assert [(shard.file, shard.samples) for shard in index_of(tmp_path).shards] == [
        ("0-00000.fmz", 2),
        ("0-00001.fmz", 2),
        ("0-00002.fmz", 1),
    ]
    is_whole(tmp_path, range(5))


def test_writing_goes_on_where_it_ended(tmp_path: Path) -> None:
    fill(tmp_path, range(3), 1 << 20)
    with StoreWriter(tmp_path, plan=PLAN) as out:
        assert out.names == {"0.png", "1.png", "2.png"}
    fill(tmp_path, range(3, 5))
    is_whole(tmp_path, range(5))


def test_writers_of_several_processes_share_a_store(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[3:]; from test_store import *\n"
        "first, end = map(int, sys.argv[2].split(',')); fill(Path(sys.argv[1]), range(first, end), writer=f'w{first}')"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), part, str(Path(__file__).parent)])
        for part in ("1,5", "5,9", "9,13")
    ]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    is_whole(tmp_path, range(1, 13))


def test_one_name_is_for_one_writer_at_a_time(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, writer="a"):
        with pytest.raises(InvalidInput, match="another process writes as 'a'"):
            StoreWriter(tmp_path, writer="a")
        StoreWriter(tmp_path, writer="b").close()
    StoreWriter(tmp_path, writer="a").close()


KILLED = """
import sys, os; sys.path[:0] = [sys.argv[2]]; from test_store import *
out = StoreWriter(sys.argv[1], plan=PLAN, shard_bytes=3000)
for number in range(40):
    if f"{number}.png" in out.names: continue
    out.add(f"{number}.png", frames_of(number), number % 3)
    if number == int(sys.argv[3]): os._exit(9)
out.close()
"""


def test_a_killed_writer_loses_nothing_that_was_added(tmp_path: Path) -> None:
    for last, code in ((7, 9), (8, 9), (21, 9), (-1, 0)):
        command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), str(last)]
        done = subprocess.run(command, check=False)
        assert done.returncode == code
    is_whole(tmp_path, range(40))
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.parametrize(
    "line", [b"{", b"[", b"7", b'["a.png"]', b'["a.png", "cat"]', b"[3, 1]", b'["a.png", null]', b"\xff", b""]
)
def test_a_journal_with_a_damaged_line_is_a_typed_error_and_changes_nothing(tmp_path: Path, line: bytes) -> None:
    out = StoreWriter(tmp_path, plan=PLAN)
    for number in range(3):
        out.add(f"{number}.png", frames_of(number), number % 3)
    out.__exit__(KeyboardInterrupt, None, None)
    (journal,) = tmp_path.glob("*.names")
    sound = journal.read_bytes()
    lines = sound.splitlines(keepends=True)
    journal.write_bytes(lines[0] + line + b"\n" + lines[2])
    with pytest.raises(CorruptArchive, match=f"{journal.name}:2"):
        StoreWriter(tmp_path, plan=PLAN)
    journal.write_bytes(sound)
    StoreWriter(tmp_path, plan=PLAN).close()
    is_whole(tmp_path, range(3))


@pytest.mark.parametrize("cut", [0, 3, 40, 300, 1000])
def test_an_unfinished_shard_is_kept_up_to_where_it_is_whole(tmp_path: Path, cut: int) -> None:
    out = StoreWriter(tmp_path, plan=PLAN)
    for number in range(6):
        out.add(f"{number}.png", frames_of(number), number % 3)
    out.__exit__(KeyboardInterrupt, None, None)
    (partial,) = tmp_path.glob("*.partial")
    os.truncate(partial, partial.stat().st_size - cut)
    with StoreWriter(tmp_path, plan=PLAN) as out:
        kept = len(out.names)
        assert kept >= 6 - 1 - cut // 100
        for number in range(kept, 6):
            out.add(f"{number}.png", frames_of(number), number % 3)
    is_whole(tmp_path, range(6))


def test_a_finished_shard_that_was_not_listed_is_adopted(tmp_path: Path) -> None:
    fill(tmp_path, range(3))
    index = index_of(tmp_path)
    index.replacing([index.shards[-1].file], []).write(tmp_path)
    assert list(verify_store(tmp_path)) == ["0-00002.fmz is not in the index"]
    fill(tmp_path, range(3, 4))
    is_whole(tmp_path, range(4))


def test_compaction_joins_neighbours_and_keeps_order(tmp_path: Path) -> None:
    fill(tmp_path, range(5), writer="a")
    fill(tmp_path, range(5, 9), writer="b")
    one = index_of(tmp_path).shards[0].bytes
    assert compact(tmp_path, 4 * one) == (9, 3)
    is_whole(tmp_path, range(9))
    fill(tmp_path, range(9, 10), writer="b")
    assert compact(tmp_path) == (4, 1)
    is_whole(tmp_path, range(10))
    assert compact(tmp_path) == (1, 1)
    assert [path.name for path in tmp_path.glob("*.fmz")] == ["a-00000~2.fmz"]


def test_a_store_is_not_compacted_under_its_writer(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, plan=PLAN) as out:
        with pytest.raises(InvalidInput, match="writes as '0'"):
            compact(tmp_path)
        out.add("0.png", frames_of(0))
        out.__exit__(KeyboardInterrupt, None, None)
    with pytest.raises(InvalidInput, match="is not finished"):
        compact(tmp_path)
    with pytest.raises(InvalidInput, match="no store"):
        compact(tmp_path / "elsewhere")


def test_what_does_not_fit_a_store_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, range(2))
    with pytest.raises(InvalidInput, match="another plan"):
        StoreWriter(tmp_path)
    with pytest.raises(InvalidInput, match="letters, digits"):
        StoreWriter(tmp_path, plan=PLAN, writer="../a")
    with StoreWriter(tmp_path, plan=PLAN) as out:
        with pytest.raises(InvalidInput, match="is in the store already"):
            out.add("0.png", frames_of(0), 0)
        with pytest.raises(InvalidInput, match="has the maps"):
            out.add("9.png", {"early": frames_of(9)["early"]}, 0)
        with pytest.raises(FrameError):
            out.add("9.png", {"early": frames_of(9)["early"], "late": b"FMZ"}, 0)
        out.add("9.png", frames_of(9), 0)
        with pytest.raises(InvalidInput, match="labels or none"):
            out.add("10.png", frames_of(10))
    with pytest.raises(InvalidInput, match="closed"):
        out.add("11.png", frames_of(11), 0)
    is_whole(tmp_path, [0, 1, 9])


def test_verification_names_what_is_wrong(tmp_path: Path) -> None:
    fill(tmp_path, range(4))
    shards = [tmp_path / shard.file for shard in index_of(tmp_path).shards]
    data = bytearray(shards[0].read_bytes())
    data[len(data) // 2] ^= 1
    shards[0].write_bytes(data)
    shards[1].unlink()
    shards[2].write_bytes(shards[3].read_bytes())
    problems = list(verify_store(tmp_path))
    assert any(problem.startswith("0-00000.fmz: ") for problem in problems)
    assert any(problem.startswith("0-00001.fmz: ") and "No such file" in problem for problem in problems)
    assert any("'3.png' is in 0-00002.fmz too" in problem for problem in problems)


@pytest.mark.parametrize("said", [{"images": 5}, {"images": ["a"], "labels": ["b"]}, {"images": ["a", "b"]}])
def test_verification_goes_on_after_a_wrong_description(tmp_path: Path, said: dict[str, Any]) -> None:
    fill(tmp_path, range(2))
    first = index_of(tmp_path).shards[0]
    with ArchiveWriter(tmp_path / first.file, plan=PLAN, metadata=said) as out:
        out.add_sample(0, frames_of(0))
    (tmp_path / index_of(tmp_path).shards[1].file).unlink()
    assert {problem.split(":")[0] for problem in verify_store(tmp_path)} == {"0-00000.fmz", "0-00001.fmz"}


def test_a_shard_is_described_once_however_small_its_samples(tmp_path: Path) -> None:
    fill(tmp_path, range(300), 1 << 20)
    (shard,) = index_of(tmp_path).shards
    with Archive(tmp_path / shard.file) as archive:
        described = len(json.dumps(archive.metadata))
        frames = sum(archive.frame_bytes(*key) for key in archive)
    assert shard.bytes < frames + 60 * 2 * 300 + 2 * described


def test_a_writer_may_have_any_name(tmp_path: Path) -> None:
    fill(tmp_path, [0], writer="index")
    fill(tmp_path, [1], writer="store")
    is_whole(tmp_path, range(2))


def test_a_sample_that_cannot_be_written_is_not_noted(tmp_path: Path) -> None:
    out = StoreWriter(tmp_path, plan=PLAN)
    out.add("0.png", frames_of(0), 0)
    with pytest.raises(FrameError):
        out.add("9.png", {"early": b"", "late": b""}, 0)
    out.__exit__(KeyboardInterrupt, None, None)
    with StoreWriter(tmp_path, plan=PLAN) as again:
        assert again.names == {"0.png"}
    is_whole(tmp_path, [0])


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', "not JSON"])
def test_a_damaged_index_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(InvalidInput):
        read_index(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("file", "../other.fmz", "no name of a shard"),
        ("file", "/etc/other.fmz", "no name of a shard"),
        ("file", "..\\other.fmz", "no name of a shard"),
        ("file", "0\0.fmz", "no name of a shard"),
        ("file", ".fmz", "no name of a shard"),
        ("file", "0-00001.fmz", "listed twice"),
        ("samples", -1, "cannot be of the size"),
        ("samples", 2**70, "cannot be of the size"),
        ("bytes", 10**400, "cannot be of the size"),
    ],
)
def test_an_index_that_no_writer_wrote_is_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    """Names that lead out of the folder, or are none; a file twice; numbers out of range."""
    fill(tmp_path, range(2), shard_bytes=1)
    found = json.loads((tmp_path / INDEX).read_text())
    found["shards"][0][key] = value
    (tmp_path / INDEX).write_text(json.dumps(found))
    with pytest.raises(InvalidInput, match=message):
        read_index(tmp_path)
