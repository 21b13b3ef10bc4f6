"""`QuantParams` on tensors: the same integers as its NumPy arithmetic, in one pass each way."""

from __future__ import annotations

import threading
from math import prod
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip import _core
from fmapzip.errors import InvalidInput
from fmapzip.quantize import QuantParams

_DTYPES = {"uint8": torch.uint8, "int8": torch.int8}


class Workspace(threading.local):
    """Buffers that grow to the largest chunk asked for, one set a thread."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype], Tensor] = {}

    def like(self, x: Tensor, slot: str, dtype: torch.dtype) -> Tensor:
        """Return a buffer of `x`'s shape, in its memory order where that is dense, valid until the next call."""
        size = x.numel()
        buffer = self._buffers.get((slot, dtype))
        if buffer is None or buffer.numel() < size:
            with torch.inference_mode(False):  # an inference tensor could not be written into outside inference mode
                buffer = self._buffers[slot, dtype] = torch.empty(size, dtype=dtype)
        flat = buffer[:size]
        return flat.as_strided(x.shape, x.stride()) if is_dense(x) else flat.view(x.shape)


workspace = Workspace()


class TensorQuantizer:
    """Quantizes dense CPU float32 batches whose channel axis is `axis`, in the core.

    Parameters
    ----------
    params : QuantParams
    axis : int
        Channel axis of the tensors.
    name : str
        Name of the feature map, for errors.
    """

    def __init__(self, params: QuantParams, axis: int, name: str) -> None:
        self.params = params
        self.dtype = _DTYPES[params.dtype]
        self._name, self._axis = name, axis
        self.scales = np.asarray(params.scale, np.float32)
        self.limits = (*params.limits, params.zero)

    def quantize(self, x: Tensor, out: Tensor) -> int:
        """Write the integers of `x` into `out`, which has its strides; return how many do not stand for 0.

        Raises
        ------
        InvalidInput
            `x` holds NaN or infinity; the error names the feature map.
        """
        values, integers = in_memory_order(x), in_memory_order(out)
        finite, nonzeros = _core.quantize(values, self.scales, self.limits, *self._channels(x), integers)
        if not finite:
            self.refuse_not_finite()
        return nonzeros

    def refuse_not_finite(self) -> NoReturn:
        """Raise the error of a map with NaN or infinity."""
        raise InvalidInput(f"feature map {self._name!r}: holds NaN or infinity")

    def dequantize(self, q: Tensor, x: Tensor, out: Tensor) -> list[tuple[float, float]]:
        """Write the values that the integers `q` stand for into `out`; both have the strides of `x`.

        Returns
        -------
        list of (float, float)
            For each sample the sums of squares of `x` and of ``out - x``. They depend on nothing but the sample.
        """
        integers, values, restored = in_memory_order(q), in_memory_order(x), in_memory_order(out)
        return _core.dequantize(integers, values, self.scales, self.limits, *self._channels(x), len(x), restored)

    def _channels(self, x: Tensor) -> tuple[int, int]:
        """How many channels there are, and how many values of one follow one another in memory."""
        channels, stride = x.shape[self._axis], x.stride(self._axis)
        inside = (n for n, step in zip(x.shape, x.stride(), strict=True) if step < stride)
        return (channels, prod(inside)) if self.params.per_channel else (1, 1)


def in_memory_order(x: Tensor) -> NDArray[Any]:
    """Return the memory of a dense tensor as a NumPy vector."""
    vector: NDArray[Any] = x.detach().as_strided((x.numel(),), (1,)).numpy()
    return vector


def is_dense(x: Tensor) -> bool:
    """Whether the memory of `x` is a permutation of its values without gaps, in an order known here."""
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))
