"""Fields that follow one another in bytes: FORMAT.md's fixed sizes and varints."""

from __future__ import annotations

from fmapzip.errors import CorruptFrame, TruncatedFrame


class Reader:
    """Takes fields one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if self.position + size > len(self.data):
            raise TruncatedFrame("the data end early")
        self.position += size
        return self.data[self.position - size : self.position]

    def u8(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """The next LEB128 number, below 2^32 and in its shortest form."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.u8()
            value |= (byte & 127) << shift
            if byte < 128:
                if value >= 2**32 or (byte == 0 and shift):
                    break
                return value
        raise CorruptFrame("malformed number")
