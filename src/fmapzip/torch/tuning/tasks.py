"""What training is to preserve: the float network's outputs, or the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fmapzip.errors import InvalidInput
from fmapzip.torch.metrics import has_classes
from fmapzip.torch.outputs import output_tensor

TaskLoss = Callable[[Any, Any, Tensor | None], Tensor]
"""Takes the network's outputs, the float network's and the labels, or None; returns a mean over the images."""


def distillation(label_weight: float, classes: bool) -> TaskLoss:
    """Return the loss between outputs and those of the float network.

    KL divergence of class scores, with labels' cross-entropy at `label_weight` of the whole; the relative squared error
    of other outputs.
    """

    def loss(outputs: Any, targets: Any, labels: Tensor | None) -> Tensor:
        got, wanted = output_tensor(outputs), output_tensor(targets)
        if not classes:
            return relative_error(got, wanted)
        found = divergence(got, wanted)
        if label_weight and labels is not None:
            if int(labels.min()) < 0 or int(labels.max()) >= got.shape[1]:
                shown = f"{int(labels.min())} to {int(labels.max())}"
                raise InvalidInput(f"labels are {shown}, and the network has {got.shape[1]} classes, from 0 on")
            found = (1 - label_weight) * found + label_weight * F.cross_entropy(got, labels)
        return found

    return loss


def checked(task: TaskLoss) -> TaskLoss:
    """Return a task that refuses what is no loss.

    Raises
    ------
    InvalidInput
        When the loss is called: it is no floating-point tensor of one value.
    """

    def loss(outputs: Any, targets: Any, labels: Tensor | None) -> Tensor:
        found = task(outputs, targets, labels)
        if not (isinstance(found, Tensor) and found.numel() == 1 and found.is_floating_point()):
            shown = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InvalidInput(f"loss {name_of(task)}: a mean over the images is one float tensor, not {shown}")
        return found.reshape(())

    return loss


def name_of(task: TaskLoss | None) -> str:
    """Return what a task is called: checkpoints of another are refused by it."""
    if task is None:
        return ""
    return f"{getattr(task, '__module__', '')}.{getattr(task, '__qualname__', type(task).__qualname__)}"


def divergence(got: Tensor, wanted: Tensor) -> Tensor:
    """Return KL(wanted || got) in nats, a mean over the images."""
    return F.kl_div(F.log_softmax(got, 1), F.log_softmax(wanted, 1), reduction="batchmean", log_target=True)


def relative_error(got: Tensor, wanted: Tensor) -> Tensor:
    """Return the squared error over the squares of what is wanted."""
    return (got - wanted).square().sum() / wanted.square().sum().clamp(min=torch.finfo(wanted.dtype).tiny)


def distortion(outputs: Any, targets: Any, classes: bool) -> Tensor:
    """Return KL of class scores, else the relative squared error."""
    got, wanted = output_tensor(outputs), output_tensor(targets)
    return divergence(got, wanted) if classes else relative_error(got, wanted)


def scores_classes(output: Any) -> bool:
    """Whether outputs are [N, K]."""
    return has_classes(output_tensor(output))
