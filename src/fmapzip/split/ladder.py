"""Moving along a ladder of plans as a link gets slower and faster."""

from __future__ import annotations

from collections.abc import Sequence

_SMOOTHING = 0.3
_LATE_TO_GO_DOWN = 2
_EARLY_TO_GO_UP = 5
_ROOM_TO_GO_UP = 0.7
_LEAST_TRANSFER = 0.05


class Ladder:
    """Chooses the rung: the best whose images are expected to take no longer than a target.

    Down after 2 images in a row that took longer, to the first rung that is expected to keep to the target. Up by one
    after 5 in a row at which the rung above was expected to take at most 0.7 of it, so that it does not go to and fro.

    Parameters
    ----------
    sizes
        Mean bytes of an image at each rung, falling.
    target
        Seconds that an image may take; None: the first rung stays.

    Attributes
    ----------
    rung
        The one to use now.
    rate
        Bytes a second that the link was seen to carry; None before the first image.

    Examples
    --------
    >>> ladder = Ladder([100_000, 40_000, 10_000], target=0.1)
    >>> for _ in range(2):
    ...     ladder.observe(0, 100_000, seconds=0.4, computing=0.01)
    >>> ladder.rung
    2
    """

    def __init__(self, sizes: Sequence[float], target: float | None) -> None:
        self._sizes, self._target = list(sizes), target
        self.rung = 0
        self.rate: float | None = None
        self._computing = 0.0
        self._late = self._early = 0

    def observe(self, rung: int, size: int, seconds: float, computing: float) -> None:
        """Learn from an image of `size` bytes that took `seconds`, of which the server computed `computing`."""
        rate = size / max(seconds - computing, _LEAST_TRANSFER * seconds, 1e-6)
        if self.rate is None:
            self.rate, self._computing = rate, computing
        self.rate += _SMOOTHING * (rate - self.rate)
        self._computing += _SMOOTHING * (computing - self._computing)
        if self._target is None or rung != self.rung:
            return  # an image of a rung that was left already says nothing of this one
        self._late = self._late + 1 if seconds > self._target else 0
        above = self.rung - 1
        early = above >= 0 and self._expected(above) <= _ROOM_TO_GO_UP * self._target
        self._early = self._early + 1 if early else 0
        if self._late >= _LATE_TO_GO_DOWN and self.rung + 1 < len(self._sizes):
            below = range(self.rung + 1, len(self._sizes))
            self._move(next((i for i in below if self._expected(i) <= self._target), below[-1]))
        elif self._early >= _EARLY_TO_GO_UP:
            self._move(above)

    def _expected(self, rung: int) -> float:
        assert self.rate is not None
        return self._computing + self._sizes[rung] / self.rate

    def _move(self, rung: int) -> None:
        self.rung, self._late, self._early = rung, 0, 0
