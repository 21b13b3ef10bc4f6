"""`QuantParams` on tensors: the same integers as its NumPy arithmetic, in few operations and without allocation."""

from __future__ import annotations

import threading
from math import isfinite

import torch
from torch import Tensor

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
    """Quantizes CPU float32 tensors whose channel axis is `axis`.

    Parameters
    ----------
    params : QuantParams
    axis : int
        Channel axis of the tensors.
    rank : int
        Their number of dimensions.
    name : str
        Name of the feature map, for errors.
    """

    def __init__(self, params: QuantParams, axis: int, rank: int, name: str) -> None:
        self.params = params
        self.dtype = _DTYPES[params.dtype]
        self._name = name
        self._low, self._high = params.limits
        scale = torch.tensor(params.scale, dtype=torch.float32)
        self._scale = scale.reshape([-1 if i == axis else 1 for i in range(rank)] if params.per_channel else [])

    def quantize(self, x: Tensor, scaled: Tensor, out: Tensor) -> None:
        """Write the integers of float32 `x` into `out`; `scaled` is a float32 buffer of the same shape.

        Raises
        ------
        InvalidInput
            `x` holds NaN or infinity; the error names the feature map.
        """
        torch.div(x, self._scale, out=scaled)
        least, most = (float(bound) for bound in torch.aminmax(scaled))
        if not (isfinite(least) and isfinite(most)) and not torch.isfinite(x).all():
            raise InvalidInput(f"feature map {self._name!r}: holds NaN or infinity")
        if least < self._low or most > self._high:
            scaled.clamp_(self._low, self._high)
        # PyTorch converts float to uint8 five times slower than by way of int16.
        out.copy_(workspace.like(x, "whole", torch.int16).copy_(scaled.round_()))

    def dequantize(self, q: Tensor, out: Tensor) -> None:
        """Write the values that the integers `q` stand for into float32 `out`."""
        torch.mul(q, self._scale, out=out)


def is_dense(x: Tensor) -> bool:
    """Whether the memory of `x` is a permutation of its values without gaps, in an order known here."""
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))
