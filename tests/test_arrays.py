"""Files of arrays: names that lead elsewhere, members that are none, and what cannot be told apart."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from fmapzip.arrays import SUFFIXES, read_arrays, write_arrays
from fmapzip.errors import InvalidInput

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
ELSEWHERE = ["../../x", "a/../../x", "/etc/x", "..\\x", "C:\\x", "\\\\server\\x"]


def npz(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            with file.open(name, "w") as member:
                np.lib.format.write_array(member, ARRAY)
    return path


@pytest.mark.parametrize("name", ELSEWHERE)
def test_members_that_lead_out_of_their_folder_are_neither_read_nor_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="leads out of the folder"):
        list(read_arrays(npz(tmp_path / "x.npz", f"{name}.npy")))
    with pytest.raises(InvalidInput, match="leads out of the folder"):
        write_arrays(tmp_path / "y.npz", [(name, ARRAY)], ".npz")


def test_dots_and_folders_in_names_are_kept(tmp_path: Path) -> None:
    names = ["a/b", "features.3..x", "...", ".hidden", "a.npy", "a"]
    write_arrays(tmp_path / "x.npz", [(name, ARRAY + i) for i, name in enumerate(names)], ".npz")
    found = dict(read_arrays(tmp_path / "x.npz"))
    assert list(found) == names
    for i, name in enumerate(names):
        np.testing.assert_array_equal(found[name], ARRAY + i)


def test_compressed_npz_files_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=ARRAY)
    ((name, array),) = read_arrays(tmp_path / "x.npz")
    assert name == "a"
    np.testing.assert_array_equal(array, ARRAY)


def test_a_foreign_member_of_an_npz_is_refused_by_name(tmp_path: Path) -> None:
    npz(tmp_path / "x.npz", "a.npy")
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as file:
        file.writestr("README.txt", "hello")
    with pytest.raises(InvalidInput, match=r"x\.npz: holds 'README\.txt', which is not an array"):
        list(read_arrays(tmp_path / "x.npz"))


def test_an_npz_that_is_named_npy_is_refused(tmp_path: Path) -> None:
    npz(tmp_path / "x.npy", "a.npy")
    with pytest.raises(InvalidInput, match=r"x\.npy: a \.npz file that is named \.npy"):
        list(read_arrays(tmp_path / "x.npy"))


@pytest.mark.parametrize("kind", [".npz", ".safetensors"])
def test_two_arrays_of_one_name_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InvalidInput, match="two arrays would be named 'b/5'"):
        write_arrays(tmp_path / f"x{kind}", [("b/5", ARRAY), ("a", ARRAY), ("b/5", ARRAY + 1)], kind)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_full_disk_is_an_os_error_and_devices_stay(kind: str) -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_arrays(full, [("a", np.zeros(100_000, np.uint8))], kind)
    assert full.is_char_device()
