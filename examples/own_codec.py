"""A codec of one's own beside ours: the frame, its checksum, plans, archives and measurements come with it.

    python examples/own_codec.py [IMAGES]

Installed packages register theirs by an entry point of the group `fmapzip.codecs`.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import fmapzip
from fmapzip.codecs.base import PythonCodec
from fmapzip.errors import CorruptFrame


@fmapzip.registry.register
@dataclass(frozen=True)
class DeltaDeflate(PythonCodec):
    """Differences along rows, through zlib. Its fields are its settings."""

    id: ClassVar[str] = "example-delta-deflate"
    lossless: ClassVar[bool] = True
    level: int = 6

    def encode_tile(self, tile: NDArray[Any], parameters: bytes) -> bytes:
        """The body of a [C, rows, W] tile."""
        return zlib.compress(np.diff(tile.view(np.uint8), axis=2, prepend=np.uint8(0)).tobytes(), self.level)

    def decode_tile(
        self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any], parameters: bytes
    ) -> NDArray[Any]:
        """The tile of a body, which may hold anything: never more is unpacked than the tile has."""
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(body, int(np.prod(shape)) + 1)
        except zlib.error as error:
            raise CorruptFrame(f"not zlib's: {error}") from error
        if len(data) != np.prod(shape) or not unpacker.eof or unpacker.unused_data:
            raise CorruptFrame("another length than the tile's")
        return np.cumsum(np.frombuffer(data, np.uint8).reshape(shape), axis=2, dtype=np.uint8).view(dtype)


def main(count: int = 20) -> None:
    """Compare it on a map, then hold it against others in a network."""
    q = np.maximum(np.add.accumulate(np.random.default_rng(0).normal(0, 4, (16, 32, 32)), axis=2), 0).astype(np.uint8)
    for codec in (DeltaDeflate(), fmapzip.registry.make("zvc"), fmapzip.registry.make("context-rans")):
        frame = fmapzip.encode(q, codec)
        assert (fmapzip.decode(frame) == q).all()
        print(f"{codec.id:22} {fmapzip.inspect(frame).ratio:.2f}")
    from fmapzip.cli.app import run

    run(["eval", "demo", "demo", "--limit", str(count), "--codec", DeltaDeflate.id, "--codec", "context-rans"])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
