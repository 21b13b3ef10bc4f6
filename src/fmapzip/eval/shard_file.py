"""Files of shard documents: written whole, with a digest; read with every value checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from fmapzip.atomic import write_atomically
from fmapzip.documents.shard import Shard
from fmapzip.errors import InvalidInput

KIND: Literal["eval shard"] = "eval shard"
SCHEMA: Literal[1] = 1


class _Numbered(Protocol):
    @property
    def shard(self) -> int: ...

    @property
    def shards(self) -> int: ...


_Read = TypeVar("_Read", bound=msgspec.Struct)
_Shard = TypeVar("_Shard", bound=_Numbered)


def write_shard(file: Path, shard: msgspec.Struct) -> None:
    """Write a document, with its digest."""
    found = msgspec.to_builtins(shard)
    found["digest"] = _digest(found)
    write_atomically(file, json.dumps(found).encode() + b"\n")


def read_shard(file: Path) -> Shard:
    """Read the document of an evaluation's shard, as `read_document` does."""
    return read_document(file, KIND, Shard)


def read_document(file: Path, kind: str, document: type[_Read]) -> _Read:
    """Read a document of a kind.

    Raises
    ------
    InvalidInput
        The file is missing, no such document, of a newer schema, or not as it was written.
    """
    try:
        found = json.loads(file.read_bytes())
        if not isinstance(found, dict) or found.get("kind") != kind:
            raise InvalidInput(f"{file}: not the document of a shard of {kind.split(maxsplit=1)[0]}")
        if found.get("schema") != SCHEMA:
            raise InvalidInput(f"{file}: schema {str(found.get('schema'))[:20]}; this release reads schema {SCHEMA}")
        if found.get("digest") != _digest(found):
            raise InvalidInput(f"{file}: damaged: its digest is of other content")
        return msgspec.convert(found, document)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{file}: not the document of a shard: {error}") from error


def in_order(found: Sequence[tuple[Path, _Shard]]) -> list[tuple[Path, _Shard]]:
    """All shards of one run, in order, of those that were given in any.

    Raises
    ------
    InvalidInput
        Some are missing or doubled.
    """
    known: dict[int, tuple[Path, _Shard]] = {}
    for file, shard in found:
        if shard.shard in known:
            raise InvalidInput(f"{file} and {known[shard.shard][0]} are both shard {shard.shard}/{shard.shards}")
        known[shard.shard] = file, shard
    if not known:
        raise InvalidInput("there are no shards")
    count = found[0][1].shards
    missing = [i for i in range(1, count + 1) if i not in known]
    if missing:
        raise InvalidInput(f"{len(missing)} of {count} shards are missing, the first is {missing[0]}/{count}")
    return [known[i] for i in sorted(known)]


def _digest(found: dict[str, Any]) -> str:
    content = {key: value for key, value in found.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
