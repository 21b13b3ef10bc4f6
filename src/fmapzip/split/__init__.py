"""A network in two places: a head on a device, a tail on a server, and compressed feature maps between them.

Needs the extra ``torch``; serving and asking a server need the extra ``serve``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fmapzip.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtra("fmapzip.split needs PyTorch: pip install 'fmapzip[torch]'") from error

from fmapzip.split.bundle import Split, load, save_split
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.halves import Cut, cut, cuts

if TYPE_CHECKING:
    from fmapzip.split.client import AsyncClient, Client, ClientReport

__all__ = [
    "AsyncClient",
    "Client",
    "ClientReport",
    "CrossingCodec",
    "Cut",
    "Split",
    "cut",
    "cuts",
    "load",
    "save_split",
]

_WITH_GRPC = ("AsyncClient", "Client", "ClientReport")


def __getattr__(name: str) -> Any:
    if name not in _WITH_GRPC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module("fmapzip.split.client"), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"fmapzip.split.{name} needs gRPC: pip install 'fmapzip[serve]'") from error
