"""What storing the feature maps of a network would save, and what it would cost.

    python examples/measure_network.py [IMAGES]

Replace `network()` by an nn.Module of yours, and the two batches by what it reads.
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from fmapzip import registry
from fmapzip.demo import digits, network
from fmapzip.torch import evaluate


def batch(part: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some digits as the demo network reads them, and their labels."""
    images, labels = digits(part)
    pixels = (images[:count, None].astype(np.float32) / 255 - 0.31) / 0.32
    return torch.from_numpy(pixels), torch.from_numpy(labels[:count])


def main(count: int = 50) -> None:
    """Store every map without a loss and with one, and compare with the float and the 8-bit network."""
    calibration, _ = batch("train", count)
    codecs = ["zvc", "context-rans", registry.make("context-rans", step=2)]
    found = evaluate(network(), [batch("test", count)], codecs, calibration=[calibration], metrics="classes")
    print(f"float: top-1 {found.float_baseline.top1:.1%}; as 8-bit integers: {found.int8_baseline.top1:.1%}")
    for entry in found.codecs:
        name = f"{entry.codec} step {entry.config.get('step', 1)}"
        print(f"{name:20} {entry.ratio_total:.2f} times fewer bytes, top-1 {entry.top1:.1%}, KL {entry.kl_vs_int8:.4f}")
        for tap in entry.taps:
            print(f"    {tap.name:16} {tap.raw_bytes / tap.total_bytes:5.2f}  {tap.zeros:4.0%} zeros")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
