"""Files of shard documents: written whole, with a digest; read with every value checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from fmapzip.atomic import write_atomically
from fmapzip.documents.shard import Shard
from fmapzip.errors import InvalidInput

KIND: Literal["eval shard"] = "eval shard"
SCHEMA: Literal[1] = 1


def write_shard(file: Path, shard: Shard) -> None:
    """Write a document, with its digest."""
    found = msgspec.to_builtins(shard)
    found["digest"] = _digest(found)
    write_atomically(file, json.dumps(found).encode() + b"\n")


def read_shard(file: Path) -> Shard:
    """Read a document.

    Raises
    ------
    InvalidInput
        The file is missing, no such document, of a newer schema, or not as it was written.
    """
    try:
        found = json.loads(file.read_bytes())
        if not isinstance(found, dict) or found.get("kind") != KIND:
            raise InvalidInput(f"{file}: not the document of a shard")
        if found.get("schema") != SCHEMA:
            raise InvalidInput(f"{file}: schema {str(found.get('schema'))[:20]}; this release reads schema {SCHEMA}")
        if found.get("digest") != _digest(found):
            raise InvalidInput(f"{file}: damaged: its digest is of other content")
        return msgspec.convert(found, Shard)
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{file}: not the document of a shard: {error}") from error


def _digest(found: dict[str, Any]) -> str:
    content = {key: value for key, value in found.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
