"""The network that an ONNX graph becomes, while it grows: a torch.fx graph and the modules that it calls."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from fmapzip.onnx.host import FromTensor, ToTensor
from fmapzip.onnx.node import Node
from fmapzip.onnx.values import Array, Grid, Value

_HALVES = ("float16", "bfloat16")


def to_float32(array: Array) -> Array:
    """Return constants of half precision in float32, in which the network is computed; others as they are."""
    return array.astype(np.float32) if array.dtype.name in _HALVES else array


class Builder:
    """Writes operations down in the order in which they run.

    Operators call `call` for functions of torch and `module` for layers.

    Parameters
    ----------
    single : collection of str
        Tensors whose first size is 1 because the file's network takes one image at a time.
    """

    def __init__(self, single: Collection[str] = ()) -> None:
        self.single = frozenset(single)
        self.root = nn.Module()
        self.graph = fx.Graph()
        self._names: set[str] = set()
        self._constants: dict[int, tuple[Array, fx.Node]] = {}
        self.dequantized: dict[tuple[Any, ...], Value] = {}
        """Real-valued tensors by the integers and the grid that they come from, so that all readers share one."""

    def call(self, node: Node, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """Call a function of torch; Values among the arguments become tensors."""
        made = self.graph.call_function(function, tuple(map(self._argument, args)), kwargs)
        return Value(node.outputs[0], node=made)

    def module(self, node: Node, layer: nn.Module, *args: Any, suffix: str = "") -> Value:
        """Call a layer, which gets the node's name."""
        name = self._unique(node.label + suffix)
        self.root.add_module(name, layer)
        made = self.graph.call_module(name, tuple(map(self._argument, args)))
        return Value(node.outputs[0], node=made)

    def host(self, node: Node, layer: nn.Module, *args: Value) -> Value:
        """Call a layer that computes with shapes."""
        return Value(
            node.outputs[0], node=self._helper("shape", layer, *(self._made(value) for value in args)), host=True
        )

    @staticmethod
    def like(made: Value, source: Value) -> Value:
        """Return `made`, which holds values of `source` only, with what is known of those."""
        grid = source.grid if source.grid is not None and source.grid.per_tensor else None
        return replace(made, integers=source.integers, grid=grid)

    @staticmethod
    def integers(made: Value) -> Value:
        """Return `made`, which holds 8-bit integers."""
        return replace(made, integers=True)

    @staticmethod
    def on_grid(made: Value, grid: Grid) -> Value:
        """Return `made`, whose real values stand for integers."""
        return replace(made, grid=grid)

    def item(self, node: Node, values: Value, index: int) -> Value:
        """Return one of the outputs of something that returns several."""
        assert values.node is not None
        made = self.graph.call_function(operator.getitem, (values.node, index))
        return Value(node.outputs[index], node=made)

    def tensor(self, value: Value) -> fx.Node:
        """Return the node that makes a value as a tensor."""
        if value.constant is not None:
            return self._constant(value.constant)
        assert value.node is not None
        if value.host:
            return self._helper("tensor", ToTensor(), value.node)
        return value.node

    def numbers(self, value: Value) -> fx.Node | tuple[Any, ...]:
        """Return a value that an operation takes as plain numbers: known ones, or the node that makes an array."""
        if value.constant is not None:
            return tuple(value.constant.reshape(-1).tolist())
        assert value.node is not None
        return value.node if value.host else self._helper("numbers", FromTensor(), value.node)

    def _made(self, value: Value) -> fx.Node:
        return value.node if value.host and value.node is not None else self.tensor(value)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Value):
            return self.tensor(argument)
        if isinstance(argument, list | tuple):
            return type(argument)(map(self._argument, argument))
        return argument

    def _constant(self, array: Array) -> fx.Node:
        found = self._constants.get(id(array))
        if found is None:
            name = self._unique("constant")
            self.root.register_buffer(name, as_tensor(array))
            found = self._constants[id(array)] = (array, self.graph.get_attr(name))  # the array keeps its id taken
        return found[1]

    def _helper(self, kind: str, layer: nn.Module, *args: fx.Node) -> fx.Node:
        name = self._unique(kind)
        self.root.add_module(name, layer)
        return self.graph.call_module(name, args)

    def _unique(self, label: str) -> str:
        """Return `label` as the name of a submodule that is not there yet."""
        base = re.sub(r"[^\w/:\-]", "_", label.replace(".", "/")) or "node"
        base = f"{base}_" if hasattr(self.root, base) and base not in self._names else base
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def as_tensor(array: Array) -> Tensor:
    """Return a constant as a tensor of its own."""
    return torch.from_numpy(np.array(to_float32(array), copy=True, order="C"))
