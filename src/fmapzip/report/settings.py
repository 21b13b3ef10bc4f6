"""A codec's settings in a few words."""

from __future__ import annotations

from typing import Any

from fmapzip import registry
from fmapzip.errors import UnknownCodec


def changed_settings(config: dict[str, Any]) -> str:
    """The settings that differ from a codec's defaults, as on the command line."""
    try:
        usual = registry.get(config["codec"])().config()
    except (KeyError, UnknownCodec):
        usual = {}
    shown = [f"{key}={value}" for key, value in config.items() if key != "codec" and usual.get(key) != value]
    return ":" + ",".join(shown) if shown else ""
