"""Shapes: how a map is worked on, the tiles of a frame, and how large a frame can become."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from fmapzip.errors import InvalidInput

Shape3 = tuple[int, int, int]

MAX_DIMS = 4

# Magic, version, codec number, flags, id, dimensions, plan reference, numbers and checksum, generously.
_FIXED_HEADER = 128
_SCALE_BYTES = 4
_TILE_LENGTH_BYTES = 4  # a tile is at least one row


def worked_shape(shape: Sequence[int]) -> Shape3:
    """(C, H, W) that a map is worked on as: [F] is F x 1 x 1, [C, L] is C x 1 x L, [C, D, H, W] is C x D H x W."""
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == MAX_DIMS:
        return shape[0], shape[1] * shape[2], shape[3]
    raise InvalidInput(
        f"a map has 1 to {MAX_DIMS} dimensions ([C, D, H, W], [C, H, W], [C, L] or [F]); this one has {len(shape)}"
    )


def tile_shape(shape: Sequence[int], tile_rows: int, index: int) -> Shape3:
    """(C, rows, W) of a tile of a map, as the codec sees it."""
    channels, height, width = worked_shape(shape)
    return channels, min(tile_rows, height - index * tile_rows), width


def frame_bound(shape: Sequence[int]) -> int:
    """Most bytes that a frame of a [C, D, H, W], [C, H, W], [C, L] or [F] map can take, whatever its codec and values.

    Examples
    --------
    >>> import fmapzip
    >>> fmapzip.frame_bound((64, 56, 56)) / (64 * 56 * 56) < 1.01
    True
    """
    channels, height, _ = worked_shape(shape)
    return prod(shape) + _FIXED_HEADER + _SCALE_BYTES * channels + _TILE_LENGTH_BYTES * height
