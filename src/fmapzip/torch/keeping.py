"""Running a network for the frames of its feature maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from fmapzip.plan import Plan
from fmapzip.torch.calibrate import running
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.chunks import replaced
from fmapzip.torch.inputs import Inputs, batch_size, call
from fmapzip.torch.tap_coder import TapCoder

Frames = dict[str, list[bytes]]
"""A sample's frames by tap; one each, but for a tap that has several maps a sample, such as windows."""


def kept(
    captured: Captured, taps: Sequence[Tap], plan: Plan, batches: Iterable[Inputs], threads: int = 1
) -> Iterator[list[Frames]]:
    """Yield the frames of each batch's samples, all taps being stored; one batch is in memory at a time.

    Every tap is read on as what its frames decode to.
    """
    keepers = {tap.name: _Keeper(tap, plan, threads) for tap in taps}
    for inputs in batches:
        with running(captured, keepers):
            call(captured.module, inputs)
        frames = {name: keeper.taken() for name, keeper in keepers.items()}
        yield _by_sample(frames, batch_size(inputs))


def _by_sample(frames: Frames, samples: int) -> list[Frames]:
    each = {name: len(found) // samples for name, found in frames.items()}
    return [
        {name: found[i * each[name] : (i + 1) * each[name]] for name, found in frames.items()} for i in range(samples)
    ]


class _Keeper:
    """Encodes each map at its tap, where it is in the cache, and hands on what is read back."""

    def __init__(self, tap: Tap, plan: Plan, threads: int) -> None:
        self._coder, self._threads = TapCoder(plan, plan.index(tap.name), tap.axis), threads
        self._frames: list[bytes] = []

    def __call__(self, x: Tensor) -> Tensor:
        self._coder.check(x)
        self._coder.begin()
        return replaced(x, self._keep, self._threads)

    def taken(self) -> list[bytes]:
        """Return the frames of what came since the last time."""
        found, self._frames = self._frames, []
        return found

    def _keep(self, x: Tensor, out: Tensor) -> None:
        self._frames += self._coder.frames(x, out, self._threads)
