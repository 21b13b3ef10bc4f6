"""Fits what channels have of their own in `context-rans`: weights of the mean, and biases of spread and zero.

From exact sums, by operations that IEEE 754 leaves no choice in, so that the same maps give the same parameters on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_parameters import OFFSET_UNIT, WEIGHT_ONE, ZERO_BITS, ZERO_PROBABILITIES, Ints
from fmapzip.codecs.context_rans_runs import log2
from fmapzip.codecs.context_rans_tables import fill_unseen

_SHRINK = 2000.0  # positions' worth of all channels' weights in each channel's own
_RIDGE = 1e-3
_PAIR_LIMIT = 128
_ROUNDS = 3
_LOG_ONE = 1 << 16
_LOW = 1 / 50  # of all channels have a lower spread where nothing differs than the first of the steps

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """Linear prediction of a number from others: weights of all channels, [k], of each, [C, k], and means, [C, k + 1].

    The last of the means is that of what is predicted.
    """

    shared: Floats
    weights: Floats
    means: Floats

    def intercepts(self, weights: Floats) -> Floats:
        """What channels add to a sum by these weights, [k] or [C, k], so that it has no bias."""
        found = self.means[:, -1]
        for k in range(weights.shape[-1]):
            found = found - self.means[:, k] * weights[..., k]
        return found


def regress(products: Ints) -> Regression:
    """Least squares of each channel, drawn towards that of all channels.

    `products` are sums of products of inputs, one and the value, [C, k + 2, k + 2].
    """
    count = products.shape[1] - 2
    sums = products[:, count].astype(np.float64)
    positions = np.maximum(sums[:, count], 1.0)
    means = sums / positions[:, None]
    centred = products.astype(np.float64) - sums[:, :, None] * means[:, None, :]
    gram, target = centred[:, :count, :count], centred[:, :count, -1]
    total = gram.sum(0)
    total[range(count), range(count)] += _RIDGE * (_trace(total) / count + 1.0)
    shared = _solve(total[None], target.sum(0)[None])[0]
    prior = total * (count / _trace(total))
    pull = _SHRINK * np.maximum(_trace(gram) / count / positions, 1.0)
    drawn = prior * pull[:, None, None]
    towards = np.zeros_like(target)
    for k in range(count):
        towards = towards + drawn[:, :, k] * shared[k]
    return Regression(shared, _solve(gram + drawn, target + towards), means[:, [*range(count), count + 1]])


def integer_weights(weights: Floats) -> Ints:
    """Weights [..., 4] in 1/64, and small enough that a pair's products with bytes sum to 16 bits."""
    integer = np.clip(np.rint(WEIGHT_ONE * weights), 1 - _PAIR_LIMIT, _PAIR_LIMIT - 1).astype(np.int64)
    for pair in (integer[..., :2], integer[..., 2:]):
        size = np.abs(pair).sum(-1, keepdims=True)
        pair[...] = np.where(size > _PAIR_LIMIT, np.trunc(pair * (_PAIR_LIMIT / np.maximum(size, 1))), pair)
    return integer


def in_offset_units(numbers: Floats) -> Ints:
    """Numbers in 1/64 as multiples of 32 that fit 16 bits."""
    most = (1 << 15) // OFFSET_UNIT - 1
    units: Ints = np.clip(np.rint(numbers / OFFSET_UNIT), -most, most).astype(np.int64)
    return units


def spread_biases(of_all: Floats) -> Ints:
    """What channels add to a spread that begins at 0, from their intercepts in 1/64."""
    return in_offset_units(of_all - np.sort(of_all)[int(len(of_all) * _LOW)])


def fit_zero_biases(counts: Ints, columns: int) -> tuple[Ints, Ints]:
    """Zero classes of cells and what channels add to them, from counts [C, cells, 2] of zeros and others."""
    p = np.array(ZERO_PROBABILITIES, np.int64)
    costs = ZERO_BITS * _LOG_ONE - log2(np.stack([p, (1 << ZERO_BITS) - p], 1))
    of_class = costs[np.clip(np.arange(-len(p), 2 * len(p)), 0, len(p) - 1)]  # from -64 on
    biases = np.zeros(len(counts), np.int64)
    unseen = counts.sum((0, 2)) == 0
    candidates = np.arange(1 - len(p) // 2, len(p) // 2)
    for _ in range(_ROUNDS):
        cost = np.stack([np.einsum("cnz,cz->n", counts, of_class[len(p) + k + biases]) for k in range(len(p))], 1)
        classes = fill_unseen(np.where(unseen, -1, cost.argmin(1)), columns)
        # Half a bit for each step, which it costs to store.
        dear = np.abs(candidates) * (_LOG_ONE // 2)
        cost = np.stack([np.einsum("cnz,nz->c", counts, of_class[len(p) + k + classes]) for k in candidates], 1)
        biases = candidates[(cost + dear).argmin(1)]
    return classes, biases


def _trace(matrices: Floats) -> Floats:
    found = matrices[..., 0, 0]
    for k in range(1, matrices.shape[-1]):
        found = found + matrices[..., k, k]
    return found


def _solve(matrices: Floats, targets: Floats) -> Floats:
    """Solutions of positive systems [C, k, k] and [C, k], by elimination without a library's choice of order."""
    count = matrices.shape[-1]
    rows = np.concatenate([matrices, targets[:, :, None]], 2)
    for i in range(count):
        rows[:, i] = rows[:, i] / rows[:, i, i : i + 1]
        for j in range(count):
            if j != i:
                rows[:, j] = rows[:, j] - rows[:, j, i : i + 1] * rows[:, i]
    return rows[:, :, -1]
