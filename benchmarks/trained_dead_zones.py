"""What dead zones gain where their widths are trained with the network: the same training with and without them.

    python benchmarks/trained_dead_zones.py path/to/nets.py:cifar_resnet20 path/to/cifar1000 --preprocess cifar \
        --tune-on path/to/cifar_train10k.npz --json benchmarks/results/trained_dead_zones_cifar_resnet20.json

Before a map is quantized, magnitudes below a width become zero: FATReLU where a ReLU made the map. A width is in steps
of the codec, one for each map, and half a step is what rounding does anyway. Its gradient is that of the mean under
uniform noise. The loop is that of docs/TUNE.md; images behind those that train measure it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import torch
from common import write_result
from torch import Tensor, nn
from torch.nn import functional as F

from fmapzip import registry
from fmapzip.eval.data import load_data
from fmapzip.eval.request import Request, load
from fmapzip.torch import TunableModel, rate_loss, tunable
from fmapzip.torch.slot import TapSlot
from fmapzip.torch.tuning.images import TuningImages
from fmapzip.torch.tuning.tap import TunedTap
from fmapzip.torch.tuning.tunable import measuring
from fmapzip.tune.run import Samples

ROUNDING = 0.5  # of a step: the width that rounding has
REACH = 0.25  # of a step, on either side of a width: whose values tell its gradient
HELD_BACK = 128
Values = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """A codec's step, what a bit is worth, and the widths: where they begin, how fast they learn; 0: there are none."""

    step: int
    price: float
    width: float
    rate: float


SETTINGS = (
    Setting(8, 0.2, ROUNDING, 0.0),
    Setting(8, 0.2, ROUNDING, 0.01),
    Setting(8, 0.2, 0.75, 0.01),
)


class DeadZone(nn.Module):
    """Zero below a width that learns, in front of a tap."""

    def __init__(self, tap: TunedTap, setting: Setting) -> None:
        super().__init__()
        self._tap, self._step = tap, float(setting.step)
        self.width = nn.Parameter(torch.tensor([setting.width]))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the tap reads back of `x` without its small values."""
        shape = [-1 if axis == self._tap.tap.axis else 1 for axis in range(x.ndim)]
        unit = self._tap.log_scale.exp() * self._step
        unit = unit.view(shape) if unit.numel() > 1 else unit
        return self._tap(without_small(x / unit, self.width) * unit)


def without_small(v: Tensor, width: Tensor) -> Tensor:
    """Return values in steps, zero where their magnitude is below a width; gradients pass straight through to them.

    That of the width is of the mean under uniform noise of `REACH` to either side, where what is not zeroed is read
    back as whole steps, at least one.
    """
    found: Tensor = _Zeroed.apply(v, width)  # type: ignore[no-untyped-call]
    return found


class _Zeroed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, width: Tensor) -> Tensor:
        ctx.save_for_backward(v, width)
        return torch.where(v.abs() < width, 0.0, v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        v, width = ctx.saved_tensors
        near = (v.abs() - width).abs() < REACH
        read_back = v[near].sign() * v[near].abs().round().clamp(min=1)
        return gradients[0], -(gradients[0][near] * read_back).sum().view_as(width) / (2 * REACH)


def with_dead_zones(model: TunableModel, setting: Setting) -> dict[str, nn.Parameter]:
    """Put a dead zone before each tap, and return the widths by tap."""
    zones = {tap.tap.name: DeadZone(tap, setting) for tap in model.taps}
    for slot in model.network.modules():
        if isinstance(slot, TapSlot) and slot.name in zones:
            slot.action = zones[slot.name]
    return {name: zone.width for name, zone in zones.items()}


def trained(network: nn.Module, images: Samples, setting: Setting, given: argparse.Namespace) -> Values:
    """Train with a setting, and return what held-back images lose and take after each epoch, and the widths."""
    data, start = TuningImages(images), process_time()
    held = list(range(given.images, given.images + HELD_BACK))
    x, labels = data.batch(held)
    model = tunable(network, registry.make("context-rans", step=setting.step), x)
    weights = {"params": list(model.parameters()), "lr": given.learning_rate}
    widths = with_dead_zones(model, setting) if setting.rate else {}
    optimizer = torch.optim.Adam([weights, {"params": list(widths.values()), "lr": setting.rate}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, given.epochs)
    model.refresh(x)
    found = [losses(network, model, x, labels)]
    random = torch.Generator().manual_seed(0)
    for _ in range(given.epochs):
        for rows in torch.randperm(given.images, generator=random).split(given.batch):
            some, wanted = data.batch(rows.tolist())
            loss = task(network, model, some, wanted) + setting.price * rate_loss(model, bands=8, generator=random)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for width in widths.values():
                    width.clamp_(min=ROUNDING)
        schedule.step()
        model.refresh(x)
        found.append(losses(network, model, x, labels))
        print(setting, found[-1], flush=True)
    reached = {name: width.item() for name, width in widths.items()}
    return {**vars(setting), "epochs": found, "widths": reached, "seconds": process_time() - start}


def task(network: nn.Module, model: nn.Module, images: Tensor, labels: Tensor | None) -> Tensor:
    """Half the KL to the network as it was, half the labels' cross-entropy."""
    with torch.no_grad():
        wanted = network(images).log_softmax(1)
    scores = model(images)
    kl = F.kl_div(scores.log_softmax(1), wanted, reduction="batchmean", log_target=True)
    return (kl + F.cross_entropy(scores, labels)) / 2 if labels is not None else kl


def losses(network: nn.Module, model: TunableModel, images: Tensor, labels: Tensor | None) -> Values:
    """The task's loss, and bits a value of the codec's own tables."""
    with measuring(model):
        lost = float(task(network, model, images, labels))
        return {"task": lost, "bits": float(rate_loss(model))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--preprocess")
    parser.add_argument("--tune-on", required=True)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    inputs = load(Request(given.model, given.data, preprocess=given.preprocess))
    images = Samples(load_data(given.tune_on, inputs.preprocessing))
    kept = given.json.with_suffix(".partial")
    runs: list[Values] = json.loads(kept.read_text()) if kept.exists() else []
    for setting in SETTINGS[len(runs) :]:
        runs.append(trained(inputs.model.eval(), images, setting, given))
        kept.write_text(json.dumps(runs))
    conditions = ("images", "epochs", "batch", "learning_rate")
    result = {
        "network": given.json.stem.removeprefix("trained_dead_zones_"),
        "tuned_on": given.tune_on.rstrip("/").rpartition("/")[2],
        "held_back": HELD_BACK,
        **{key: getattr(given, key) for key in conditions},
        "runs": runs,
    }
    write_result(given.json, "trained dead zones", result, 1)
    kept.unlink()


if __name__ == "__main__":
    main()
