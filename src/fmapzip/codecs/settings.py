"""Types of codecs' settings, checked before a codec sees them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec
import numpy as np

from fmapzip.errors import InvalidInput

_MOST_TILE_VALUES = 1 << 28


def check_settings(codec: Any, settings: Mapping[str, Any]) -> None:
    """Refuse settings that are not of the types that the fields of a codec class declare.

    Raises
    ------
    InvalidInput
        A setting of another type, a number that no float64 holds; the message names the field.
    """
    try:
        msgspec.convert({key: _plain(value) for key, value in settings.items()}, _types(codec))
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        name = place.removesuffix("`")
        raise InvalidInput(f"setting {name!r} of codec {codec.id!r}: {problem[0].lower()}{problem[1:]}") from None


def check_tile_values(tile_values: int | None) -> None:
    """Refuse what is no number of values of a tile.

    Raises
    ------
    InvalidInput
        It is no integer from 1 to 2^28.
    """
    if tile_values is None:
        return
    if isinstance(tile_values, bool) or not isinstance(tile_values, int) or not 1 <= tile_values <= _MOST_TILE_VALUES:
        raise InvalidInput(f"tile_values is {tile_values!r}; it must be an integer from 1 to {_MOST_TILE_VALUES}")


@cache
def _types(codec: Any) -> type[msgspec.Struct]:
    hints = get_type_hints(codec)
    return msgspec.defstruct(
        codec.__name__,
        [(field.name, hints[field.name] | msgspec.UnsetType, msgspec.UNSET) for field in dataclasses.fields(codec)],
    )


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
