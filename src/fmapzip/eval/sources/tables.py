"""Images in a column of a table: Parquet files, and folders that Hugging Face's ``datasets`` saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.places import is_local
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.sources.folders import class_index

PARQUET, SAVED, SEVERAL = ".parquet", "state.json", "dataset_dict.json"
_IMAGES, _LABELS = ("image", "img", "jpg", "jpeg", "png", "webp"), ("label", "labels", "cls", "class", "fine_label")
_SPLIT = re.compile(r"(.+?)-\d+-of-\d+")
_KEPT = 2  # pieces in memory: that of the next image, and one before it
_UNKNOWN = -1  # what ``datasets`` gives images of unknown class


@dataclass(frozen=True)
class _Piece:
    """Rows that are read together: a row group of a Parquet file, or a saved file.

    Attributes
    ----------
    file
        Where they are.
    first
        Place of the first one in the file.
    rows
        How many they are.
    column
        From a column's name to its values.
    """

    file: Path
    first: int
    rows: int
    column: Callable[[str], Any]


def from_parquet(spec: str, files: Sequence[Path], preprocessing: Preprocessing) -> Dataset:
    """The images of Parquet files, in the files' order; a row group's images are in memory at a time.

    Images are the files' bytes, alone or as ``datasets`` has them (``{"bytes": ..., "path": ...}``), in a column of
    such a type; where there are several, in the one named ``image`` or ``img``. Class indexes are the integers of a
    column ``label``, ``labels``, ``cls``, ``class`` or ``fine_label``.

    Raises
    ------
    InvalidInput
        A file is no Parquet file or is damaged, they are of several splits, or have no column of images; an image or
        label is missing.
    MissingExtra
        PyArrow is not installed.
    """
    splits = sorted({found[1] for file in files if (found := _SPLIT.match(file.name))})
    if len(splits) > 1:
        named = files[0].parent / f"{splits[-1]}-*{PARQUET}"
        raise InvalidInput(f"data {spec!r} has the splits {', '.join(splits)}: name the files of one, {str(named)!r}")
    return _from_pieces(spec, [piece for file in files for piece in _row_groups(file)], preprocessing)


def from_saved(spec: str, root: Path, preprocessing: Preprocessing) -> Dataset:
    """The images of a folder that ``datasets.Dataset.save_to_disk`` wrote, by the rules of `from_parquet`.

    Raises
    ------
    InvalidInput
        As of `from_parquet`; or the folder is of several splits, or on another machine.
    MissingExtra
        PyArrow is not installed.
    """
    if not is_local(root):
        raise InvalidInput(f"data {spec!r}: what datasets saved is read from a local disk; Parquet files from anywhere")
    about = root / (SEVERAL if (root / SEVERAL).is_file() else SAVED)
    try:
        match json.loads(about.read_text("utf-8")):
            case {"_data_files": list(files)}:
                names = [Path(str(each["filename"])).name for each in files]
            case {"splits": list(splits)}:
                named = ", ".join(map(str, splits))
                raise InvalidInput(f"data {spec!r} has the splits {named}: name the folder of one")
            case _:
                raise InvalidInput(f"{about}: not what datasets saves")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{about}: not what datasets saves: {error}") from error
    return _from_pieces(spec, [_saved(root / name) for name in names], preprocessing)


def _from_pieces(spec: str, pieces: Sequence[_Piece], preprocessing: Preprocessing) -> Dataset:
    pieces = [piece for piece in pieces if piece.rows]
    if not pieces:
        raise InvalidInput(f"data {spec!r}: holds no rows")
    image = _image_column(pieces[0])
    starts = np.cumsum([0, *(piece.rows for piece in pieces)])
    kept = lru_cache(_KEPT)(lambda place: pieces[place].column(image))

    def place(i: int) -> tuple[int, int]:
        found = int(np.searchsorted(starts, i, side="right")) - 1
        return found, i - int(starts[found])

    def read(i: int, by: Preprocessing = preprocessing) -> Pixels:
        at, row = place(i)
        with _named(pieces[at].file):
            value = kept(at)[row].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise InvalidInput(f"{names[i]}: has no bytes in the column {image!r}")
        return by.of_bytes(data, names[i])

    names = tuple(f"{piece.file.name}[{piece.first + i}]" for piece in pieces for i in range(piece.rows))
    labels, rule = _labels(pieces, names)
    return Dataset(spec, names, labels, rule, read, read_by=read)


def _image_column(piece: _Piece) -> str:
    """The column that the images are in."""
    import pyarrow as pa

    schema = piece.column("")
    binary = (pa.types.is_binary, pa.types.is_large_binary)

    def holds_files(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return int(kind.get_field_index("bytes")) >= 0
        return any(is_kind(kind) for is_kind in binary)

    found = [field.name for field in schema if holds_files(field.type)]
    named = [name for name in _IMAGES if name in found]
    if named or len(found) == 1:
        return (named or found)[0]
    columns = ", ".join(field.name for field in schema)
    raise InvalidInput(f"{piece.file}: {len(found)} of the columns {columns} hold images, none is named 'image'")


def _labels(pieces: Sequence[_Piece], names: Sequence[str]) -> tuple[NDArray[np.int64] | None, str]:
    """Class indexes, if there is a column of them, and how they were found."""
    columns = set(pieces[0].column("").names)
    label = next((name for name in _LABELS if name in columns), None)
    if label is None:
        return None, f"none: no column {_LABELS[0]!r}"
    values: list[Any] = []
    for piece in pieces:
        with _named(piece.file):
            values += piece.column(label).to_pylist()
    if all(value == _UNKNOWN for value in values):
        return None, f"none: all of the column {label!r} are {_UNKNOWN}"
    found = [
        class_index(str(value) if isinstance(value, int) else repr(value), name)
        for name, value in zip(names, values, strict=True)
    ]
    return np.array(found, np.int64), f"column {label!r}"


def _row_groups(file: Path) -> Iterator[_Piece]:
    parquet = _pyarrow("parquet")
    with _named(file), file.open("rb") as opened:
        about = parquet.ParquetFile(opened)
        schema = about.schema_arrow
        sizes = [about.metadata.row_group(group).num_rows for group in range(about.num_row_groups)]

    def column(group: int) -> Callable[[str], Any]:
        def read(name: str) -> Any:
            if not name:
                return schema
            with _named(file), file.open("rb") as opened:
                return parquet.ParquetFile(opened).read_row_group(group, [name]).column(name)

        return read

    for group, rows in enumerate(sizes):
        yield _Piece(file, sum(sizes[:group]), rows, column(group))


def _saved(file: Path) -> _Piece:
    """A file of Arrow's stream format, mapped into memory."""
    pa = _pyarrow("")
    with _named(file):
        table = pa.ipc.open_stream(pa.memory_map(str(file))).read_all()
    return _Piece(file, 0, table.num_rows, lambda name: table.column(name) if name else table.schema)


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """What goes wrong with a file has its name."""
    try:
        yield
    except (InvalidInput, MissingExtra, MemoryError):
        raise
    except Exception as error:  # of a damaged file PyArrow raises ArrowInvalid, OSError, KeyError, ...
        raise InvalidInput(f"{file}: {error or type(error).__name__}") from error


def _pyarrow(part: str) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("Parquet and Arrow files need PyArrow: pip install 'fmapzip[data]'") from error
    return pyarrow.parquet if part else pyarrow
