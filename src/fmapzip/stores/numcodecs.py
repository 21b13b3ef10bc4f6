"""The codec ``fmapzip`` of numcodecs, for Zarr v2 and whatever else uses numcodecs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_ndarray_like, ndarray_copy
from numcodecs.registry import register_codec

from fmapzip.api import decode_batch
from fmapzip.stores.chunks import ChunkCoder


class Fmapzip(Codec):  # type: ignore[misc]
    """Encodes an array of whole maps, one frame each, and decodes frames to the array's values.

    numcodecs hands a codec no shape on decoding: a decoded chunk is [N, ...] with the maps' own shape, of which Zarr
    keeps the values in their order.

    Parameters
    ----------
    **config
        As for `fmapzip.stores.zarr.FmapzipCodec`; a plan as base64.

    Examples
    --------
    >>> import numpy as np
    >>> from fmapzip.stores.numcodecs import Fmapzip
    >>> maps = np.zeros((2, 8, 14, 14), np.uint8)
    >>> coder = Fmapzip(codec="zvc")
    >>> bool((coder.decode(coder.encode(maps)) == maps).all())
    True
    """

    codec_id = "fmapzip"

    def __init__(self, /, **config: Any) -> None:
        self._coder = ChunkCoder.from_config(config)

    def encode(self, buf: Any) -> bytes:
        """Frames of the maps in `buf`, a uint8 or int8 array."""
        return self._coder.encode(np.asarray(ensure_ndarray_like(buf)))

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The maps of frames, into `out` where it is given."""
        return ndarray_copy(decode_batch(bytes(buf), plan=self._coder.plan), out)

    def get_config(self) -> dict[str, Any]:
        """JSON values from which `from_config` makes the same codec."""
        return {"id": self.codec_id, **self._coder.config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The codec that `config` describes."""
        return cls(**{key: value for key, value in config.items() if key != "id"})

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value!r}" for key, value in self._coder.config().items() if key != "plan")
        return f"Fmapzip({settings})"


register_codec(Fmapzip)
