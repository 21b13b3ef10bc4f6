"""Where each byte of a frame went, without decoding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from fmapzip import _core, registry
from fmapzip.bound import BoundCodec, BoundPlan, core_codec, resolve_tap
from fmapzip.errors import CorruptFrame, MissingCodec
from fmapzip.frame import CHECKSUM_BYTES, DEFAULT_LIMITS, EXTERNAL_NUMBER, Limits, dtype_of, parse_only, quantizer_of
from fmapzip.geometry import Shape3, tile_shape
from fmapzip.quantize import QuantParams


@dataclass(frozen=True)
class FrameInfo:
    """What a frame's header says, and where its bytes went.

    Attributes
    ----------
    version, codec, dtype, shape
        The header's fields; `codec` is the codec's id.
    quantizer
        How the floats became integers, if the frame holds it itself.
    zero_point
        The integer that stands for 0.
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
    zero_point: int
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


def inspect(data: Any, plan: BoundPlan | None = None, limits: Limits = DEFAULT_LIMITS) -> FrameInfo:
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
        The bytes are not one whole frame, or a tile is not what its codec writes, as far as one sees without decoding.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> info = fmapzip.inspect(fmapzip.encode(np.zeros((4, 8, 8), np.uint8)))
    >>> info.codec, info.shape, info.sections["bitmap"]
    ('zvc', (4, 8, 8), 32)
    """
    frame = parse_only(data, limits)
    tap = resolve_tap(frame, plan) if frame.plan_hash and plan is not None else None
    quantizer = quantizer_of(frame) or (tap.quantizer if tap is not None else None)
    tiles = frame.tile_lengths
    stored = sum(length == prod(tile_shape(frame.shape, frame.tile_rows, i)) for i, length in enumerate(tiles))
    return FrameInfo(
        version=_core.FORMAT_VERSION,
        codec=_codec_id(frame),
        dtype=str(dtype_of(frame)),
        shape=tuple(frame.shape),
        quantizer=quantizer,
        zero_point=frame.zero_point,
        plan_hash=frame.plan_hash or None,
        tap=frame.tap if frame.plan_hash else None,
        parameter_bytes=len(frame.parameters),
        tile_rows=frame.tile_rows,
        tile_bytes=tuple(tiles),
        stored_tiles=stored,
        raw_bytes=prod(frame.shape),
        payload_bytes=frame.payload_bytes,
        total_bytes=frame.frame_bytes,
        sections=sections_of(frame, tap),
    )


def _codec_id(frame: _core.Frame) -> str:
    """The id of the codec that a frame names."""
    try:
        return frame.external_id or registry.by_number(frame.number).id
    except MissingCodec:
        return f"unknown ({frame.number})"


_FRAME_SECTIONS = {"header": "headers", "tile table": "headers", "checksum": "headers", "parameters": "tables"}
_MASK_WORDS = ("bitmap", "mask")  # in the names of a tile body's sections


def parts_of(sections: Mapping[str, int]) -> dict[str, int]:
    """Sections of a frame summed to what all methods have: ``payload``, ``masks``, ``tables`` and ``headers``."""
    found = {"payload": 0, "masks": 0, "tables": 0, "headers": 0}
    for name, size in sections.items():
        masks = any(word in name for word in _MASK_WORDS)
        found[_FRAME_SECTIONS.get(name, "masks" if masks else "payload")] += size
    return found


def sections_of(frame: _core.Frame, tap: BoundCodec | None) -> dict[str, int]:
    """Bytes of a parsed frame by part; `tap` is the bound codec of the plan that it names, where that is at hand."""
    sections = {
        "header": frame.lengths_offset - len(frame.parameters),
        "parameters": len(frame.parameters),
        "tile table": frame.payload_offset - frame.lengths_offset,
    }
    parts_of = _parts_of_bodies(frame, tap)
    for index, length in enumerate(frame.tile_lengths):
        shape = tile_shape(frame.shape, frame.tile_rows, index)
        stored = length == prod(shape)
        parts = {"stored values": length} if stored else parts_of(frame.body(index), shape)
        if sum(parts.values()) != length or min(parts.values()) < 0:
            raise CorruptFrame(f"the sections of tile {index} do not sum to its {length} bytes")
        for name, size in parts.items():
            sections[name] = sections.get(name, 0) + size
    sections["checksum"] = CHECKSUM_BYTES
    return sections


def _parts_of_bodies(frame: _core.Frame, tap: BoundCodec | None) -> Callable[[bytes, Shape3], dict[str, int]]:
    """What tells the sections of a coded tile; one section where the plan or the codec is not at hand."""
    unknown = frame.plan_hash and tap is None
    if frame.all_stored or unknown:
        return _one_section
    try:
        codec = registry.by_number(frame.number, frame.external_id)()
    except MissingCodec:
        return _one_section
    parameters = frame.parameters if tap is None else tap.parameters
    prepared = None if frame.number == EXTERNAL_NUMBER else core_codec(frame, tap)
    if prepared is not None:
        frame.check(prepared)
    return lambda body, shape: codec.sections(body, shape, parameters)


def _one_section(body: bytes, shape: Shape3) -> dict[str, int]:
    del shape
    return {"body": len(body)}
