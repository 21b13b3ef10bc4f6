"""Run the first layers here and the rest elsewhere, with a compressed feature map between them.

    python examples/split_inference.py [IMAGES]

Head and tail run in one process here; `fmapzip serve` and `fmapzip.split.Client` put them on two machines.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from measure_network import batch

from fmapzip.demo import network
from fmapzip.split import cut, cuts, load, save_split

AT = "stages.2.conv2"


def main(count: int = 32) -> None:
    """List the places for a cut, cut at one, save both halves, and run them."""
    images, labels = batch("test", count)
    for place in cuts(network(), images[:1]):
        print(f"{place.values:6} values would cross behind", *place.at)
    with TemporaryDirectory() as folder:
        save_split(cut(network(), images[:1], at=AT), Path(folder), batch("train", 64)[0], ["context-rans"])
        split = load(folder)
        with torch.inference_mode():
            crossing = split.head(images)
            messages = split.codec.encode(crossing)
            outputs = split.tail(*split.codec.decode(messages))
    sent = sum(len(frame) for message in messages for frame in message)
    values = sum(tensor.numel() for tensor in crossing)
    print(f"{sent / count:.0f} bytes an image cross, {values / count:.0f} as 8-bit integers")
    print(f"{int((outputs.argmax(1) == labels).sum())} of {count} digits are read rightly")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
