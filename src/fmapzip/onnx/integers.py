"""Holding the integers of a quantized import against ONNX Runtime's, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, fx

from fmapzip.errors import UnsupportedModel
from fmapzip.onnx.fold import session
from fmapzip.onnx.translate import TENSORS
from fmapzip.onnx.values import Array

STEPS = 1
"""How far an integer may be from ONNX Runtime's where what it is computed from is equal: sums in another order, and
layers that it leaves in floating point, may round to the next one."""
_LARGEST_FILE = 2**31 - 1  # that protobuf writes
_QUANTIZING = ("QuantizeLinear", "DynamicQuantizeLinear")


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether a graph holds operators on 8-bit integers."""
    return any("Quantize" in node.op_type or node.op_type.startswith("QLinear") for node in model.graph.node)


def run_on_equal_integers(
    module: fx.GraphModule, model: onnx.ModelProto, given: Mapping[str, Array], arguments: Sequence[Tensor]
) -> tuple[dict[str, Tensor], int]:
    """Run an import that reads ONNX Runtime's integers at every quantized tensor, and compare its own with them.

    So an operator that computes something else shows where it stands, whatever the network makes of it afterwards.

    Parameters
    ----------
    module : fx.GraphModule
        As `translate` returns it.
    model : onnx.ModelProto
        The file's, with its data.
    given : mapping of str to ndarray
        The inputs, by name, as ONNX Runtime takes them.
    arguments : sequence of Tensor
        The same, as `module` takes them.

    Returns
    -------
    outputs : dict of Tensor
        By name.
    compared : int
        How many tensors were; 0 where there is none, and in files of more than 2 GiB.

    Raises
    ------
    UnsupportedModel
        An integer is further from ONNX Runtime's than a step; the message names the first tensor.
    """
    wanted = _of_onnx_runtime(model, _made_by_quantization(module, model), given)
    with torch.inference_mode():
        found = _OnEqualIntegers(module, wanted).run(*arguments)
    outputs = {model.graph.output[0].name: found} if isinstance(found, Tensor) else found
    return outputs, len(wanted)


def _made_by_quantization(module: fx.GraphModule, model: onnx.ModelProto) -> list[str]:
    """The quantized tensors that the import makes under their names."""
    made = set(module.meta[TENSORS])
    return [
        node.output[0]
        for node in model.graph.node
        if (node.op_type in _QUANTIZING or node.op_type.startswith("QLinear")) and node.output[0] in made
    ]


def _of_onnx_runtime(model: onnx.ModelProto, names: list[str], given: Mapping[str, Array]) -> dict[str, Array]:
    """What ONNX Runtime computes tensors to be."""
    if not names or model.ByteSize() > _LARGEST_FILE:
        return {}
    watched, shown = onnx.ModelProto(), {value.name for value in model.graph.output}
    watched.CopyFrom(model)
    watched.graph.output.extend([onnx.ValueInfoProto(name=name) for name in names if name not in shown])
    found = session(watched.SerializeToString()).run(names, dict(given))
    return {name: np.asarray(array) for name, array in zip(names, found, strict=True)}


class _OnEqualIntegers(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, wanted: Mapping[str, Array]) -> None:
        super().__init__(module)
        self._names = dict(zip(module.graph.nodes, module.meta[TENSORS], strict=True))
        self._wanted = wanted

    def run_node(self, n: fx.Node) -> Any:
        made = super().run_node(n)
        name = self._names[n]
        if name not in self._wanted:
            return made
        want = self._wanted[name]
        _compare(name, made.numpy(), want)
        return torch.from_numpy(want.astype(np.float32)).to(made.dtype)


def _compare(name: str, made: Array, want: Array) -> None:
    if made.shape != want.shape:
        raise UnsupportedModel(f"tensor {name!r} is {list(made.shape)}, ONNX Runtime's is {list(want.shape)}")
    furthest = float(np.abs(made.astype(np.float64) - want.astype(np.float64)).max(initial=0.0))
    if not furthest <= STEPS:
        raise UnsupportedModel(
            f"tensor {name!r} differs from ONNX Runtime's by up to {furthest:.3g} steps where what it is computed from "
            "is equal"
        )
