"""What a codec is: frozen settings, and the way from integers to tile bodies and back."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.errors import InvalidInput

EXTERNAL_CODE = 0

IntegerMap = NDArray[np.uint8] | NDArray[np.int8]


@dataclasses.dataclass(frozen=True, repr=False)
class Codec(ABC):
    """A codec with its settings: a frozen dataclass whose fields are the settings.

    Subclasses of this class work in the C++ core (`code` is their frozen number in frames) or, derived from
    `PythonCodec`, in Python.

    Attributes
    ----------
    id
        The frozen name by which a codec is asked for.
    code
        Its frozen number in frames (docs/FORMAT.md, "Codecs"); 0 for codecs of third parties, whose frames
        hold `id` itself.
    """

    id: ClassVar[str]
    code: ClassVar[int]

    @property
    @abstractmethod
    def lossless(self) -> bool:
        """Whether decoding gives back exactly the integers that were encoded."""

    def parameters(self, q: IntegerMap) -> bytes:
        """Everything that a decoder of this one map needs besides the header, for use without a plan.

        Parameters
        ----------
        q : uint8 or int8 array, [C, H, W], [C, L] or [F]
        """
        del q
        return b""

    def train(self, maps: IntegerMap) -> bytes:
        """Parameters for a plan, from calibration maps; the same maps always give the same bytes.

        Parameters
        ----------
        maps : uint8 or int8 array, [N, C, H, W], [N, C, L] or [N, F]
        """
        del maps
        return b""

    def candidates(self) -> Sequence[Codec]:
        """Settings that this one stands for: calibration keeps the smallest that does no harm."""
        return (self,)

    def path_taken(self, parameters: bytes) -> str:
        """Which of a codec's ways these parameters take, for reports; empty where there is one way."""
        del parameters
        return ""

    def sections(self, body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
        """Where the bytes of one coded tile body went, by name; they sum to its length.

        Parameters
        ----------
        body : the coded tile
        shape : (C, rows, W) of the tile
        parameters : what the codec was trained to
        """
        del shape, parameters
        return {"body": len(body)}

    def encode(self, q: object, plan: Any = None, **options: Any) -> bytes:
        """`fmapzip.encode` with this codec."""
        from fmapzip import api

        return api.encode(q, self, plan, **options)

    def decode(self, frame: object, out: Any = None, plan: Any = None, **options: Any) -> NDArray[Any]:
        """`fmapzip.decode`; a frame of any codec decodes."""
        from fmapzip import api

        return api.decode(frame, out, plan, **options)

    def config(self) -> dict[str, Any]:
        """The settings as JSON values, with the codec's id; `registry.from_config` is the inverse."""
        return {"codec": self.id, **dataclasses.asdict(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The codec that `config()` describes.

        Raises
        ------
        InvalidInput
            A setting that this codec does not have; the message lists those that it has.
        """
        settings = {key: value for key, value in config.items() if key != "codec"}
        known = [field.name for field in dataclasses.fields(cls)]
        for key in settings:
            if key not in known:
                listing = ", ".join(known) if known else "none"
                raise InvalidInput(f"codec {cls.id!r} has no setting {key!r}; its settings: {listing}")
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})

    def __repr__(self) -> str:
        settings = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
        return f"{type(self).__name__}({settings})"


class PythonCodec(Codec):
    """A codec written in Python, found by the entry point group ``fmapzip.codecs``.

    The frame, its checksum and the fallback to stored tiles are the library's; such a codec turns one tile
    into bytes and back.
    """

    code: ClassVar[int] = EXTERNAL_CODE

    def tile_rows(self, shape: tuple[int, int, int]) -> int:
        """Rows a tile for a map of this (C, H, W); the whole map by default."""
        return shape[1]

    @abstractmethod
    def encode_tile(self, tile: IntegerMap, parameters: bytes) -> bytes:
        """The body of a [C, rows, W] tile; a body that is not shorter than the tile is dropped."""

    @abstractmethod
    def decode_tile(
        self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes
    ) -> IntegerMap:
        """The tile of a body that may hold anything: raise `CorruptFrame` for what no encoder writes."""


@lru_cache(maxsize=128)
def planned_codec(code: int, parameters: bytes) -> _core.Codec:
    """The core's codec of a plan's parameters, made once for many frames: its tables are built when it is made."""
    return _core.Codec(code, parameters)
