"""The padding of windows: as the attributes give it, or found from sizes (``auto_pad``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from fmapzip.onnx.node import Node


@dataclass(frozen=True)
class Window:
    """A sliding window over the spatial axes.

    Parameters
    ----------
    kernel, strides, dilations : tuple of int
    pads : tuple of int
        At the beginning of each axis, then at the end of each.
    same : str
        ``upper`` or ``lower``: padding is found from sizes, the odd one at the end or at the beginning.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    same: str = ""

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def symmetric(self) -> bool:
        """Whether both ends of each axis have the same known padding."""
        return not self.same and self.pads[: self.rank] == self.pads[self.rank :]

    def padding(self, sizes: Sequence[int]) -> list[int]:
        """Return the padding of an input of these spatial sizes as torch takes it: the last axis first."""
        pairs = [(self.pads[i], self.pads[self.rank + i]) for i in range(self.rank)]
        if self.same:
            pairs = [self._same(i, size) for i, size in enumerate(sizes)]
        return [side for pair in reversed(pairs) for side in pair]

    def pad(self, x: Tensor, value: float = 0.0) -> Tensor:
        """Return `x`, padded."""
        padding = self.padding(x.shape[2:])
        return functional.pad(x, padding, value=value) if any(padding) else x

    def _same(self, axis: int, size: int) -> tuple[int, int]:
        stride = self.strides[axis]
        reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
        total = max(0, ((size + stride - 1) // stride - 1) * stride + reach - size)
        less = total // 2
        return (total - less, less) if self.same == "lower" else (less, total - less)


def window(node: Node, kernel: Sequence[int]) -> Window:
    """Read a node's window."""
    rank = len(kernel)
    auto = node.attr("auto_pad", "NOTSET")
    pads = tuple(node.attr("pads", [0] * 2 * rank)) if auto == "NOTSET" else (0,) * 2 * rank
    if any(pad < 0 for pad in pads):
        raise node.unsupported("negative padding is not supported")
    return Window(
        tuple(kernel),
        tuple(node.attr("strides", [1] * rank)),
        tuple(node.attr("dilations", [1] * rank)),
        pads,
        {"SAME_UPPER": "upper", "SAME_LOWER": "lower"}.get(auto, ""),
    )
