"""What smaller tiles cost: bytes of maps of a network by `tile_values`.

    python benchmarks/tile_sizes.py squeezenet1_1.fmz ... --json benchmarks/results/tile_sizes.json

Archives are those of `prove_blocks.py`, of several images. What is trained of a map is trained on all of its images but
the last, which is encoded: bytes of tiles and of the table of their lengths.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import keep_by_archive

import fmapzip
from fmapzip import _core
from fmapzip.archive import Archive
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.frame import parse_only
from fmapzip.geometry import tile_shape

SOME_PLAN = b"\0" * 8
CODECS = ("zvc", "dct-cm:path=mask", "context-rans:level=fast", "context-rans:weights=shared", "context-rans")
TILE_VALUES = (0, 65536, 16384, 4096, 1024)
"""0 stands for the codec's own choice."""


def stored(archive: Archive, name: str) -> dict[tuple[str, int], tuple[int, int]]:
    """Bytes of the last image's map, and the values of its largest tile, by codec and values a tile."""
    samples = list(archive.samples(name))
    zero_point = parse_only(archive.frame(name, samples[-1])).zero_point
    maps = np.stack([fmapzip.decode(archive.frame(name, sample), plan=archive.plan) for sample in samples])
    found = {}
    for spec in CODECS:
        codec = parse_codec(spec)
        trained = codec.train(maps[:-1], zero_point)
        for values in TILE_VALUES:
            made = _core.Codec(codec.number, trained, values)
            frame = parse_only(_core.encode(maps[-1], made, b"", False, zero_point, SOME_PLAN, 0, 1))
            largest = int(np.prod(tile_shape(frame.shape, frame.tile_rows, 0)))
            found[spec, values] = frame.payload_bytes + frame.payload_offset - frame.lengths_offset, largest
    return found


def rows_of(archive: Archive) -> list[dict[str, Any]]:
    """Bytes of all maps, and the largest tile, by codec and values a tile."""
    maps = [stored(archive, name) for name in archive.names]
    rows = []
    for codec, values in maps[0]:
        of_all = [each[codec, values] for each in maps]
        size, most = sum(size for size, _ in of_all), max(most for _, most in of_all)
        rows.append({"maps": len(maps), "codec": codec, "tile_values": values, "bytes": size, "largest": most})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    keep_by_archive(arguments.json, "tile_sizes", arguments.archives, rows_of)


if __name__ == "__main__":
    main()
