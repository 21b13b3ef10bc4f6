"""The reductions of a cut as nodes of ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor, nn

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.halves import Reduction
from fmapzip.split.halves import Cut
from fmapzip.split.reduction import Completed, Fewer, Scaled, steps_of


def onnx_reductions(cut: Cut) -> dict[int, Reduction]:
    """What tensors that cross go through, by position.

    Raises
    ------
    UnsupportedModel
        A step is none of `fmapzip.split.reduction`.
    """
    before, after = steps_of(cut.head), steps_of(cut.tail.flat)
    shapes = {i: cut.taps[i].shape for i in before}
    return {i: Reduction(_Step(before[i], shape), _Step(after[i], shape), shape) for i, shape in shapes.items()}


class _Step:
    """A step on float32 [N, C, ...] as nodes; `shape` is what crosses of one sample."""

    def __init__(self, step: nn.Module, shape: tuple[int, ...]) -> None:
        self._step, self._ones = step, [1] * (len(shape) - 1)

    def __call__(self, given: str, made: str) -> list[onnx.NodeProto]:
        """The nodes that make the tensor `made` of `given`."""
        step = self._step
        if isinstance(step, Fewer):
            return [_constant(f"{made}/kept", step.kept), _node("Gather", [given, f"{made}/kept"], made, axis=1)]
        if isinstance(step, Scaled):
            factors = step.factors.reshape(-1, *self._ones)
            return [_constant(f"{made}/factors", factors), _node("Mul", [given, f"{made}/factors"], made)]
        if isinstance(step, Completed):
            return _completed(step, step.weight.reshape(*step.weight.shape, *self._ones), given, made)
        raise UnsupportedModel(f"{type(step).__name__} is no reduction that ONNX files can have")


def _completed(step: Completed, weight: Tensor, given: str, made: str) -> list[onnx.NodeProto]:
    """A convolution of size 1 gives what is missing; then all channels are put in order."""
    constants = {"weight": weight, "offset": step.offset, "order": step.order}
    nodes = [_constant(f"{made}/{name}", value) for name, value in constants.items()]
    missing = f"{made}/missing"
    nodes.append(_node("Conv", [given, f"{made}/weight", f"{made}/offset"], missing))
    if step.positive:
        nodes.append(_node("Relu", [missing], f"{missing}/positive"))
        missing += "/positive"
    nodes.append(_node("Concat", [given, missing], f"{made}/all", axis=1))
    return [*nodes, _node("Gather", [f"{made}/all", f"{made}/order"], made, axis=1)]


def _constant(name: str, value: Tensor) -> onnx.NodeProto:
    array = np.ascontiguousarray(value.detach().numpy())
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def _node(operator: str, given: list[str], made: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, given, [made], made, **attributes)
