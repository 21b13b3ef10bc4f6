"""Frames as Python sees them: limits, validated headers, and where each byte went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from fmapzip import _core, registry
from fmapzip.errors import CorruptFrame, InvalidInput, UnknownCodec
from fmapzip.quantize import QuantParams

CHECKSUM_BYTES = 4


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


@dataclass(frozen=True)
class FrameInfo:
    """What a frame's header says, and where its bytes went.

    Attributes
    ----------
    version, codec, dtype, shape
        The header's fields; `codec` is the codec's id.
    quantizer
        How the floats became integers, if the frame holds it itself.
    plan_hash, tap
        The plan that the frame needs (first 8 bytes of its hash) and the index of its tap, or None.
    parameter_bytes
        Size of the inline parameters.
    tile_rows, tile_bytes
        Rows a tile, and the length of each tile's body.
    stored_tiles
        How many of them hold their values as they are.
    raw_bytes, payload_bytes, total_bytes
        Values, tile bodies, and the whole frame.
    sections
        Bytes by part; they sum to `total_bytes`.
    """

    version: int
    codec: str
    dtype: str
    shape: tuple[int, ...]
    quantizer: QuantParams | None
    plan_hash: bytes | None
    tap: int | None
    parameter_bytes: int
    tile_rows: int
    tile_bytes: tuple[int, ...]
    stored_tiles: int
    raw_bytes: int
    payload_bytes: int
    total_bytes: int
    sections: dict[str, int] = field(repr=False)

    @property
    def ratio(self) -> float:
        """Raw bytes over all bytes of the frame."""
        return self.raw_bytes / self.total_bytes

    @property
    def bits_per_value(self) -> float:
        """Bits of the whole frame for each value of the map."""
        return 8 * self.total_bytes / self.raw_bytes


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


def codec_id(frame: _core.Frame) -> str:
    """The id of the codec that a frame names."""
    try:
        return registry.by_code(frame.code, frame.external_id).id
    except UnknownCodec:
        return frame.external_id or f"unknown ({frame.code})"


def quantizer_of(frame: _core.Frame) -> QuantParams | None:
    """The quantizer that a frame holds itself."""
    if not frame.scales:
        return None
    scale = tuple(float(s) for s in np.frombuffer(frame.scales, "<f4"))
    return QuantParams("int8" if frame.signed else "uint8", scale, "frame")


def tile_shape(frame: _core.Frame, index: int) -> tuple[int, int, int]:
    """(C, rows, W) of a tile, as the codec sees it."""
    channels, height, width = worked_shape(tuple(frame.shape))
    return channels, min(frame.tile_rows, height - index * frame.tile_rows), width


def worked_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) that a map is worked on as: [C, L] is C x 1 x L and [F] is F x 1 x 1."""
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise InvalidInput(f"a map has 1 to 3 dimensions ([C, H, W], [C, L] or [F]); this one has {len(shape)}")


def inspect(data: Any, plan: Any = None, limits: Limits = DEFAULT_LIMITS) -> FrameInfo:
    """Read a frame's header and tell where each of its bytes went; nothing is decoded.

    Parameters
    ----------
    data : bytes-like
        One frame. Its checksum is verified.
    plan : Plan, optional
        The plan that the frame names; without it the bodies of a codec that needs parameters are one section.
    limits : Limits
        What the header may ask for.

    Raises
    ------
    FrameError
        The bytes are not one whole frame.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> info = fmapzip.inspect(fmapzip.encode(np.zeros((4, 8, 8), np.uint8)))
    >>> info.codec, info.shape, info.sections["bitmap"]
    ('zvc', (4, 8, 8), 32)
    """
    frame = parse_only(data, limits)
    quantizer = quantizer_of(frame)
    parameters: bytes | None = frame.parameters
    if frame.plan_hash:
        tap = resolve_tap(frame, plan) if plan is not None else None
        parameters = tap.parameters if tap is not None else None
        quantizer = quantizer or (tap.quantizer if tap is not None else None)
    tiles = [length for _, length in frame.tile_spans]
    stored = sum(length == prod(tile_shape(frame, i)) for i, length in enumerate(tiles))
    return FrameInfo(
        version=_core.FORMAT_VERSION,
        codec=codec_id(frame),
        dtype=str(dtype_of(frame)),
        shape=tuple(frame.shape),
        quantizer=quantizer,
        plan_hash=frame.plan_hash or None,
        tap=frame.tap if frame.plan_hash else None,
        parameter_bytes=len(frame.parameters),
        tile_rows=frame.tile_rows,
        tile_bytes=tuple(tiles),
        stored_tiles=stored,
        raw_bytes=prod(frame.shape),
        payload_bytes=frame.payload_bytes,
        total_bytes=frame.frame_bytes,
        sections=_sections(data, frame, parameters),
    )


def resolve_tap(frame: _core.Frame, plan: Any) -> Any:
    """The tap of `plan` that a frame was encoded with.

    Raises
    ------
    PlanMismatch
        The frame needs a plan and none is given, or another one.
    """
    from fmapzip.errors import PlanMismatch

    if plan is None:
        raise PlanMismatch(f"this frame was encoded with plan {frame.plan_hash.hex()}; give it as plan=")
    if plan.hash8 != frame.plan_hash:
        raise PlanMismatch(f"this frame was encoded with plan {frame.plan_hash.hex()}, not {plan.hash8.hex()}")
    if frame.tap >= len(plan.taps):
        raise CorruptFrame(f"the frame names tap {frame.tap} of a plan with {len(plan.taps)} taps")
    return plan.taps[frame.tap]


def _sections(data: Any, frame: _core.Frame, parameters: bytes | None) -> dict[str, int]:
    table = frame.payload_offset - frame.lengths_offset
    sections = {
        "header": frame.lengths_offset - len(frame.parameters),
        "parameters": len(frame.parameters),
        "tile table": table,
    }
    view = memoryview(data).cast("B")
    for index, (offset, length) in enumerate(frame.tile_spans):
        shape = tile_shape(frame, index)
        if length == prod(shape):
            parts = {"stored values": length}
        elif parameters is None:
            parts = {"body": length}
        else:
            codec = registry.by_code(frame.code, frame.external_id)
            parts = codec().sections(bytes(view[offset : offset + length]), shape, parameters)
        for name, size in parts.items():
            sections[name] = sections.get(name, 0) + size
    sections["checksum"] = CHECKSUM_BYTES
    return sections
