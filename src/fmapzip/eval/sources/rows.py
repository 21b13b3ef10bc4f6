"""Rows of a table in memory or of Hugging Face's ``datasets``: anything with a length that gives dicts by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import IMAGENET, Pixels, Preprocessing


class Rows(Protocol):
    """What `from_rows` needs of a table."""

    def __len__(self) -> int:
        """How many rows there are."""

    def __getitem__(self, row: int, /) -> Mapping[str, Any]:
        """One row, its columns by name."""


def from_rows(
    rows: Rows,
    preprocessing: Preprocessing = IMAGENET,
    *,
    image: str = "image",
    label: str | None = "label",
    target: str | None = None,
) -> Dataset:
    """The samples of a table, one a row, decoded when they are asked for.

    Parameters
    ----------
    rows
        For example ``datasets.load_dataset(...)["validation"]``.
    preprocessing
        Of the images.
    image
        The column of images: Pillow's, or arrays as `Preprocessing.of_array` takes them.
    label
        The column of class indexes; None, or one that is not there: no labels.
    target
        A column that metrics compare with instead.

    Raises
    ------
    InvalidInput
        There is no row, no such column, or an image or label of another kind; the message names the row.

    Examples
    --------
    >>> rows = [{"image": np.zeros((40, 30, 3), np.uint8), "label": 7}]
    >>> data = from_rows(rows)
    >>> data.read(0).shape, data.labels
    ((3, 224, 224), array([7]))
    """
    count = len(rows)
    if not count:
        raise InvalidInput("rows: there are none")
    columns = _columns(rows)
    for name in (image, target):
        if name is not None and name not in columns:
            raise InvalidInput(f"rows have no column {name!r}; there are {', '.join(map(str, columns))}")
    labels = None
    if label is not None and label in columns:
        labels = np.array([_index(value, i) for i, value in enumerate(_column(rows, label))], np.int64)

    def read(i: int) -> Pixels:
        value = rows[i][image]
        if hasattr(value, "convert"):
            return preprocessing.of_image(value.convert("RGB"), f"row {i}")
        return preprocessing.of_array(np.asarray(value), f"row {i}")

    rule = "none" if labels is None else f"column {label!r}"
    names = tuple(f"row {i}" for i in range(count))
    return Dataset("rows", names, labels, rule, read, None if target is None else lambda i: rows[i][target])


def _columns(rows: Rows) -> list[str]:
    """Names of the columns, which `datasets` knows without decoding a row."""
    return list(getattr(rows, "column_names", None) or rows[0])


def _column(rows: Rows, name: str) -> list[Any]:
    """A whole column, without decoding the others where the table can."""
    select = getattr(rows, "select_columns", None)
    table = rows if select is None else select([name])
    return [table[i][name] for i in range(len(table))]


def _index(value: Any, row: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**31:
        raise InvalidInput(f"row {row}: label {value!r} is not a class index")
    return int(value)
