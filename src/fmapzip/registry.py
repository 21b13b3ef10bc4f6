"""Which codecs there are: the built-in ones, and those that installed packages register."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidType, MissingCodec, UnknownCodec
from fmapzip.frame import EXTERNAL_NUMBER

ENTRY_POINT_GROUP = "fmapzip.codecs"

_BUILTIN = {
    "raw": "fmapzip.codecs.raw:Raw",
    "zvc": "fmapzip.codecs.zvc:Zvc",
    "dct-cm": "fmapzip.codecs.dct_cm:DctCm",
    "context-rans": "fmapzip.codecs.context_rans:ContextRans",
}

_registered: dict[str, type[Codec]] = {}


def register(codec: type[Codec]) -> type[Codec]:
    """Make a codec class known under its `id`, for this process; usable as a decorator.

    Raises
    ------
    InvalidInput
        Another codec already has this id.
    """
    known = _registered.get(codec.id)
    if codec.id in _BUILTIN or (known is not None and known is not codec):
        raise InvalidInput(f"a codec with the id {codec.id!r} exists already")
    _registered[codec.id] = codec
    return codec


@cache
def _installed() -> dict[str, Any]:
    from importlib.metadata import entry_points  # slow to import, and rarely needed

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def builtin_names() -> list[str]:
    """Ids of the codecs that come with fmapzip, in the order of their numbers."""
    return list(_BUILTIN)


def names() -> list[str]:
    """Ids of all codecs, the built-in ones first."""
    extra = sorted({*_registered, *_installed()} - set(_BUILTIN))
    return [*_BUILTIN, *extra]


@cache
def _builtin(name: str) -> type[Codec]:
    module, _, attribute = _BUILTIN[name].partition(":")
    codec: type[Codec] = getattr(import_module(module), attribute)
    return codec


def get(name: str) -> type[Codec]:
    """The codec class of an id.

    Raises
    ------
    UnknownCodec
        There is none; the message lists those that there are.
    """
    if name in _BUILTIN:
        return _builtin(name)
    if name in _registered:
        return _registered[name]
    if name in _installed():
        codec: type[Codec] = _installed()[name].load()
        return codec
    raise UnknownCodec(f"no codec {name!r}; there are: {', '.join(names())}")


def external(external_id: str) -> type[Codec]:
    """The codec class of a third party's frame, which must be written in Python.

    Raises
    ------
    MissingCodec
        This installation has no such codec.
    CorruptFrame
        The frame names a built-in codec as a third party's.
    """
    try:
        codec = get(external_id)
    except UnknownCodec as error:
        raise MissingCodec(f"the frame's codec is not installed: {error}") from None
    if codec.number != EXTERNAL_NUMBER:
        raise CorruptFrame(f"codec {external_id!r} is not one of third parties")
    return codec


def by_number(number: int, external_id: str = "") -> type[Codec]:
    """The codec class of a frame's codec field.

    Raises
    ------
    MissingCodec
        This installation has no such codec.
    """
    if number == EXTERNAL_NUMBER:
        return external(external_id)
    for name in _BUILTIN:
        if _builtin(name).number == number:
            return _builtin(name)
    raise MissingCodec(f"no codec has the number {number}; a newer fmapzip may have written this frame")


def make(codec: str | Codec, **settings: Any) -> Codec:
    """A codec from its id and settings; a codec passes through if no settings are given.

    Examples
    --------
    >>> from fmapzip import registry
    >>> registry.make("zvc")
    Zvc()
    """
    if isinstance(codec, Codec):
        if settings:
            raise InvalidInput("settings belong to a codec's id; this codec has its settings already")
        return codec
    if not isinstance(codec, str):
        raise InvalidType(f"a codec is an id or a Codec, not {type(codec).__name__}")
    return _builtin_by_default(codec) if codec in _BUILTIN and not settings else get(codec).from_config(settings)


@cache
def _builtin_by_default(name: str) -> Codec:
    return _builtin(name)()


def from_config(config: Mapping[str, Any]) -> Codec:
    """The codec that `Codec.config()` describes."""
    try:
        name = config["codec"]
    except (KeyError, TypeError) as error:
        raise InvalidInput('a codec\'s settings name it under "codec"') from error
    if not isinstance(name, str):
        raise InvalidInput(f"a codec's id is a string, not {name!r}")
    return get(name).from_config(config)
