"""Choosing one point for each feature map so that bytes and distortion are in balance everywhere.

Where both add up over the maps, the best choices for all budgets between are found by a Lagrange multiplier: each map
takes the point of its own lower convex hull whose slope is the common one (Everett, 1963; Shoham and Gersho, 1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Point:
    """A choice for one map: what it takes, how much it distorts, and its place in the caller's list."""

    size: float
    distortion: float
    place: int


@dataclass(frozen=True)
class Allocation:
    """One choice for each map (its place in the map's list), and the sums over them."""

    places: tuple[int, ...]
    size: float
    distortion: float


def lower_hull(points: Sequence[Point]) -> list[Point]:
    """Return the corners of the lower convex hull, from the least distortion to the least size.

    Examples
    --------
    >>> points = [Point(8, 0, 0), Point(6, 1, 1), Point(5, 9, 2), Point(3, 4, 3), Point(7, 5, 4)]
    >>> [point.place for point in lower_hull(points)]
    [0, 1, 3]
    """
    hull: list[Point] = []
    for point in sorted(points, key=lambda p: (p.distortion, p.size, p.place)):
        if hull and point.size >= hull[-1].size:
            continue
        while len(hull) > 1 and _steepness(hull[-2], point) >= _steepness(hull[-2], hull[-1]):
            hull.pop()
        hull.append(point)
    return hull


def allocations(maps: Sequence[Sequence[Point]]) -> list[Allocation]:
    """Return the choices of every multiplier, from the least distortion to the least size.

    Each differs from the one before in one map, which went one corner down its hull where that saves the most for its
    distortion.

    Examples
    --------
    >>> first = [Point(8, 0, 0), Point(4, 1, 1)]
    >>> second = [Point(8, 0, 0), Point(6, 1, 1)]
    >>> [(step.places, step.size, step.distortion) for step in allocations([first, second])]
    [((0, 0), 16, 0), ((1, 0), 12, 1), ((1, 1), 10, 2)]
    """
    hulls = [lower_hull(points) for points in maps]
    moves = sorted(
        (-_steepness(before, after), index, corner)
        for index, hull in enumerate(hulls)
        for corner, (before, after) in enumerate(pairwise(hull), start=1)
    )
    at = [0] * len(hulls)
    found = [_sum(hulls, at)]
    for _, index, corner in moves:
        at[index] = corner
        found.append(_sum(hulls, at))
    return found


def _steepness(before: Point, after: Point) -> float:
    """Bytes saved for the distortion caused, from one corner to the next."""
    distortion = after.distortion - before.distortion
    return (before.size - after.size) / distortion if distortion > 0 else float("inf")


def _sum(hulls: Sequence[Sequence[Point]], at: Sequence[int]) -> Allocation:
    chosen = [hull[corner] for hull, corner in zip(hulls, at, strict=True)]
    return Allocation(
        tuple(point.place for point in chosen), sum(p.size for p in chosen), sum(p.distortion for p in chosen)
    )
