"""Named arrays in ``.npy``, ``.npz`` and ``.safetensors`` files, one at a time."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra

Array = NDArray[Any]
NPY = ".npy"
SUFFIXES = (NPY, ".npz", ".safetensors")


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
        Another kind of file, none there, one that is damaged, one that holds no arrays or something else beside them,
        or a member of an ``.npz`` file whose name leads out of a folder.
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
        Not one of these formats, several arrays for a ``.npy`` file, two of one name, or for an ``.npz`` file a name
        that leads out of a folder into which it is unpacked.
    OSError
        The file cannot be written.
    """
    writer = _WRITERS.get(kind)
    if writer is None:
        raise InvalidInput(f"cannot write {kind or 'a file without suffix'}: expected one of {', '.join(SUFFIXES)}")
    writer(path, _distinct(arrays))


def load_npy(path: Path, mmap_mode: Literal["r"] | None = None) -> Array:
    """The array of a ``.npy`` file; one that is no path of this machine is read whole.

    Raises
    ------
    ValueError, EOFError, OSError
        It is damaged, holds pickled objects, or is another file that was renamed (an ``.npz``).
    """
    found: Any
    if isinstance(path, os.PathLike):
        found = np.load(path, mmap_mode, allow_pickle=False)
    else:
        found = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    if not isinstance(found, np.ndarray):
        found.close()
        raise ValueError("a .npz file that is named .npy")
    return found


def read_npy(path: Path, mmap_mode: Literal["r"] | None = None) -> Array:
    """The array of a ``.npy`` file; `InvalidInput` names the file where it cannot be read."""
    try:
        return load_npy(path, mmap_mode)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InvalidInput(f"{path}: {error}") from error


def _distinct(arrays: Iterable[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
    seen = set()
    for name, array in arrays:
        if name in seen:
            raise InvalidInput(f"two arrays would be named {name!r}: write them to files of their own")
        seen.add(name)
        yield name, array


def _from_npy(path: Path) -> Iterator[tuple[str, Array]]:
    yield path.stem, load_npy(path, "r")


def _read_npz(path: Path) -> Iterator[tuple[str, Array]]:
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            name = member.filename.removesuffix(NPY)
            if name == member.filename:
                raise InvalidInput(f"{path}: holds {member.filename!r}, which is not an array")
            _check_member(name)
            with file.open(member) as opened:
                yield name, np.lib.format.read_array(opened, allow_pickle=False)


def _check_member(name: str) -> None:
    """Refuse what would be unpacked elsewhere than into the folder chosen, here or on Windows."""
    if PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        raise InvalidInput(
            f"{name!r} cannot name a member of an .npz file: it leads out of the folder it is unpacked to"
        )


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
            _check_member(name)
            with file.open(name + NPY, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _write_safetensors(path: Path, arrays: Iterable[tuple[str, Array]]) -> None:
    _safetensors()
    from safetensors.numpy import save

    # Not save_file: it renames a file of its own over the path, also where that is a device.
    path.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays}))


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise MissingExtra(".safetensors files need safetensors: pip install 'fmapzip[torch]'") from error
    return safetensors


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Array]]]] = {
    ".npy": _from_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}
_WRITERS: dict[str, Callable[[Path, Iterable[tuple[str, Array]]], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
}
