"""Train the demo's network and write its weights: ``python -m fmapzip.demo.train``.

One thread, a fixed seed and deterministic algorithms: on one machine and one torch version the same
bytes come out each time. Takes a few minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmapzip.demo.digits import digits, normalise
from fmapzip.demo.network import WEIGHTS, DigitNet

SEED = 0
EPOCHS = 30
BATCH = 64
PEAK_RATE = 4e-3
WEIGHT_DECAY = 0.02
MAX_SHIFT = 3


def load(part: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
    """The normalised images ``[N, 1, 32, 32]`` and labels ``[N]`` of one part of the digits."""
    images, labels = digits(part)
    return torch.from_numpy(normalise(images)), torch.from_numpy(labels)


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image moved by up to ``MAX_SHIFT`` pixels each way; paper comes in at the edges."""
    n, _, height, width = images.shape
    padded = F.pad(images, (MAX_SHIFT,) * 4, mode="replicate")
    offsets = torch.randint(0, 2 * MAX_SHIFT + 1, (n, 2), generator=generator).tolist()
    moved = [x[:, r : r + height, c : c + width] for x, (r, c) in zip(padded, offsets, strict=True)]
    return torch.stack(moved)


def train(epochs: int = EPOCHS) -> nn.Module:
    """The network trained from scratch on the training rows, in eval mode."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    images, labels = load("train")
    net = DigitNet().train()
    steps = -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, epochs * steps)
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(images), generator=generator), BATCH):
            scores = net(shifted(images[rows], generator))
            loss = F.cross_entropy(scores, labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(images):.4f}", flush=True)
    return net.eval()


@torch.inference_mode()
def correct(net: nn.Module, images: Tensor, labels: Tensor) -> int:
    """How many of the images the network classifies rightly."""
    return int((net(images).argmax(1) == labels).sum())


def main() -> None:
    """Train, report the accuracy on the held-out rows, write the weights."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    net = train(args.epochs)
    images, labels = load("test")
    print(f"held out: {correct(net, images, labels)} of {len(labels)} right")
    save_file(net.state_dict(), args.out)


if __name__ == "__main__":
    main()
