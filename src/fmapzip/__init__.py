"""fmapzip: compress CNN feature maps during inference, as real bytes that really decode.

Examples
--------
>>> import numpy as np, fmapzip
>>> q = np.zeros((8, 16, 16), np.uint8)
>>> q[:, 4:9, 4:9] = 3
>>> frame = fmapzip.encode(q, codec="zvc")
>>> fmapzip.inspect(frame).ratio > 3, bool((fmapzip.decode(frame) == q).all())
(True, True)
"""

from __future__ import annotations

from fmapzip.api import decode, decode_batch, encode, encode_batch, encode_into
from fmapzip.archive import Archive, ArchiveWriter, open
from fmapzip.frame import Limits
from fmapzip.geometry import frame_bound
from fmapzip.inspection import FrameInfo, inspect
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import QuantParams

__all__ = [
    "Archive",
    "ArchiveWriter",
    "FrameInfo",
    "Limits",
    "Plan",
    "QuantParams",
    "TapPlan",
    "__version__",
    "decode",
    "decode_batch",
    "encode",
    "encode_batch",
    "encode_into",
    "frame_bound",
    "inspect",
    "open",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        # importlib.metadata costs as much as the rest of the import, and few callers ask for the version.
        from importlib.metadata import version

        return version("fmapzip")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
