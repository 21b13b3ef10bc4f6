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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmapzip.api import decode, decode_batch, encode, encode_batch, encode_into, encode_many
    from fmapzip.archive import Archive, ArchiveWriter, open
    from fmapzip.fitting import fit
    from fmapzip.frame import Limits
    from fmapzip.geometry import frame_bound
    from fmapzip.inspection import FrameInfo, inspect
    from fmapzip.plan import Plan, TapPlan
    from fmapzip.quantize import QuantParams

_HOMES = {
    "api": ("decode", "decode_batch", "encode", "encode_batch", "encode_into", "encode_many"),
    "archive": ("Archive", "ArchiveWriter", "open"),
    "fitting": ("fit",),
    "frame": ("Limits",),
    "geometry": ("frame_bound",),
    "inspection": ("FrameInfo", "inspect"),
    "plan": ("Plan", "TapPlan"),
    "quantize": ("QuantParams",),
}
"""Where each public name is defined; it is imported when it is first used."""

_MODULES = frozenset({*_HOMES, "_core", "codecs", "errors", "registry"})
"""What is there as ``fmapzip.NAME`` without an import of its own."""

_PACKAGES = {"onnx": "onnx", "split": "torch", "torch": "torch"}
"""What else is there so, and the package that it needs; a name is listed where that is installed."""

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
    "encode_many",
    "fit",
    "frame_bound",
    "inspect",
    "open",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # importlib.metadata costs as much as the rest of the import, and few callers ask for the version.
        from importlib.metadata import version

        return version("fmapzip")
    if name in _MODULES or name in _PACKAGES:
        return import_module(f"fmapzip.{name}")
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"fmapzip.{home}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from importlib.util import find_spec

    packages = (name for name, needed in _PACKAGES.items() if find_spec(needed))
    return sorted({*globals(), *__all__, *_MODULES, *packages})
