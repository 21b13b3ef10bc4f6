"""The inputs of an imported network: their shapes, and how images become what the graph reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.values import Array
from fmapzip.torch.operation import Operation

_CHANNELS = (1, 3, 4)
_SPATIAL, _OTHER = 224, 16
_INTEGERS = ("uint8", "int8")


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph that is not an initializer.

    Parameters
    ----------
    name, argument : str
        In the file; and as an argument of the module's ``forward``.
    dtype : dtype
    sizes : tuple of int, str or None
        As the file has them: known, named or left open.
    channels_last : bool
        Whether it is an image [N, H, W, C].
    """

    name: str
    argument: str
    dtype: np.dtype[np.generic]
    sizes: tuple[int | str | None, ...]
    channels_last: bool

    @property
    def integers(self) -> bool:
        """Whether it takes 8-bit integers."""
        return self.dtype.name in _INTEGERS

    def shape(self, batch: int, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return a shape to try the network with.

        Sizes that are open are `sizes` by name, else `batch` for the first, 224 for height and width, 16 otherwise.
        """
        image = (1, 2) if self.channels_last else (2, 3)
        found = []
        for axis, size in enumerate(self.sizes):
            default = batch if axis == 0 else _SPATIAL if len(self.sizes) == 4 and axis in image else _OTHER
            found.append(size if isinstance(size, int) else sizes.get(size or "", default))
        return tuple(found)

    def random(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return values that the input can have: all of 8 bits, normal floats, zeros and ones otherwise."""
        if self.integers:
            limits = np.iinfo(self.dtype.name)
            return rng.integers(limits.min, limits.max, shape, self.dtype.name, endpoint=True)
        if self.dtype.kind == "f" or self.dtype.name == "bfloat16":
            return rng.standard_normal(shape).astype(self.dtype)
        return rng.integers(0, 2, shape).astype(self.dtype)

    def as_argument(self, values: Array) -> Tensor:
        """Return what ``forward`` takes for values that the file's network takes."""
        if self.channels_last:
            values = values.transpose(0, 3, 1, 2)
        floating = self.integers or self.dtype.kind == "f" or self.dtype.name == "bfloat16"
        kept = values if not floating or self.dtype == np.float64 else values.astype(np.float32)
        return torch.from_numpy(np.array(kept, copy=True, order="C"))

    def values(self, x: Tensor) -> Array:
        """Return what the file's network takes for an argument of ``forward``."""
        array = x.numpy()
        if self.integers:
            limits = np.iinfo(self.dtype.name)
            array = np.rint(np.clip(array, limits.min, limits.max))
        return self.as_file_has(array.transpose(0, 2, 3, 1) if self.channels_last else array)

    def as_file_has(self, values: Array) -> Array:
        """Return values in the type and memory order that ONNX Runtime takes."""
        return np.ascontiguousarray(values, self.dtype)


class ReadImage(Operation):
    """Images [N, C, H, W] in floating point as the graph reads them: channels last, whole numbers of 8 bits."""

    def __init__(self, value: GraphInput) -> None:
        super().__init__("to")
        self._permutes = value.channels_last
        self._limits = (np.iinfo(value.dtype.name).min, np.iinfo(value.dtype.name).max) if value.integers else None

    @property
    def changes(self) -> bool:
        """Whether it does anything."""
        return self._permutes or self._limits is not None

    def forward(self, x: Tensor) -> Tensor:
        """Return what the graph reads."""
        if self._limits is not None:
            x = x.float().clamp(*self._limits)
            x = x + (x.round() - x).detach()
        return x.permute(0, 2, 3, 1) if self._permutes else x


def graph_inputs(graph: onnx.GraphProto) -> list[GraphInput]:
    """Return the inputs that are to be given."""
    initial = {tensor.name for tensor in graph.initializer}
    found: list[GraphInput] = []
    for value in graph.input:
        if value.name in initial:
            continue
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise UnsupportedModel(f"input {value.name!r} is no tensor of known rank")
        sizes = tuple(_size(dim) for dim in kind.shape.dim)
        argument = re.sub(r"\W", "_", value.name)
        argument = f"input_{argument}" if not argument.isidentifier() or argument in ("self",) else argument
        last = len(sizes) == 4 and sizes[3] in _CHANNELS and sizes[1] not in _CHANNELS
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        found.append(GraphInput(value.name, argument, dtype, sizes, last))
    return found


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return int(dim.dim_value)
    return dim.dim_param or None
