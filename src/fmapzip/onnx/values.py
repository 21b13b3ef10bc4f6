"""What a tensor of an ONNX graph is while the graph is translated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

Array = NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """The integers that a real-valued tensor stands for: ``real = (integer - zero_point) * scale``.

    Parameters
    ----------
    scale, zero_point : ndarray
        Of no dimension, or one value a position of `axis`.
    dtype : dtype
        Of the integers.
    axis : int
    """

    scale: NDArray[np.float32]
    zero_point: Array
    dtype: np.dtype[Any]
    axis: int = 1

    @property
    def per_tensor(self) -> bool:
        """Whether there is one scale."""
        return self.scale.size == 1

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer of the type."""
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: known now, or made by a node when the network runs.

    Parameters
    ----------
    name : str
        Its name in the ONNX graph.
    constant : ndarray, optional
        Its value, where it does not depend on the network's inputs.
    node : fx.Node, optional
        What makes it, where it does.
    host : bool
        It depends on shapes only; at run time it is a small NumPy array.
    integers : bool
        It holds 8-bit integers, which at run time are whole numbers in float32, so that gradients pass.
    grid : Grid, optional
        Of a dequantized tensor.
    stored : ndarray, optional
        Of a dequantized constant: its integers.
    """

    name: str
    constant: Array | None = None
    node: fx.Node | None = None
    host: bool = False
    integers: bool = False
    grid: Grid | None = None
    stored: Array | None = None
