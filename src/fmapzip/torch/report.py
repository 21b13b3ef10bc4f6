"""Per-tap figures of a wrapped network, and their sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmapzip.torch.results import TapResult


@dataclass(frozen=True)
class Report:
    """What a wrapped network stored since its figures were last reset: its taps in order; printed, a table.

    Parameters
    ----------
    taps : tuple of TapResult
        In the order of the network; all sizes are 0 before the first image.
    plan_bytes : int
        Size of the plan, counted once in the total ratio.
    """

    taps: tuple[TapResult, ...]
    plan_bytes: int

    @property
    def raw_bytes(self) -> int:
        """One byte a value."""
        return sum(tap.raw_bytes for tap in self.taps)

    @property
    def payload_bytes(self) -> int:
        """Tile bodies."""
        return sum(tap.payload_bytes for tap in self.taps)

    @property
    def total_bytes(self) -> int:
        """Every byte of every frame, and the plan once."""
        return sum(tap.total_bytes for tap in self.taps) + self.plan_bytes

    @property
    def ratio(self) -> float:
        """Raw bytes over total bytes: against 8-bit values; 0 before the first image."""
        return self.raw_bytes / self.total_bytes

    def __iter__(self) -> Iterator[TapResult]:
        return iter(self.taps)

    def __len__(self) -> int:
        return len(self.taps)

    def __str__(self) -> str:
        width = max([len("feature map"), *(len(tap.name) for tap in self.taps)])
        lines = [
            f"{'feature map':{width}}  {'shape':>14} {'zeros':>6} {'path':>9} {'bits':>6} {'ratio':>6} {'SQNR dB':>8}"
        ]
        lines += [_line(tap, width) for tap in self.taps]
        lines.append(f"{self.raw_bytes} bytes of 8-bit values in {self.total_bytes} bytes, ratio {self.ratio:.3f}")
        return "\n".join(lines)


def _line(tap: TapResult, width: int) -> str:
    shape = "x".join(str(size) for size in tap.shape)
    if not tap.raw_bytes:
        return f"{tap.name:{width}}  {shape:>14} {'-':>6} {tap.path:>9} {'-':>6} {'-':>6} {'-':>8}"
    sqnr = "exact" if tap.sqnr_db is None else f"{tap.sqnr_db:.1f}"
    figures = f"{tap.zeros:6.1%} {tap.path:>9} {tap.bits_per_value:6.3f} {tap.ratio:6.3f} {sqnr:>8}"
    return f"{tap.name:{width}}  {shape:>14} {figures}"
