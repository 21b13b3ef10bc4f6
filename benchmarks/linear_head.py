"""Training a linear head on kept feature maps, against running the network in every epoch.

    python benchmarks/linear_head.py path/to/data --json benchmarks/results/linear_head.json

`path/to/data` has CIFAR ResNet-20 in `nets.py`, its training images in `cifar_train10k.npz`, and `cifar1000` to
report on. The head reads the last feature map, averaged over its positions, and is trained from nothing; both ways see
the same batches. One thread.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write_result
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fmapzip.eval.data import load_data
from fmapzip.eval.input_options import named
from fmapzip.eval.loading import Batches
from fmapzip.eval.models import load_model
from fmapzip.torch import FeatureStore, taps

BATCH, RATE = 128, 0.05


def write_folder(source: Path, folder: Path, most: int) -> None:
    """The first training images as a folder that every command reads."""
    found = np.load(source)
    folder.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label"])
        for i, (image, label) in enumerate(zip(found["images"][:most], found["labels"][:most], strict=True)):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:05}.png")
            rows.writerow([f"{i:05}.png", int(label)])


def tensors(folder: Path) -> tuple[Tensor, Tensor]:
    parts = list(Batches(load_data(str(folder), named("cifar")), 500))
    return torch.cat([x for x, _ in parts]), torch.cat([torch.as_tensor(y) for _, y in parts])


class Body(nn.Module):
    """The network up to what its classifier reads, averaged over positions."""

    def __init__(self, net: nn.Module, last: str) -> None:
        super().__init__()
        self.net, self._found = net.eval(), torch.empty(0)
        net.get_submodule(last).register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._found = inputs[0]

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        self.net(x)
        return pooled(self._found)


def pooled(x: Tensor) -> Tensor:
    return x.flatten(2).mean(2) if x.dim() > 2 else x


def train(head: nn.Linear, loader: DataLoader[Any], features: Any, epochs: int) -> float:
    """Seconds of all epochs."""
    optimizer = torch.optim.SGD(head.parameters(), RATE, momentum=0.9)
    start = time.perf_counter()
    for _ in range(epochs):
        for x, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(features(x)), labels).backward()
            optimizer.step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--codec", default="context-rans")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = f"{arguments.data / 'nets.py'}:cifar_resnet20"
    net = load_model(model)
    last = taps(net, torch.zeros(1, 3, 32, 32))[-1]
    with tempfile.TemporaryDirectory() as folder:
        images, store = Path(folder) / "images", Path(folder) / "store"
        write_folder(arguments.data / "cifar_train10k.npz", images, arguments.images)
        capture = [sys.executable, "-m", "fmapzip", "capture", model, str(images), "-o", str(store)]
        options = ["--codec", arguments.codec, "--taps", last.name, "--preprocess", "cifar", "--calib", "first:200"]
        start = time.perf_counter()
        subprocess.run([*capture, *options, "--torch-threads", "1"], check=True)
        keeping = time.perf_counter() - start
        kept = FeatureStore(store, taps=last.name)
        rows = compared(
            Body(net, last.readers[0]), tensors(images), tensors(arguments.data / "cifar1000"), kept, arguments.epochs
        )
        raw = len(kept) * int(np.prod(last.shape))
        stored = sum(path.stat().st_size for path in store.glob("*.fmz"))
    found = {
        "model": "cifar_resnet20",
        "tap": last.name,
        "images": len(kept),
        "epochs": arguments.epochs,
        "codec": arguments.codec,
    }
    found |= {"raw_bytes": raw, "bytes": stored, "capture_seconds": keeping, "ways": rows}
    print(found)
    if arguments.json is not None:
        write_result(arguments.json, "linear_head", found)


def compared(
    body: Body, training: tuple[Tensor, Tensor], testing: tuple[Tensor, Tensor], kept: FeatureStore, epochs: int
) -> list[dict[str, Any]]:
    """Both ways, from the same start and with the same batches."""
    test = torch.cat([body(x) for x in testing[0].split(BATCH)])
    rows = []
    ways = {"network in every epoch": (TensorDataset(*training), body), "kept feature maps": (kept, pooled)}
    for name, (data, features) in ways.items():
        torch.manual_seed(0)
        head = nn.Linear(test.shape[1], 10)
        seconds = train(head, DataLoader(data, BATCH, shuffle=True), features, epochs)
        accuracy = float((head(test).argmax(1) == testing[1]).float().mean())
        rows.append({"way": name, "seconds": seconds, "top1": accuracy})
    return rows


if __name__ == "__main__":
    main()
