"""What dct-cm learns from maps: an order of the channels, and reconstruction points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.zero_point import SIGNED

_ORDER_VALUES = 1 << 22  # more values than this do not change an order for the better
MOST_COMPARED_CHANNELS = 4096  # a similarity for each pair of them: 128 MB


def channel_rows(maps: NDArray[Any]) -> NDArray[Any]:
    """[N, C, ...] as [C, values]."""
    return np.moveaxis(maps.reshape(*maps.shape[:2], -1), 0, 1).reshape(maps.shape[1], -1)


def correlation_order(maps: NDArray[Any], group: int) -> tuple[int, ...]:
    """Channels in an order that puts alike ones into the same group of a transform.

    Greedy clustering: the channel with the closest neighbour starts a group, which grows by the channel of the highest
    mean similarity to its members. Similar means correlated about zero (the cosine of two channels' values): unlike
    correlation about the mean it asks for equal levels too, which is what a DCT turns into zeros.

    Parameters
    ----------
    maps : uint8 or int8 array, [N, C, ...]
    group : channels of one transform

    Returns
    -------
    tuple of int
        A permutation of the channels; the same maps always give the same one. Above `MOST_COMPARED_CHANNELS` channels
        it is the natural order.
    """
    if maps.shape[1] > MOST_COMPARED_CHANNELS:
        return tuple(range(maps.shape[1]))
    rows = channel_rows(maps)
    stride = max(1, rows.size // _ORDER_VALUES)
    rows = rows[:, ::stride].astype(np.float64)
    products = rows @ rows.T  # sums of integers, exact
    length = np.sqrt(np.maximum(np.diag(products), 1.0))
    similarity = products / np.outer(length, length)
    np.fill_diagonal(similarity, -np.inf)
    free = np.ones(len(similarity), bool)
    order: list[int] = []
    for seed in np.argsort(-similarity.max(axis=1, initial=-np.inf), kind="stable"):
        if not free[seed]:
            continue
        score = np.zeros(len(similarity))
        member = int(seed)
        for _ in range(group):
            free[member] = False
            order.append(member)
            if not free.any():
                break
            score += similarity[member]
            member = int(np.where(free, score, -np.inf).argmax())
    return tuple(order)


def uniform_points(step: float, below: int) -> NDArray[np.int64]:
    """Values that the mask path reconstructs without calibration: multiples of `step`, rounded."""
    lowest = 127 if below == SIGNED else below  # quantizers to int8 leave out -128
    return np.unique(np.concatenate([_multiples(step, 255 - below), -_multiples(step, lowest)]))


def _multiples(step: float, most: int) -> NDArray[np.int64]:
    magnitudes = np.floor(np.arange(int(most / step + 0.5) + 1) * step + 0.5)
    multiples: NDArray[np.int64] = np.minimum(magnitudes, most).astype(np.int64)
    return multiples


def nearest_points(points: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The point nearest to each value, of two equally near ones that of even index (docs/format/dct-cm.md)."""
    index = abs(np.arange(len(points)) - int(np.searchsorted(points, 0)))
    nearest: NDArray[np.int64] = points[(2 * abs(values[:, None] - points) + index % 2).argmin(axis=1)]
    return nearest


def trained_points(coded: NDArray[Any], below: int, step: float) -> NDArray[np.int64]:
    """Integers near the mean of the values that each uniform point stands for in `coded`, value bytes; zero stays zero.

    A mean is rounded to the side that makes up for what the points nearer to zero, zero itself first, are off: a
    constant error harms a network more than a larger one without bias.
    """
    points = uniform_points(step, below)
    values = np.arange(256) - below
    counts = np.bincount(coded.view(np.uint8).reshape(-1), minlength=256)[values % 256]
    nearest = nearest_points(points, values)
    trained = [0]
    for sign in (1, -1):
        lost = 0  # of all values so far, in units of their magnitude
        for point in sorted(points[points * sign >= 0], key=abs):
            stands_for = (nearest == point) & (values * sign >= 0)
            seen = int(counts[stands_for].sum())
            total = int((counts * abs(values))[stands_for].sum())
            if point == 0 or not seen:
                trained.append(int(point))
                lost += total if point == 0 else 0
                continue
            low = total // seen
            high = low + (total > low * seen)
            kept = high if 2 * (lost + total) >= (low + high) * seen else low
            trained.append(sign * kept)
            lost += total - kept * seen
    return np.unique(np.array(trained, np.int64))
