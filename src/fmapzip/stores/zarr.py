"""The array-to-bytes codec ``fmapzip`` of Zarr v3."""

from __future__ import annotations

import asyncio
from math import prod
from typing import TYPE_CHECKING, Any, Self

from zarr.abc.codec import ArrayBytesCodec
from zarr.core.common import parse_named_configuration

from fmapzip.stores.chunks import ChunkCoder

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

NAME = "fmapzip"
_DECODED_AT_ONCE = 1 << 18
"""Values up to which decoding takes less time than handing a chunk to a thread and back."""


class FmapzipCodec(ArrayBytesCodec):
    """Stores each chunk of a uint8 or int8 array as frames, one a map; works inside shards.

    The array's metadata hold all that reading needs, a plan too, so that a store is read wherever fmapzip is installed.
    Chunks along the leading axes may hold several maps; every chunk must hold whole maps, since prediction and order
    of channels are those of a map.

    Parameters
    ----------
    codec : str, default "context-rans"
        An id from `fmapzip.registry.names()`. A codec with loss is stored with its loss.
    settings : dict
        Its settings.
    plan : Plan or str
        Instead of a codec: a plan (or its bytes in base64), whose tables are then in no frame.
    tap : str or int
        The plan's tap for this array.
    map_dims : int
        How many of the last dimensions are one map: 3 for [N, C, H, W], 1 for vectors [N, F].

    Raises
    ------
    InvalidInput, InvalidType, UnknownCodec, PlanMismatch
        Settings that do not fit.

    Examples
    --------
    >>> import numpy as np, zarr
    >>> from fmapzip.stores.zarr import FmapzipCodec
    >>> maps = np.zeros((4, 8, 14, 14), np.uint8)
    >>> array = zarr.create_array({}, shape=maps.shape, chunks=(1, 8, 14, 14), dtype="uint8",
    ...                           serializer=FmapzipCodec(), compressors=None)
    >>> array[:] = maps
    >>> bool((array[2] == maps[2]).all())
    True
    """

    is_fixed_size = False

    def __init__(self, /, **config: Any) -> None:
        self._coder = ChunkCoder.from_config(config)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec that an array's metadata describe."""
        _, config = parse_named_configuration(data, NAME, require_configuration=False)
        return cls(**(config or {}))

    def to_dict(self) -> dict[str, Any]:
        """What an array's metadata say of this codec."""
        return {"name": NAME, "configuration": self._coder.config()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FmapzipCodec) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(str(self.to_dict()))

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array whose chunks are no maps."""
        del chunk_grid
        self._coder.check(shape, dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before encoding."""
        del input_byte_length, chunk_spec
        raise NotImplementedError

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        arguments = chunk_data.to_bytes(), chunk_spec.shape, chunk_spec.dtype.to_native_dtype()
        small = prod(chunk_spec.shape) <= _DECODED_AT_ONCE
        found = self._coder.decode(*arguments) if small else await asyncio.to_thread(self._coder.decode, *arguments)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(found)

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        encoded = await asyncio.to_thread(self._coder.encode, chunk_data.as_numpy_array())
        return chunk_spec.prototype.buffer.from_bytes(encoded)
