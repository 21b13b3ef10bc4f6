"""Other people's methods and general codecs, on the same maps, with real bytes.

Examples
--------
>>> import numpy as np
>>> from fmapzip import baselines
>>> q = np.zeros((16, 8, 8), np.uint8)
>>> q[:, ::3] = 9
>>> method = baselines.make("ebpc", block=16)
>>> data = method.encode(q)
>>> bool((method.decode(data, q.shape, q.dtype) == q).all())
True
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fmapzip.baselines.base import PARTS, Baseline
from fmapzip.errors import UnknownCodec

__all__ = ["PARTS", "Baseline", "get", "make", "names"]

_BASELINES = {
    "eyeriss-rlc": "zero_runs:EyerissRlc",
    "zero-bursts": "zero_runs:ZeroBursts",
    "csc": "zero_runs:Csc",
    "ebpc": "ebpc:Ebpc",
    "huffman": "huffman:Huffman",
    "rans0": "rans:OrderZeroRans",
    "apack": "apack:APack",
    "pca": "pca:Pca",
    "projection": "projection:Projection",
    "jpeg-act": "jpeg_act:JpegAct",
    "deflate": "general:Deflate",
    "zstd": "general:Zstd",
    "lz4": "general:Lz4",
    "blosc2": "general:Blosc2",
    "pcodec": "numeric:Pcodec",
    "zfp": "numeric:Zfp",
    "brotli": "general:Brotli",
    "xz": "general:Xz",
    "jpeg-ls": "images:JpegLs",
    "jpeg-xl": "images:JpegXl",
}


def names() -> list[str]:
    """Ids of all methods."""
    return list(_BASELINES)


def get(name: str) -> type[Baseline]:
    """The class of a method; `UnknownCodec` lists those that exist."""
    if name not in _BASELINES:
        raise UnknownCodec(f"no method {name!r}; there are: {', '.join(_BASELINES)}")
    module, _, attribute = _BASELINES[name].partition(":")
    baseline: type[Baseline] = getattr(import_module(f"fmapzip.baselines.{module}"), attribute)
    return baseline


def make(name: str, **settings: Any) -> Baseline:
    """A method with its settings; `InvalidInput` lists the settings that it has."""
    return get(name).from_config(settings)
