"""Which feature maps cost an accelerator its DRAM traffic, and what a codec at the memory port would save.

python examples/accelerator_traffic.py [IMAGES]
"""

from __future__ import annotations

import sys

from fmapzip import registry
from fmapzip.eval.request import Request
from fmapzip.traffic import Chip, run


def main(count: int = 20) -> None:
    """Model one image on a chip with a small buffer, map by map."""
    chip = Chip(buffer_bytes=64_000)
    report = run(Request("demo", "demo", limit=count), registry.make("zvc"), chip, lambda *_: None)
    for tap in report["taps"]:
        print(f"{tap['name']:16} {tap['raw_bytes']:8.0f} bytes raw, {tap['coded_bytes']:8.0f} coded")
    total = report["total"]
    print(f"one image moves {total['raw_bytes']:.0f} bytes without the codec and {total['coded_bytes']:.0f} with it")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
