"""What a codec gives the reference frame: how a tile becomes a body and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[Any]  # [C, R, W], values from -below to 255 - below

TILE_VALUES = 131072


def balanced_rows(shape: tuple[int, int, int], values: int) -> int:
    """Rows a tile of at most so many values, by the formula of FORMAT.md, "Tiles"."""
    channels, height, width = shape
    most = min(max(values // (channels * width), 1), height)
    tiles = -(-height // most)
    return -(-height // tiles)


def default_rows(shape: tuple[int, int, int], parameters: bytes = b"") -> int:
    """Rows a tile, unless a codec says otherwise."""
    del parameters
    return balanced_rows(shape, TILE_VALUES)


def from_bytes(coded: NDArray[Any], below: int) -> Tile:
    """The values that bytes modulo 256 stand for."""
    values: Tile = (coded.astype(np.int16) + below) % 256 - below
    return values


@dataclass(frozen=True)
class TileCodec:
    """One codec of the reference.

    Attributes
    ----------
    encode : (tile, below, parameters) -> body
    decode : (body, shape, below, parameters) -> tile
    rows : (C, H, W), parameters -> rows a tile
    """

    encode: Callable[[Tile, int, bytes], bytes]
    decode: Callable[[bytes, tuple[int, int, int], int, bytes], Tile]
    rows: Callable[[tuple[int, int, int], bytes], int] = default_rows
