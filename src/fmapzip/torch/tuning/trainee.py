"""What training changes: the network, the scales of its quantizers, and the optimizer of both."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.torch.tuning.tunable import TunableModel
from fmapzip.tune_settings import TuneSettings

State = dict[str, Any]


class Trainee:
    """A tunable model with its optimizer.

    Parameters
    ----------
    model : TunableModel
    settings : TuneSettings

    Raises
    ------
    InvalidInput
        The network has no parameters.
    """

    def __init__(self, model: TunableModel, settings: TuneSettings) -> None:
        self.model = model
        weights = [each for each in model.original.parameters() if each.requires_grad]
        if not weights:
            raise InvalidInput(f"network {self.name} has no parameters to train")
        self.optimizer = torch.optim.Adam(
            [
                {"params": weights, "lr": settings.learning_rate},
                {"params": [tap.log_scale for tap in model.taps], "lr": settings.scale_learning_rate},
            ]
        )
        self._bases = [group["lr"] for group in self.optimizer.param_groups]

    def set_rates(self, done: float) -> None:
        """Set the learning rates to where they are when that share of training is done, along a cosine."""
        share = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        for group, base in zip(self.optimizer.param_groups, self._bases, strict=True):
            group["lr"] = base * share

    @property
    def name(self) -> str:
        """The network's class."""
        return type(self.model.original).__name__

    def check_path(self, loss: Tensor) -> None:
        """Refuse a loss that training cannot change.

        Raises
        ------
        InvalidInput
        """
        if not loss.requires_grad:
            raise InvalidInput(
                f"no gradient reaches the parameters of network {self.name}: the loss does not depend on them"
            )

    def step(self, loss: Tensor) -> bool:
        """Follow the gradients of a loss, if they are finite, and return whether they are.

        Raises
        ------
        InvalidInput
            None reaches the network's parameters.
        """
        self.check_path(loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if all(each.grad is None for each in self.optimizer.param_groups[0]["params"]):
            raise InvalidInput(f"no gradient reaches the parameters of network {self.name}")
        gradients = [each.grad for group in self.optimizer.param_groups for each in group["params"]]
        if not all(bool(torch.isfinite(each).all()) for each in gradients if each is not None):
            return False
        self.optimizer.step()
        return True

    def snapshot(self) -> State:
        """Return weights, buffers, codecs and scales, copied; `restore` takes them."""
        weights = {name: value.detach().clone() for name, value in self.model.original.state_dict().items()}
        return {"weights": weights, "taps": [tap.snapshot() for tap in self.model.taps]}

    def restore(self, kept: State) -> None:
        """Take what `snapshot` returned."""
        self.model.original.load_state_dict(kept["weights"])
        for tap, each in zip(self.model.taps, kept["taps"], strict=True):
            tap.restore(each)
        self._train_scales()

    def take(self, plan: Plan, images: Any) -> None:
        """Begin anew with the quantizers and codecs of a plan; weights stay as they are."""
        self.model.take(plan, images)
        self._train_scales()

    def _train_scales(self) -> None:
        """Have the optimizer train the scales that there are now."""
        group = self.optimizer.param_groups[1]
        for each in group["params"]:
            if all(each is not tap.log_scale for tap in self.model.taps):
                self.optimizer.state.pop(each, None)
        group["params"] = [tap.log_scale for tap in self.model.taps]
