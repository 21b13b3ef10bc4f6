"""Compute the features of a frozen network once, keep them compressed, and train a head on them.

python examples/cache_features.py [IMAGES]
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils.data import DataLoader

from fmapzip.cli.app import run
from fmapzip.torch import FeatureStore

TAP = "stages.2.conv2"


def main(count: int = 200) -> None:
    """Capture one map of each image into a store, and go through it as a data set."""
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        store = str(Path(folder, "maps"))
        run(["capture", "demo", "demo", "--limit", str(count), "--codec", "context-rans", "--taps", TAP, "-o", store])
        kept = sum(path.stat().st_size for path in Path(store).rglob("*.fmz"))
        maps = FeatureStore(store, taps=TAP)
        print(
            f"{len(maps)} maps in {kept} bytes, {sum(maps[i][0].numel() for i in range(len(maps)))} as 8-bit integers"
        )
        head = torch.nn.LazyLinear(10)
        loader = DataLoader(maps, batch_size=32, shuffle=True)
        head(next(iter(loader))[0].flatten(1))
        steps = torch.optim.Adam(head.parameters(), 1e-2)
        for _ in range(5):
            for features, labels in loader:
                steps.zero_grad()
                loss = torch.nn.functional.cross_entropy(head(features.flatten(1)), labels)
                loss.backward()
                steps.step()
        print(f"cross entropy of the last batch: {loss.item():.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
