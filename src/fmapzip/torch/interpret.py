"""Running a captured graph node by node: the shapes of its tensors, and writes that a later reader would miss.

A slot stores a tensor as it is where it was computed. That is what a reader reads only if nothing writes into the
memory in between, through this name of it or another. Graphs in which something does are refused.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import Tensor, fx
from torch.utils import _pytree as pytree

from fmapzip.torch import ops

SHAPE = "fmapzip_shape"  # key in a node's meta: shape of the tensor that it makes, on the example


class StaleRead(ValueError):
    """A tensor is written into while the graph still reads that memory by another name."""


def replay(module: fx.GraphModule, values: list[Any]) -> Any:
    """Run the graph of `module` on the `values` of its placeholders, note shapes, and return the output.

    Uses of a tensor after an in-place operation on it are first let read the operation's result.

    Raises
    ------
    StaleRead
    """
    follow_in_place_writes(module.graph)
    module.recompile()
    return _Replay(module).run(*values)


def follow_in_place_writes(graph: fx.Graph) -> None:
    """Let what comes after an in-place operation read its result, which is what the tensor then holds."""
    position = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not ops.writes_into_first_argument(node):
            continue
        written = node.args[0]
        assert isinstance(written, fx.Node)
        for user in list(written.users):
            if position[user] > position[node]:
                user.replace_input_with(written, node)


def shape_of(node: fx.Node) -> tuple[int, ...] | None:
    """Return the shape of the tensor that `node` made; None where it made something else."""
    shape = node.meta.get(SHAPE)
    return shape if isinstance(shape, tuple) else None


class _Replay(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)  # so that no two tensors share an address
        self._position = {node: i for i, node in enumerate(module.graph.nodes)}
        self._names: defaultdict[int, list[fx.Node]] = defaultdict(list)  # of each piece of memory

    def run_node(self, n: fx.Node) -> Any:
        read = _tensors([self.env[source] for source in n.all_input_nodes])
        before = [_version(tensor) for tensor in read]
        value = super().run_node(n)
        for tensor, version in zip(read, before, strict=True):
            if _version(tensor) != version:
                self._refuse_other_names(tensor, n)
        for tensor in _tensors(value):
            self._names[_memory(tensor)].append(n)
        if isinstance(value, Tensor):
            n.meta[SHAPE] = tuple(value.shape)
        return value

    def _refuse_other_names(self, written: Tensor, writer: fx.Node) -> None:
        now = self._position[writer]
        for name in self._names[_memory(written)]:
            if any(self._position[user] > now for user in name.users):
                raise StaleRead(f"{writer.name} writes into memory that is later read as {name.name}")


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version
