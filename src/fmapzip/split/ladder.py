"""Moving along a ladder of plans as a link gets slower and faster."""

from __future__ import annotations

from collections.abc import Sequence

from fmapzip.errors import InvalidInput

_SMOOTHING = 0.3
_LATE_TO_GO_DOWN = 2
_EARLY_TO_GO_UP, _MOST_TO_GO_UP = 5, 80
_ROOM_TO_GO_UP = 0.7
_LEAST_TRANSFER = 0.05


class Ladder:
    """Chooses the rung: the best whose images are expected to take no longer than a target.

    Down after 2 images in a row that took longer, to the first rung that is expected to keep to the target. Up by one
    after 5 in a row at which the rung above was expected to take at most 0.7 of it, so that it does not go to and fro.
    Where that rung proves too slow all the same, twice as many are awaited the next time, up to 80.

    Parameters
    ----------
    sizes
        Mean bytes of an image at each rung, falling.
    target
        Seconds that an image may take; None: the rung stays.
    rung
        The one to begin with.

    Raises
    ------
    InvalidInput
        There is no such rung.

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
    ...     ladder.observe(0, 100_000, seconds=0.4, fixed=0.01)
    >>> ladder.rung
    2
    """

    def __init__(self, sizes: Sequence[float], target: float | None, rung: int = 0) -> None:
        if not 0 <= rung < len(sizes):
            raise InvalidInput(f"the ladder has {len(sizes)} rungs; there is no rung {rung}")
        self._sizes, self._target = list(sizes), target
        self.rung = rung
        self.rate: float | None = None
        self._fixed = 0.0
        self._late = self._early = 0
        self._patience, self._since_up = _EARLY_TO_GO_UP, _MOST_TO_GO_UP

    def observe(self, rung: int, size: int, seconds: float, fixed: float) -> None:
        """Learn from an image of `size` bytes that took `seconds`, of which `fixed` do not depend on its size."""
        rate = size / max(seconds - fixed, _LEAST_TRANSFER * seconds, 1e-6)
        if self.rate is None:
            self.rate, self._fixed = rate, fixed
        self.rate += _SMOOTHING * (rate - self.rate)
        self._fixed += _SMOOTHING * (fixed - self._fixed)
        if self._target is None or rung != self.rung:
            return  # an image of a rung that was left already says nothing of this one
        self._since_up += 1
        self._late = self._late + 1 if seconds > self._target else 0
        above = self.rung - 1
        early = above >= 0 and self._expected(above) <= _ROOM_TO_GO_UP * self._target
        self._early = self._early + 1 if early else 0
        if self._late >= _LATE_TO_GO_DOWN and self.rung + 1 < len(self._sizes):
            in_vain = self._since_up <= 2 * _EARLY_TO_GO_UP
            self._patience = min(2 * self._patience, _MOST_TO_GO_UP) if in_vain else _EARLY_TO_GO_UP
            below = range(self.rung + 1, len(self._sizes))
            self._move(next((i for i in below if self._expected(i) <= self._target), below[-1]))
        elif self._early >= self._patience:
            self._since_up = 0
            self._move(above)

    def _expected(self, rung: int) -> float:
        assert self.rate is not None
        return self._fixed + self._sizes[rung] / self.rate

    def _move(self, rung: int) -> None:
        self.rung, self._late, self._early = rung, 0, 0
