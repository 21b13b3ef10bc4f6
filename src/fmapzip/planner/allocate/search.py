"""Finding the plan that spends a budget: by bisection over the allocations, each measured jointly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fmapzip.planner.allocate.hull import Allocation

_FIRST_STRIDE = 4


def most_saving(
    path: Sequence[Allocation],
    limit: float,
    measure: Callable[[Allocation], float],
    factor: float = 1.0,
    tolerance: float = 0.0,
) -> int | None:
    """Return the last allocation of `path` whose measured distortion is within `limit`; None where the first is not.

    Parameters
    ----------
    path : sequence of Allocation
        From the least distortion to the least size, as `allocations` returns it.
    limit : float
    measure : callable
        Joint distortion of an allocation; taken to rise along the path.
    factor : float
        What joint distortions are expected to be over the sums of single ones.
    tolerance : float
        Share of its size by which the allocation that is returned may be larger than the last.

    Notes
    -----
    The sum of what single maps distort is off by a factor that changes slowly along the path (noises of many maps add
    up, and errors of one sign add up faster); the factor of the last measurement tells where to measure next.
    """
    low, high = -1, len(path)
    bisect, stride = False, _FIRST_STRIDE
    while high - low > 1 and not (low >= 0 and high < len(path) and _near(path[low], path[high], tolerance)):
        guess = sum(1 for step in path if step.distortion * factor <= limit) - 1
        at = min(max(guess, low + 1), high - 1)
        if bisect and low >= 0 and high < len(path):
            at = (low + high) // 2
        elif bisect:  # one end is not known yet: what is far beyond the limit is of no use
            at = min(max(guess + (stride if low >= 0 else -stride), low + 1), high - 1)
            stride *= 4
        bisect = not bisect
        distortion = measure(path[at])
        if path[at].distortion > 0 and distortion > 0:
            factor = distortion / path[at].distortion
        low, high = (at, high) if distortion <= limit else (low, at)
    return low if low >= 0 else None


def _near(low: Allocation, high: Allocation, tolerance: float) -> bool:
    return low.size - high.size <= tolerance * low.size


def least_distortion(path: Sequence[Allocation], limit: float) -> int | None:
    """Return the first allocation of `path` whose size is within `limit`; None where the last is not."""
    return next((i for i, step in enumerate(path) if step.size <= limit), None)
