"""Named arrays in ``.npy``, ``.npz`` and ``.safetensors`` files, one at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra

Array = NDArray[Any]
SUFFIXES = (".npy", ".npz", ".safetensors")


def read_arrays(path: Path) -> Iterator[tuple[str, Array]]:
    """The arrays of a file, by name, each loaded when it comes.

    Parameters
    ----------
    path
        ``.npy`` (its array is named after the file, and mapped instead of read), ``.npz`` or ``.safetensors``.
        Pickled objects are refused.

    Raises
    ------
    InvalidInput
        Another kind of file, none there, one that is damaged, or one that holds no arrays.
    MissingExtra
        It is a ``.safetensors`` file and safetensors is not installed.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(f"{path}: expected one of {', '.join(SUFFIXES)}")
    found = False
    try:
        for name, array in reader(path):
            found = True
            yield name, array
    except (InvalidInput, MissingExtra):
        raise
    except MemoryError as error:
        raise InvalidInput(f"{path}: an array in it does not fit into memory") from error
    except Exception as error:
        raise InvalidInput(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from error
    if not found:
        raise InvalidInput(f"{path}: holds no arrays")


def write_arrays(path: Path, arrays: Iterable[tuple[str, Array]], kind: str) -> None:
    """Write named arrays to ``path``.

    Parameters
    ----------
    path
        The file.
    arrays
        Names and arrays. ``.npy`` takes exactly one; for ``.npz`` they are written as they come.
    kind
        One of `SUFFIXES`: the format.

    Raises
    ------
    InvalidInput
        Not one of these formats, or several arrays for a ``.npy`` file.
    """
    writer = _WRITERS.get(kind)
    if writer is None:
        raise InvalidInput(f"cannot write {kind or 'a file without suffix'}: expected one of {', '.join(SUFFIXES)}")
    writer(path, arrays)


def _read_npy(path: Path) -> Iterator[tuple[str, Array]]:
    yield path.stem, np.load(path, mmap_mode="r", allow_pickle=False)


def _read_npz(path: Path) -> Iterator[tuple[str, Array]]:
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            yield name, file[name]


def _read_safetensors(path: Path) -> Iterator[tuple[str, Array]]:
    with _safetensors().safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118
            yield name, file.get_tensor(name)


def _write_npy(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    single = list(arrays)
    if len(single) != 1:
        raise InvalidInput(f"a .npy file holds one array, not {len(single)}: choose one, or write .npz")
    with path.open("wb") as file:
        np.save(file, single[0][1])


def _write_npz(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as file:
        for name, array in arrays:
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _write_safetensors(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    _safetensors()
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays}, path)


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise MissingExtra(".safetensors files need safetensors: pip install 'fmapzip[torch]'") from error
    return safetensors


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Array]]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}
_WRITERS: dict[str, Callable[[Path, Iterable[tuple[str, Array]]], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
}
