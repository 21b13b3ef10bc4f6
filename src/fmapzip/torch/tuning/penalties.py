"""Differentiable stand-ins for bits that know no codec; their scale is set by real bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Penalty = Callable[[Tensor], Tensor]
PenaltyName = Literal["logarithm", "l1", "hoyer", "transformed-l1", "histogram"]

_BINS = 16


def logarithm(v: Tensor) -> Tensor:
    """Return the sum of log2(1 + |v|) of each sample [N, ...]: about what packed values and bitmaps take."""
    return torch.log1p(v.abs()).flatten(1).sum(1) / math.log(2)


def l1(v: Tensor) -> Tensor:
    """Return the sum of |v| of each sample."""
    return v.abs().flatten(1).sum(1)


def hoyer(v: Tensor) -> Tensor:
    """Return the Hoyer measure (sum of |v|)^2 / (sum of v^2) of each sample, from 1 to how many values there are."""
    flat = v.flatten(1)
    return flat.abs().sum(1).square() / flat.square().sum(1).clamp(min=1e-12)


def transformed_l1(v: Tensor) -> Tensor:
    """Return the sum of 2 |v| / (1 + |v|) of each sample, which saturates where values are large."""
    magnitude = v.abs()
    return (2 * magnitude / (1 + magnitude)).flatten(1).sum(1)


def histogram(v: Tensor) -> Tensor:
    """Return values times the entropy of their soft histogram, shared out evenly among the samples.

    Each value counts for the two whole numbers around it, by its nearness; those from 16 on share the last two bins,
    which are logarithmic. Bits of an order-0 code, as CAT trains for.
    """
    flat = v.flatten(1)
    magnitude = flat.abs()
    # whole numbers up to 16, then their logarithms: a large value keeps a gradient
    beyond = magnitude > _BINS
    place = torch.where(beyond, _BINS + torch.log2(magnitude.clamp(min=_BINS) / _BINS), magnitude)
    lower = place.detach().floor()
    share = place - lower
    sign = (flat < 0).long()
    index = lower.long().clamp(max=2 * _BINS - 2)
    size = 2 * _BINS
    counts = torch.zeros(2 * size, dtype=v.dtype, device=v.device)
    counts = counts.index_add(0, (index + size * sign).view(-1), (1 - share).reshape(-1))
    counts = counts.index_add(0, (index + 1 + size * sign).view(-1), share.reshape(-1))
    probabilities = counts / counts.sum().clamp(min=1e-12)
    entropy = -(probabilities * torch.log2(probabilities.clamp(min=1e-12))).sum()
    return (entropy * flat.shape[1]).expand(len(flat))


SUMS: frozenset[str] = frozenset({"logarithm", "l1", "transformed-l1"})
"""Penalties of a map that are the sum of those of its values."""

PENALTIES: dict[str, Penalty] = {
    "logarithm": logarithm,
    "l1": l1,
    "hoyer": hoyer,
    "transformed-l1": transformed_l1,
    "histogram": histogram,
}
