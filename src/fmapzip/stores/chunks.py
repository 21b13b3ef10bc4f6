"""A chunk of a store as frames, one for each map in it, and back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip import registry
from fmapzip.api import decode_batch, encode_batch
from fmapzip.codecs.base import Codec
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidType
from fmapzip.frame import Limits, parse_all
from fmapzip.plan import Plan

DEFAULT_CODEC = "context-rans"


@dataclass(frozen=True)
class ChunkCoder:
    """How chunks of 8-bit integers become bytes.

    Parameters
    ----------
    codec : Codec
        Its settings. With a plan, the plan's codec.
    map_dims : int
        How many of a chunk's last dimensions are one map: 3 for [C, H, W]. Those before count maps.
    plan, tap
        A plan and the index of one of its taps: tables are then not repeated in each frame.
    """

    codec: Codec
    map_dims: int = 3
    plan: Plan | None = None
    tap: int = 0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The coder that `config` describes.

        Parameters
        ----------
        config
            ``codec`` (an id) and ``settings``, or ``plan`` (a `Plan`, or its bytes in base64) and ``tap`` (a name or an
            index); ``map_dims``.

        Raises
        ------
        InvalidInput, InvalidType, UnknownCodec, PlanMismatch
            A key or value that is none of these.
        """
        unknown = set(config) - {"codec", "settings", "plan", "tap", "map_dims"}
        if unknown:
            raise InvalidInput(f"no setting {sorted(unknown)[0]!r}; there are codec, settings, plan, tap, map_dims")
        dims = config.get("map_dims", 3)
        if not isinstance(dims, int) or isinstance(dims, bool) or dims not in (1, 2, 3):
            raise InvalidInput("map_dims is 1, 2 or 3")
        if "plan" not in config:
            if "tap" in config:
                raise InvalidInput("tap= names a tap of a plan, and no plan is given")
            settings = config.get("settings", {})
            if not isinstance(settings, dict):
                raise InvalidType(f"settings are a dictionary, not {type(settings).__name__}")
            return cls(registry.make(config.get("codec", DEFAULT_CODEC), **settings), dims)
        if "codec" in config or "settings" in config:
            raise InvalidInput("with a plan, codec and settings are the plan's")
        plan = _plan(config["plan"])
        tap = plan[config.get("tap", 0)]
        return cls(tap.codec, dims, plan, plan.index(tap.name))

    def config(self) -> dict[str, Any]:
        """JSON values from which `from_config` makes the same coder."""
        if self.plan is not None:
            plan = base64.b64encode(self.plan.to_bytes()).decode()
            return {"plan": plan, "tap": self.tap, "map_dims": self.map_dims}
        settings = {key: value for key, value in self.codec.config().items() if key != "codec"}
        return {"codec": self.codec.id, "settings": settings, "map_dims": self.map_dims}

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Refuse chunks that are no maps.

        Raises
        ------
        InvalidType, InvalidInput
        """
        if dtype not in (np.dtype(np.uint8), np.dtype(np.int8)):
            raise InvalidType(f"maps are stored as uint8 or int8, not {dtype}; quantize floats first")
        if len(shape) < self.map_dims:
            raise InvalidInput(f"a chunk of {len(shape)} dimensions holds no map of {self.map_dims}; set map_dims")

    def encode(self, chunk: NDArray[Any]) -> bytes:
        """The frames of a chunk's maps, one after another."""
        self.check(chunk.shape, chunk.dtype)
        maps = chunk.reshape(-1, *chunk.shape[chunk.ndim - self.map_dims :])
        if self.plan is not None:
            return b"".join(encode_batch(maps, plan=self.plan, tap=self.tap))
        return b"".join(encode_batch(maps, self.codec))

    def decode(self, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """The chunk of `encode`.

        Raises
        ------
        FrameError
            The bytes are not frames, or not those of a chunk of this shape and type; no more is allocated than a chunk.
        """
        expected = shape[len(shape) - self.map_dims :]
        limits, view = Limits(max_values=prod(expected)), memoryview(data)
        count = sum(1 for _ in parse_all(view, limits, verify=False))
        if count * prod(expected) != prod(shape):
            raise CorruptFrame(f"a chunk of {list(shape)} is not made of {count} maps of {list(expected)}")
        maps = decode_batch(view, plan=self.plan, limits=limits)
        if maps.shape[1:] != expected or maps.dtype != dtype or maps.size != prod(shape):
            raise CorruptFrame(f"the frames hold {maps.dtype} {list(maps.shape)}, not a chunk of {dtype} {list(shape)}")
        return maps.reshape(shape)


def _plan(text: object) -> Plan:
    if isinstance(text, Plan):
        return text
    if not isinstance(text, str):
        raise InvalidType(f"a plan in a store's settings is base64 text, not {type(text).__name__}")
    try:
        return Plan.from_bytes(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise InvalidInput(f"the plan is not base64: {error}") from None
