"""A network in two places: a head on a device, a tail on a server, and compressed feature maps between them.

Needs the extra ``torch``; serving and asking a server need the extra ``serve``.
"""

from __future__ import annotations

from fmapzip.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtra("fmapzip.split needs PyTorch: pip install 'fmapzip[torch]'") from error

from fmapzip.split.bundle import Split, load, save_split
from fmapzip.split.codec import CrossingCodec
from fmapzip.split.halves import Cut, cut, cuts

__all__ = ["CrossingCodec", "Cut", "Split", "cut", "cuts", "load", "save_split"]
