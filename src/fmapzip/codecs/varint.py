"""The variable-length integers of docs/FORMAT.md, as codecs write them into parameters."""

from __future__ import annotations


def varint(value: int) -> bytes:
    r"""Seven bits a byte, the lowest first; all bytes but the last have the highest bit set.

    Examples
    --------
    >>> varint(5), varint(300)
    (b'\x05', b'\xac\x02')
    """
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
