"""The integers of one forward pass that maps of later taps refer to."""

from __future__ import annotations

import threading
from typing import Any

from numpy.typing import NDArray

from fmapzip.errors import ReferenceMismatch
from fmapzip.plan import Plan

_passes = threading.local()


class PassMemory:
    """What a plan's taps were decoded to in the pass that runs, where later taps refer to them.

    A thread has one, of the plan that it ran last. It takes as many bytes as those maps have values, until the next
    pass begins.
    """

    def __init__(self, plan: Plan) -> None:
        self.names = [tap.name for tap in plan]
        self.wanted = {index for tap in plan for index in tap.references}
        self._maps: dict[int, list[NDArray[Any]]] = {}

    def begin(self, tap: int) -> None:
        """Forget what is of this tap and those behind it: it is of a pass before."""
        for index in [index for index in self._maps if index >= tap]:
            del self._maps[index]

    def keep(self, tap: int, maps: NDArray[Any]) -> None:
        """Keep a copy of integers [N, ...] that follow those that were kept before."""
        if tap in self.wanted:
            self._maps.setdefault(tap, []).extend(maps.copy())

    def references(self, tap: int, references: tuple[int, ...], sample: int) -> list[NDArray[Any]]:
        """The maps that a sample of a tap refers to.

        Raises
        ------
        ReferenceMismatch
            One of them did not come in this pass.
        """
        found = []
        for index in references:
            maps = self._maps.get(index, [])
            if sample >= len(maps):
                raise ReferenceMismatch(
                    f"feature map {self.names[tap]!r} refers to {self.names[index]!r}, which this pass has not stored"
                )
            found.append(maps[sample])
        return found


def pass_memory(plan: Plan) -> PassMemory | None:
    """Return this thread's memory of passes with `plan`; None where none of its taps refers to another."""
    if not plan.refers:
        return None
    memories: dict[bytes, PassMemory] = _passes.__dict__.setdefault("memories", {})
    if plan.hash not in memories:
        memories.clear()  # maps of another plan's last pass
        memories[plan.hash] = PassMemory(plan)
    return memories[plan.hash]
