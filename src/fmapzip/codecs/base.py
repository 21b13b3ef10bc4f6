"""What a codec is: frozen settings, and the way from integers to tile bodies and back."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip.bound import BoundPlan, bound_for_encoding
from fmapzip.codecs.settings import check_settings
from fmapzip.decoding import decode_one
from fmapzip.errors import InvalidInput, MissingCodec
from fmapzip.frame import DEFAULT_LIMITS, EXTERNAL_NUMBER, Limits
from fmapzip.quantize import QuantParams

IntegerMap = NDArray[np.uint8] | NDArray[np.int8]

LATER = {"later": True}
"""Metadata of a setting that came when plans without it had been written: theirs is its default."""


@dataclasses.dataclass(frozen=True)
class Tradeoff:
    """A family of a codec's settings, which lose more the larger a step is: what a planner gives to each map.

    Parameters
    ----------
    at : callable
        Takes a step, in units of the integers, and calibration maps [N, C, ...]; returns the codec. The maps are
        counted from their zero point: int16 where it is not 0.
    requantizes : bool
        Whether it divides integers by the step and rounds: lossless at 1. It is then asked for odd whole steps, on
        grids that are finer by as much, on which reconstruction points lie better; which step is best there,
        `Codec.approximation` tells. Else it is asked for any positive step, on the calibrated grid.
    """

    at: Callable[[float, NDArray[Any]], Codec]
    requantizes: bool = False


@dataclasses.dataclass(frozen=True, repr=False)
class Codec(ABC):
    """A codec with its settings: a frozen dataclass whose fields are the settings.

    Subclasses of this class work in the C++ core (`number` is theirs in frames) or, derived from
    `PythonCodec`, in Python.

    Attributes
    ----------
    id
        The frozen name by which a codec is asked for.
    number
        Its frozen number in frames (docs/FORMAT.md, "Codecs"); 0 for codecs of third parties, whose frames
        hold `id` itself.
    """

    id: ClassVar[str]
    number: ClassVar[int]

    @property
    @abstractmethod
    def lossless(self) -> bool:
        """Whether decoding gives back exactly the integers that were encoded."""

    @property
    def tile_values(self) -> int | None:
        """How many values a tile of several rows may have; None for as many as the core takes."""
        return None

    def parameters(self, q: IntegerMap, zero_point: int = 0) -> bytes:
        """Everything that a decoder of this one map needs besides the header, for use without a plan.

        Parameters
        ----------
        q : uint8 or int8 array, [C, D, H, W], [C, H, W], [C, L] or [F]
        zero_point : int
            The integer that stands for 0.
        """
        del q, zero_point
        return b""

    def train(self, maps: IntegerMap, zero_point: int = 0) -> bytes:
        """Parameters for a plan, from calibration maps; the same maps always give the same bytes.

        Parameters
        ----------
        maps : uint8 or int8 array, [N, C, D, H, W], [N, C, H, W], [N, C, L] or [N, F]
        zero_point : int
            The integer that stands for 0.
        """
        del maps, zero_point
        return b""

    @property
    def longest_chain(self) -> int:
        """How many maps, one after the other, may have to be decoded before one of its maps; 0 for none."""
        return 0

    def train_referring(
        self, maps: IntegerMap, quantizer: QuantParams | None, earlier: Sequence[tuple[IntegerMap, QuantParams | None]]
    ) -> tuple[bytes, tuple[int, ...]]:
        """`train_for`, with those of the `earlier` maps of the same samples that save bytes.

        Returns
        -------
        parameters : bytes
        references : tuple of int
            Positions among `earlier`, in the order in which coding a map needs them.
        """
        del earlier
        return self.train_for(maps, quantizer), ()

    def candidates(self) -> Sequence[Codec]:
        """Settings that this one stands for: calibration keeps the smallest that does no harm."""
        return (self,)

    @classmethod
    def variants(cls) -> Sequence[Codec]:
        """What a planner chooses from, if it is told to take what there is; the first where it is told this codec."""
        return (cls(),)

    def tradeoffs(self) -> Sequence[Tradeoff]:
        """Families of settings for a planner to choose a step in; settings that differ from the defaults stay."""
        return ()

    def draft(self) -> Codec:
        """A codec that makes the same values and trains faster, which a planner measures in this one's place."""
        return self

    @property
    def plan_share(self) -> float | None:
        """How large a part of the maps that a plan is made from its parameters may be; None for any."""
        return None

    def lighter(self) -> Codec:
        """What a plan falls back to where this one's parameters take too much of it; itself where nothing does."""
        return self.draft()

    def made_of(self, parameters: bytes) -> Codec:
        """The codec that these parameters of a plan are of: itself, or a lighter one that the plan fell back to."""
        del parameters
        return self

    def in_place_of(self, draft: Codec) -> Codec:
        """The codec with the settings that a planner found for its draft."""
        return draft

    def approximation(self, maps: IntegerMap, zero_point: int = 0) -> IntegerMap | None:
        """What `maps` become if this codec is trained on them, about; None where only coding them tells.

        Parameters
        ----------
        maps : uint8 or int8 array, [N, C, ...]
        zero_point : int
            The integer that stands for 0.
        """
        del zero_point
        return maps if self.lossless else None

    def parameters_for(self, q: IntegerMap, quantizer: QuantParams | None) -> bytes:
        """`parameters` of a map of this quantizer."""
        return self.parameters(q, **self._zero_point_of(quantizer))

    def train_for(self, maps: IntegerMap, quantizer: QuantParams | None) -> bytes:
        """`train` on maps of this quantizer."""
        return self.train(maps, **self._zero_point_of(quantizer))

    def approximation_for(self, maps: IntegerMap, quantizer: QuantParams | None) -> IntegerMap | None:
        """`approximation` of maps of this quantizer."""
        return self.approximation(maps, **self._zero_point_of(quantizer))

    def _zero_point_of(self, quantizer: QuantParams | None) -> dict[str, int]:
        """The argument that codecs take which count from a zero point: all but those written in Python."""
        counts = quantizer is not None and quantizer.zero and self.number != EXTERNAL_NUMBER
        return {"zero_point": quantizer.zero} if counts and quantizer is not None else {}

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

    @property
    def fits_each_map(self) -> bool:
        """Whether, without a plan, parameters are fitted to each map."""
        return type(self).parameters is not Codec.parameters

    def encode(
        self,
        q: object,
        plan: BoundPlan | None = None,
        *,
        tap: str | int | None = None,
        quantizer: QuantParams | None = None,
        threads: int = 1,
    ) -> bytes:
        """`fmapzip.encode` with this codec."""
        return bound_for_encoding(self, plan, tap, quantizer).encode(q, threads)

    def decode(
        self,
        data: Any,
        out: Any = None,
        plan: BoundPlan | None = None,
        dequantize: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        threads: int = 1,
    ) -> NDArray[Any]:
        """`fmapzip.decode`, for frames of this codec or of any built-in one."""
        return decode_one(data, out, plan, dequantize, limits, threads, self._itself)

    def _itself(self, external_id: str) -> Codec:
        if external_id != self.id:
            raise MissingCodec(f"the frame's codec is {external_id!r}; fmapzip.decode finds codecs that are registered")
        return self

    def config(self) -> dict[str, Any]:
        """The settings as JSON values, with the codec's id; `registry.from_config` is the inverse.

        Settings marked `LATER` are left out at their defaults.
        """
        settings = dataclasses.asdict(self)
        return {"codec": self.id, **{name: settings[name] for name in self._told()}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The codec that `config()` describes.

        Raises
        ------
        InvalidInput
            A setting that this codec does not have (the message lists those that it has), or one of a wrong type.
        """
        settings = {key: value for key, value in config.items() if key != "codec"}
        known = [field.name for field in dataclasses.fields(cls)]
        for key in settings:
            if key not in known:
                listing = ", ".join(known) if known else "none"
                raise InvalidInput(f"codec {cls.id!r} has no setting {key!r}; its settings: {listing}")
        check_settings(cls, settings)
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()})

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._told())
        return f"{type(self).__name__}({settings})"

    def _told(self) -> list[str]:
        """Names of the settings but those marked `LATER` that are at their defaults."""
        fields = dataclasses.fields(self)
        return [f.name for f in fields if "later" not in f.metadata or getattr(self, f.name) != f.default]


class PythonCodec(Codec):
    """A codec written in Python, found by the entry point group ``fmapzip.codecs``.

    The frame, its checksum and the fallback to stored tiles are the library's; such a codec turns one tile
    into bytes and back. It sees the integers as they are, wherever their zero point is.
    """

    number: ClassVar[int] = EXTERNAL_NUMBER

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
