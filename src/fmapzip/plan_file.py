"""Plan files: a line of magic and version, JSON, a zero byte, binary tables. docs/FORMAT.md specifies them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from fmapzip import _core
from fmapzip.errors import InvalidInput, InvalidPlan, UnsupportedVersion

VERSION = _core.FORMAT_VERSION
MAX_DIM = 2**31 - 1

_MAGIC = b"fmapzip-plan "

_Natural = Annotated[int, msgspec.Meta(ge=0)]
_Place = tuple[_Natural, _Natural]


class QuantizerEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A quantizer: one scale, or where its scales lie in the tables; a zero point of a network's own."""

    dtype: Literal["uint8", "int8"]
    calibrator: str
    scale: float | msgspec.UnsetType = msgspec.UNSET
    scales: _Place | msgspec.UnsetType = msgspec.UNSET
    zero_point: int | msgspec.UnsetType = msgspec.UNSET


class TapEntry(msgspec.Struct, forbid_unknown_fields=True):
    """A tap; its codec is a position among the plan's codecs."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=MAX_DIM)]], msgspec.Meta(min_length=1, max_length=4)]
    codec: _Natural
    quantizer: QuantizerEntry
    parameters: _Place | msgspec.UnsetType = msgspec.UNSET
    references: Annotated[list[_Natural], msgspec.Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    bytes: int
    crc32: int


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    metadata: dict[str, Any]
    codecs: list[dict[str, Any]]
    tables: _Tables
    taps: list[TapEntry]


@dataclass(frozen=True)
class PlanFile:
    """What a plan file holds, each field of the right type; what fields mean together is not yet checked."""

    metadata: dict[str, Any]
    codecs: list[dict[str, Any]]
    taps: list[TapEntry]
    tables: bytes

    def at(self, place: _Place, path: str) -> bytes:
        """The bytes of the tables at ``[offset, length]``; `path` names the field in errors."""
        offset, length = place
        if offset + length > len(self.tables):
            raise InvalidPlan(f"[{offset}, {length}] exceeds the {len(self.tables)} bytes of tables - at `{path}`")
        return self.tables[offset : offset + length]


def write(metadata: Mapping[str, Any], codecs: Sequence[Any], taps: Sequence[TapEntry], tables: bytes) -> bytes:
    """The bytes of a plan file; the same content gives the same bytes."""
    checked = {"bytes": len(tables), "crc32": zlib.crc32(tables)}
    try:
        heads = [
            f'"{key}":{json.dumps(value, separators=(",", ":"), allow_nan=False)}'
            for key, value in (("metadata", dict(metadata)), ("codecs", list(codecs)), ("tables", checked))
        ]
        lines = [json.dumps(msgspec.to_builtins(tap), separators=(",", ":"), allow_nan=False) for tap in taps]
        text = "{" + ",\n ".join(heads) + ',\n "taps":[\n  ' + ",\n  ".join(lines) + "]}\n"
        _parse(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the plan cannot be written as JSON: {error}") from None
    return _MAGIC + str(VERSION).encode() + b"\n" + text.encode() + b"\0" + tables


def read(data: bytes) -> PlanFile:
    """What the bytes of a plan file hold.

    Raises
    ------
    InvalidPlan
        The bytes are not a plan; it says what is wrong and at which field.
    UnsupportedVersion
        A plan of a version that this release does not read.
    """
    head, found, rest = data.partition(b"\n")
    if not found or not head.startswith(_MAGIC):
        raise InvalidPlan("not a plan: it does not begin with 'fmapzip-plan'")
    if head != _MAGIC + str(VERSION).encode():
        version = head[len(_MAGIC) :][:20].decode("ascii", "replace")
        raise UnsupportedVersion(f"plan version {version}; this release reads version {VERSION}")
    text, found, tables = rest.partition(b"\0")
    if not found:
        raise InvalidPlan("the plan is cut off: no zero byte ends its JSON")
    document = _parse(text)
    if document.tables.bytes != len(tables):
        raise InvalidPlan(f"the plan's tables are {len(tables)} bytes, its JSON says {document.tables.bytes}")
    if document.tables.crc32 != zlib.crc32(tables):
        raise InvalidPlan("the plan's tables do not match their checksum")
    return PlanFile(document.metadata, document.codecs, document.taps, tables)


def _parse(text: bytes) -> _Document:
    try:
        document = msgspec.json.decode(text, type=_Document)
        json.loads(text, object_pairs_hook=_without_repeats)  # of a repeated key msgspec would take the last one
    except (ValueError, RecursionError) as error:
        raise InvalidPlan(f"the plan's JSON: {error}") from None
    return document


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key is repeated among {', '.join(map(repr, keys[:8]))}")
