"""Where the bytes of a dct-cm tile went."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fmapzip import _core
from fmapzip.codecs.dct_cm_parameters import RANS, TRANSFORM, ZERO_MASK
from fmapzip.errors import CorruptFrame

_KINDS = ("zero mask", "headers", "bitmaps", "values")
_LENGTH_BYTES, _EXCESS_BYTES = 4, 1


def sections(body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
    """Bytes of a tile by kind; kinds share the bytes at their borders, and the sum is the body's length.

    Raises
    ------
    FrameError
        The body is not what an encoder writes, as far as one sees without decoding.
    """
    if parameters[0] & RANS:
        return _rans_sections(body, parameters)
    return _whole_bytes(dict(zip(_KINDS, _core.dct_cm_bits(body, *shape, parameters), strict=True)), len(body))


def _rans_sections(body: bytes, parameters: bytes) -> dict[str, int]:
    if not parameters[0] & TRANSFORM:
        return {"values": len(body)}
    headers = _LENGTH_BYTES + _EXCESS_BYTES
    coefficients = int.from_bytes(body[:_LENGTH_BYTES], "little")
    rest = len(body) - headers - coefficients
    if rest < 0:
        raise CorruptFrame(f"dct-cm: a body of {len(body)} bytes has no {coefficients} bytes of coefficients")
    # With a zero mask, the large coefficients lie between; only a decoder can tell how many there are.
    kind = "large coefficients and zero mask" if parameters[0] & ZERO_MASK else "large coefficients"
    return {"headers": headers, "coefficients": coefficients, kind: rest}


def _whole_bytes(bits: Mapping[str, int], total: int) -> dict[str, int]:
    """Bits as bytes that sum to `total`; the padding goes to the last kind."""
    ends = np.cumsum(list(bits.values())) // 8
    ends[-1] = total
    sizes = np.diff(ends, prepend=0)
    return {kind: int(size) for kind, size in zip(bits, sizes, strict=True) if size or kind == "values"}
