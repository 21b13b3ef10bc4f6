"""What ``--codec`` takes: ``NAME``, ``NAME:key=value,...`` or ``NAME:@settings.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.errors import FmapzipError, InvalidInput
from fmapzip.registry import make


def parse_codec(spec: str) -> Codec:
    """The codec that ``spec`` describes.

    Parameters
    ----------
    spec
        A codec's id, alone or followed by settings. Values are JSON; what is not JSON is text. Commas inside
        brackets or quotes do not separate settings.

    Raises
    ------
    UnknownCodec
        No codec of that id; the message lists those there are.
    InvalidInput
        A setting that the codec does not have (the message lists those it has), a value it does not take, a
        settings file that is missing or holds no JSON object.

    Examples
    --------
    >>> parse_codec("zvc").id
    'zvc'
    """
    name, settings = read_spec(spec)
    try:
        return make(name, **settings)
    except FmapzipError:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"codec {spec!r}: {error}") from error


def read_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """The name and the settings in ``spec``, whether or not there is such a codec."""
    name, colon, text = spec.partition(":")
    if not colon:
        return name, {}
    return name, _from_file(Path(text[1:]), name) if text.startswith("@") else _settings(spec, text)


def _from_file(file: Path, name: str) -> dict[str, Any]:
    """The settings in a file, which may name their codec as `Codec.config()` does."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidInput(f"codec settings {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"codec settings {file}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"codec settings {file}: expected a JSON object")
    if found.pop("codec", name) != name:
        raise InvalidInput(f"codec settings {file}: they are of another codec than {name!r}")
    return found


def _settings(spec: str, text: str) -> dict[str, Any]:
    """The settings of ``key=value,...``; `spec` is what errors name."""
    settings: dict[str, Any] = {}
    for part in _split(text):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not (key and equals):
            raise InvalidInput(f"codec {spec!r}: expected key=value, found {part!r}")
        if key in settings:
            raise InvalidInput(f"codec {spec!r}: {key} is given twice")
        settings[key] = _value(value.strip())
    return settings


def _split(text: str) -> list[str]:
    """``text`` cut at the commas that are outside brackets and double quotes."""
    parts, depth, quoted = [""], 0, False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "[{":
            depth += 1
        elif not quoted and char in "]}":
            depth -= 1
        if char == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
