"""Frames as Python sees them: limits, and headers that the core validated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmapzip import _core
from fmapzip.errors import CorruptFrame
from fmapzip.quantize import QuantParams

CHECKSUM_BYTES = 4
EXTERNAL_NUMBER = 0
"""What a frame has for a codec's number where it names the codec of a third party."""


@dataclass(frozen=True)
class Limits:
    """What a reader is willing to allocate for a header that it has not yet trusted.

    Attributes
    ----------
    max_values
        Most values in a decoded map.
    max_parameter_bytes
        Most bytes of inline parameters.
    """

    max_values: int = _core.MAX_VALUES
    max_parameter_bytes: int = _core.MAX_PARAMETER_BYTES


DEFAULT_LIMITS = Limits()


def parse(data: Any, offset: int = 0, limits: Limits = DEFAULT_LIMITS, verify: bool = True) -> _core.Frame:
    """The frame that `data` holds at `offset`, validated but for the checksum unless `verify`; more may follow it."""
    return _core.Frame(data, offset, limits.max_values, limits.max_parameter_bytes, verify)


def parse_only(data: Any, limits: Limits = DEFAULT_LIMITS, verify: bool = True) -> _core.Frame:
    """The frame that `data` is, with nothing after it."""
    frame = parse(data, 0, limits, verify)
    extra = memoryview(data).nbytes - frame.frame_bytes
    if extra:
        raise CorruptFrame(f"{extra} bytes follow the frame (at byte {frame.frame_bytes}); decode_batch reads several")
    return frame


def parse_all(data: Any, limits: Limits = DEFAULT_LIMITS, verify: bool = True) -> Iterator[_core.Frame]:
    """The frames that follow one another in `data`."""
    size = memoryview(data).nbytes
    offset = 0
    while offset < size:
        frame = parse(data, offset, limits, verify)
        offset += frame.frame_bytes
        yield frame


def dtype_of(frame: _core.Frame) -> np.dtype[Any]:
    """The integers' dtype."""
    return np.dtype(np.int8 if frame.signed else np.uint8)


def quantizer_of(frame: _core.Frame) -> QuantParams | None:
    """The quantizer that a frame holds itself."""
    if not frame.scales:
        return None
    scale = tuple(float(s) for s in np.frombuffer(frame.scales, "<f4"))
    return QuantParams("int8" if frame.signed else "uint8", scale, "frame", frame.zero_point or None)
