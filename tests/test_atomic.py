"""Output files whose names are at the limits of what a file system takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmapzip.atomic import beside, check_writable, replacing, write_atomically
from fmapzip.errors import InvalidInput


@pytest.mark.parametrize("name", ["x" * 255, "x" * 237, "é" * 127, "x"])
def test_names_as_long_as_the_file_system_takes_are_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"whole")
    assert [x.name for x in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_links_that_lead_back_to_themselves_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidInput, match="symbolic links"):
        check_writable(tmp_path / "a")
    with pytest.raises(InvalidInput, match="symbolic links"), replacing(tmp_path / "a"):
        pass
    assert (tmp_path / "a").is_symlink()


def test_a_link_into_a_folder_that_is_not_there_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "absent" / "file")
    with pytest.raises(InvalidInput, match="no such directory"):
        check_writable(tmp_path / "a")


def test_what_a_link_points_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "folder" / "file")
    write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"whole"


def test_files_that_belong_to_others_keep_to_the_length_of_names_and_apart(tmp_path: Path) -> None:
    assert beside(tmp_path / "r.json", ".partial") == tmp_path / "r.json.partial"
    long = [tmp_path / ("é" * 124 + ending) for ending in (".json", ".html")]
    partial = [beside(path, ".partial") for path in long]
    for path in partial:
        path.write_bytes(b"")
    assert len(set(partial)) == 2
    assert partial == [beside(path, ".partial") for path in long]
    assert all(path.suffix == ".partial" for path in partial)
