"""The tiles of frames, as blocks see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmapzip.api import decode
from fmapzip.frame import parse_only
from fmapzip.geometry import worked_shape
from fmapzip.registry import by_number
from fmapzip.zero_point import below_zero, value_bytes

if TYPE_CHECKING:
    from fmapzip.plan import Plan


@dataclass(frozen=True)
class Tile:
    """One coded tile.

    Attributes
    ----------
    codec : str
        The id of its codec.
    values : uint8 array, [C, R, W]
        Counted from the zero point, modulo 256.
    below : int
        How many values are negative.
    body : bytes
        What the codec makes of them.
    parameters : bytes
        The codec's parameters.
    """

    codec: str
    values: NDArray[np.uint8]
    below: int
    body: bytes
    parameters: bytes = b""


def tiles(frame: bytes, plan: Plan | None = None) -> Iterator[Tile]:
    """The coded tiles of a frame; those that are stored raw are left out, since no block sees them.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> [len(tile.body) for tile in tiles(fmapzip.encode(np.eye(8, dtype=np.uint8)[None], "zvc"))]
    [16]
    """
    header = parse_only(frame)
    integers = decode(frame, plan=plan)
    values = value_bytes(integers, header.zero_point).view(np.uint8).reshape(worked_shape(integers.shape))
    below = below_zero(integers.dtype, header.zero_point)
    parameters = plan[header.tap].parameters if plan is not None and header.plan_hash else header.parameters
    codec = by_number(header.number, header.external_id).id
    for number, first in enumerate(range(0, values.shape[1], header.tile_rows)):
        part = np.ascontiguousarray(values[:, first : first + header.tile_rows])
        body = header.body(number)
        if len(body) < part.size:
            yield Tile(codec, part, below, body, bytes(parameters))
