"""What a baseline is: another method for 8-bit feature maps, with encoder and decoder, for comparison only."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra

IntegerMap = NDArray[np.uint8] | NDArray[np.int8]
Bytes = NDArray[np.uint8]
Shape = tuple[int, ...]
Parts = dict[str, int]
"""Where the bytes of one encoded map went: some of `PARTS`, summing to all of them."""

PARTS = ("payload", "masks", "tables", "headers")


@dataclasses.dataclass(frozen=True, repr=False)
class Baseline(ABC):
    """A method with its settings: a frozen dataclass whose fields are the settings.

    Baselines have no frames, no checksums and no defence against hostile bytes: they are here to be measured. Where
    the bytes cannot be right, `decode` raises `ValueError`.

    Attributes
    ----------
    id
        The name by which it is asked for.
    source
        Where the method is published.
    package
        The module that it needs (extra ``baselines``), or "".
    layouts
        The values of its setting ``layout``, of which a bench shows the best; empty where it has none.
    speed_meaningful
        Whether the time it takes says something of the method: false for methods written here in NumPy.
    """

    id: ClassVar[str]
    source: ClassVar[str]
    package: ClassVar[str] = ""
    layouts: ClassVar[tuple[str, ...]] = ()
    speed_meaningful: ClassVar[bool] = False

    @property
    def lossless(self) -> bool:
        """Whether decoding gives back exactly the integers that were encoded."""
        return True

    @property
    def trained(self) -> bool:
        """Whether it needs `train`."""
        return False

    def train(self, maps: IntegerMap) -> bytes:
        """Side information from calibration maps [N, ...], counted once like a plan."""
        del maps
        return b""

    def at_step(self, step: float) -> Self | None:
        """The method as lossy as rounding to multiples of `step` integers, for a planner; None where it has no such.

        Settings beside those that say how lossy it is stay.
        """
        del step
        return None

    def error_bound(self, shape: Shape) -> float:
        """The largest error of a value that the method promises, in integer steps; 0 where it is lossless."""
        del shape
        return 0.0

    @abstractmethod
    def encode(self, q: IntegerMap, side: bytes = b"") -> bytes:
        """All bytes of one map [C, H, W], [C, L] or [F], with every table that a decoder needs besides `side`."""

    @abstractmethod
    def decode(self, data: bytes, shape: Shape, dtype: np.dtype[Any], side: bytes = b"") -> IntegerMap:
        """The map; shape and dtype are what a frame's header would hold."""

    def decode_to(self, data: bytes, out: IntegerMap, side: bytes = b"") -> IntegerMap:
        """The map, in the preallocated contiguous array `out` where the method can write there, else elsewhere."""
        return self.decode(data, out.shape, out.dtype, side)

    def parts(self, data: bytes, shape: Shape) -> Parts:
        """Where the bytes went; they sum to ``len(data)``."""
        del shape
        return {"payload": len(data)}

    def missing(self) -> str:
        """The module that would have to be installed, or ""."""
        return self.package if self.package and find_spec(self.package) is None else ""

    def config(self) -> dict[str, Any]:
        """The settings as JSON values, with the method's id."""
        return {"codec": self.id, **dataclasses.asdict(self)}

    @classmethod
    def from_config(cls, settings: Mapping[str, Any]) -> Self:
        """The method with these settings; `InvalidInput` names those that exist."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in settings:
            if key not in known:
                raise InvalidInput(f"{cls.id!r} has no setting {key!r}; its settings: {', '.join(known) or 'none'}")
        return cls(**settings)

    def __repr__(self) -> str:
        settings = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
        return f"{type(self).__name__}({settings})"


def module(name: str) -> Any:
    """An optional module; `MissingExtra` where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f"the module {name!r} is not installed: pip install 'fmapzip[baselines]'") from error


def choose(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raise `InvalidInput` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise InvalidInput(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")


def as_bytes(q: IntegerMap) -> Bytes:
    """The values in planar order as unsigned bytes (two's complement for int8)."""
    return np.ascontiguousarray(q).view(np.uint8).reshape(-1)


def from_bytes(values: Bytes, shape: Shape, dtype: np.dtype[Any]) -> IntegerMap:
    """The inverse of `as_bytes`."""
    return values.view(dtype).reshape(shape)
