"""The store of measurements: nothing finished is lost however often it is interrupted, and no other file is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fmapzip.errors import InvalidInput
from fmapzip.measurements import MeasurementCache

RESULTS: dict[str, Any] = {"a": [1.5, 2], "b": 3, "c": {"words": "zwölf\n"}, "d": None}


def cache(file: Path, of: object = "network", **options: Any) -> MeasurementCache:
    return MeasurementCache(file, "test", of, **options)


def filled(file: Path) -> bytes:
    store = cache(file)
    for name, value in RESULTS.items():
        assert store.get(name, lambda value=value: value) == value
    return file.read_bytes()


def whole_lines(data: bytes) -> int:
    return data.count(b"\n") - 1


def test_a_run_that_is_cut_off_twice_anywhere_keeps_every_whole_result(tmp_path: Path) -> None:
    file = tmp_path / "state"
    whole = filled(file)
    head = whole.index(b"\n") + 1
    for first in range(head, len(whole) + 1):
        file.write_bytes(whole[:first])
        store = cache(file)
        assert len(store) == whole_lines(whole[:first])
        for name, value in RESULTS.items():
            store.get(name, lambda value=value: value)
        again = file.read_bytes()
        assert again == whole
        for second in range(first, len(again) + 1, 3):
            file.write_bytes(again[:second])
            once_more = cache(file)
            assert len(once_more) == whole_lines(again[:second])
            assert all(once_more.get(name, lambda: "lost") in (RESULTS[name], "lost") for name in RESULTS)
            assert len(cache(file)) == len(RESULTS)


def test_known_results_are_not_measured_again(tmp_path: Path) -> None:
    filled(tmp_path / "state")
    store = cache(tmp_path / "state")
    assert all(store.get(name, lambda: pytest.fail("known")) == value for name, value in RESULTS.items())
    assert "a" in store
    assert "e" not in store


@pytest.mark.parametrize(
    "foreign", [b"one line\n", b"no newline", b"\xff\xfe\0", b'{"fmapzip": 1}\n[1]\n', b"\n", b"a,b\n1,2\n3,4\n"]
)
@pytest.mark.parametrize("restart", [False, True])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, foreign: bytes, restart: bool) -> None:
    file = tmp_path / "notes"
    file.write_bytes(foreign)
    with pytest.raises(InvalidInput, match="left alone"):
        cache(file, restart=restart)
    assert file.read_bytes() == foreign


def test_measurements_of_another_kind_are_refused_and_left_alone(tmp_path: Path) -> None:
    before = filled(tmp_path / "state")
    for restart in (False, True):
        with pytest.raises(InvalidInput, match="left alone"):
            MeasurementCache(tmp_path / "state", "another", "network", restart)
    assert (tmp_path / "state").read_bytes() == before


def test_other_conditions_are_refused_or_start_afresh(tmp_path: Path) -> None:
    before = filled(tmp_path / "state")
    with pytest.raises(InvalidInput, match="something else"):
        cache(tmp_path / "state", "another network")
    assert (tmp_path / "state").read_bytes() == before
    assert len(cache(tmp_path / "state", "another network", restart=True)) == 0


def test_a_damaged_line_is_an_error_and_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "state"
    whole = filled(file)
    start = whole.index(b"\n") + 1
    for at in range(start, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[at] ^= 0x15
        file.write_bytes(damaged)
        with pytest.raises(InvalidInput, match="damaged"):
            cache(file)
        assert file.read_bytes() == damaged


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    assert filled(tmp_path / "state")


def test_a_line_that_the_disk_has_no_room_for_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state"
    store = cache(file)
    store.get("a", lambda: 1)
    before = file.read_bytes()
    real = Path.open

    def short(self: Path, *args: Any, **options: Any) -> Any:
        out = real(self, *args, **options)

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                out.close()

            def write(self, line: bytes) -> int:
                return int(out.write(line[:5]))

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", short)
        with pytest.raises(OSError, match="whole"):
            store.get("b", lambda: 2)
    assert file.read_bytes() == before
    assert store.get("b", lambda: 3) == 3
    assert json.loads(file.read_bytes().splitlines()[-1][9:]) == ["b", 3]
