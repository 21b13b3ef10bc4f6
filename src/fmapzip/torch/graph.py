"""Finding the taps of a captured graph, and putting slots there.

The rules are those of the glossary: a tap is a tensor read by a convolution or linear layer, traced back through views
to the tensor that is stored, unless that is the network's input or an affine function of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from torch import Tensor, fx, nn

from fmapzip.torch import ops
from fmapzip.torch.slot import TapSlot

SHAPE = "fmapzip_shape"  # key in a node's meta: shape of the tensor that it makes
SLOTS = "fmapzip_slots"  # name of the submodule that holds the slots


class Kind(Enum):
    """What a tensor depends on."""

    CONSTANT = "constant"
    INPUT = "the network's input, or an affine or view function of it"
    VALUE = "computed"


@dataclass(frozen=True)
class Site:
    """A stored tensor of a graph and who reads it."""

    node: fx.Node
    name: str
    readers: tuple[str, ...]
    axis: int  # the channel axis of the stored tensor


class CallSites:
    """Names the places where layers are called: the module's path, with ``#2`` and so on for repeated calls.

    A functional call is named by the innermost module around it and the operation: ``block.conv2d``. A module that has
    several paths goes by the first.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._first_path = {id(module): path for path, module in model.named_modules()}
        self._calls: Counter[str] = Counter()

    def canonical(self, path: str) -> str:
        """Return the first path of the module at `path` (which may hold call counts, as torch.export writes them)."""
        path = re.sub(r"@\d+", "", path)
        first: str = self._first_path[id(self._model.get_submodule(path))]
        return first

    def module(self, path: str) -> nn.Module:
        """Return the module at a canonical path."""
        return self._model.get_submodule(path)

    def name(self, path: str, op: str) -> str:
        """Name the next call of `op` in the module at the canonical `path`; to be asked in order of execution."""
        if not isinstance(self.module(path), ops.READER_MODULES):
            path = f"{path}.{op}" if path else op
        self._calls[path] += 1
        count = self._calls[path]
        return path if count == 1 else f"{path}#{count}"


def is_leaf(module: nn.Module) -> bool:
    """Whether a capture takes `module` as one operation: torch's own layers, containers apart."""
    return type(module).__module__.startswith("torch.nn.modules") and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )


def find_sites(graph: fx.Graph, sites: CallSites) -> list[Site]:
    """Return the taps of `graph`, whose nodes carry shapes, in the order of their first readers."""
    follow_in_place_writes(graph)
    kinds = classify(graph)
    found: dict[fx.Node, Site] = {}
    for node in graph.nodes:
        op = ops.op_name(node)
        if op not in ops.READERS:
            continue
        path = _innermost_module(node, sites)
        if path is None:
            continue
        reader = sites.name(path, op)
        read = node.args[0] if node.args else node.kwargs["input"]
        if not isinstance(read, fx.Node) or kinds[read] is not Kind.VALUE:
            continue
        stored, axis = _stored_tensor(read, -1 if op == "linear" else 1, sites)
        if stored in found:
            site = found[stored]
            found[stored] = Site(stored, site.name, (*site.readers, reader), site.axis)
        else:
            found[stored] = Site(stored, reader, (reader,), axis)
    return list(found.values())


def insert_slots(module: fx.GraphModule, sites: Sequence[Site]) -> list[TapSlot]:
    """Put a slot behind each stored tensor, so that everything that reads the tensor reads what the slot returns."""
    slots = [TapSlot(site.name) for site in sites]
    module.add_submodule(SLOTS, nn.ModuleList(slots))
    for i, site in enumerate(sites):
        with module.graph.inserting_after(site.node):
            slot = module.graph.call_module(f"{SLOTS}.{i}", (site.node,))
        site.node.replace_all_uses_with(slot, delete_user_cb=lambda user, slot=slot: user is not slot)  # type: ignore[misc]
    module.graph.lint()
    module.recompile()
    return slots


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


def classify(graph: fx.Graph) -> dict[fx.Node, Kind]:
    """Say of each node what it depends on."""
    kinds: dict[fx.Node, Kind] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            kinds[node] = Kind.INPUT
        elif node.op == "get_attr":
            kinds[node] = Kind.CONSTANT
        else:
            kinds[node] = _kind_of_call(node, kinds)
    return kinds


def _kind_of_call(node: fx.Node, kinds: dict[fx.Node, Kind]) -> Kind:
    op = ops.op_name(node)
    arguments = [kinds[source] for source in node.all_input_nodes]
    if op in ops.FACTS or all(kind is Kind.CONSTANT for kind in arguments):
        return Kind.CONSTANT
    if Kind.VALUE in arguments or op not in ops.VIEWS | ops.AFFINE | ops.JOINS:
        return Kind.VALUE
    if op in ops.PRODUCTS and arguments.count(Kind.INPUT) > 1:
        return Kind.VALUE
    if op in ("div", "true_divide") and arguments[-1] is Kind.INPUT and len(arguments) > 1:
        return Kind.VALUE
    return Kind.INPUT


def _innermost_module(node: fx.Node, sites: CallSites) -> str | None:
    """Return the canonical path of the module that makes the call; None inside a layer that is taken as one."""
    if node.op == "call_module":
        return sites.canonical(str(node.target))
    stack = _module_stack(node, sites)
    for path in stack:
        module = sites.module(path)
        if is_leaf(module):
            return path if isinstance(module, ops.READER_MODULES) else None
    return stack[-1] if stack else ""


def _module_stack(node: fx.Node, sites: CallSites) -> list[str]:
    """Return the canonical paths of the modules around a node, the outermost first."""
    return [sites.canonical(entry[0]) for entry in node.meta.get("nn_module_stack", {}).values()]


def _is_hidden(node: fx.Node, sites: CallSites) -> bool:
    """Whether the node is inside a layer that is taken as one, so that only what comes out of it is seen."""
    leaves = (module for module in map(sites.module, _module_stack(node, sites)) if is_leaf(module))
    leaf = next(leaves, None)
    return leaf is not None and not isinstance(leaf, ops.READER_MODULES) and ops.module_op(leaf) not in ops.VIEWS


def _stored_tensor(node: fx.Node, axis: int, sites: CallSites) -> tuple[fx.Node, int]:
    """Trace `node`, whose channel axis is `axis`, back through views; return the stored tensor and its channel axis."""
    shape = _shape(node)
    axis = axis % len(shape) if shape else 1
    while ops.op_name(node) in ops.VIEWS and not _is_hidden(node, sites):
        source = _viewed(node)
        if source is None:
            break
        before, after = _shape(source), _shape(node)
        if before and after:
            axis = _axis_before(node, axis, before, after)
        node = source
    rank = len(_shape(node) or ())
    return node, axis if axis < rank else 1


def _viewed(node: fx.Node) -> fx.Node | None:
    """Return what the view `node` looks at; None where it only picks one of an operation's several outputs."""
    source = node.args[0] if node.args else node.kwargs.get("input")
    if not isinstance(source, fx.Node):
        return None
    if _shape(source) is None and ops.op_name(source) not in ops.VIEWS:
        return None
    return source


def _axis_before(node: fx.Node, axis: int, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    order = _permutation(node, len(before))
    if order:
        return order[axis]
    if before == after:
        return axis
    if axis == len(after) - 1 and len(before) > 2 and before[-1] == after[-1]:
        return len(before) - 1
    return 1


def _permutation(node: fx.Node, rank: int) -> list[int] | None:
    op, arguments = ops.op_name(node), [argument for argument in node.args[1:] if not isinstance(argument, fx.Node)]
    if op == "permute":
        dims = (
            arguments[0] if arguments and isinstance(arguments[0], list | tuple) else arguments or node.kwargs["dims"]
        )
        return [int(dim) % rank for dim in dims]  # type: ignore[union-attr, arg-type]
    if op in ("transpose", "swapaxes") and len(arguments) == 2:
        first, second = (int(dim) % rank for dim in arguments)  # type: ignore[arg-type]
        order = list(range(rank))
        order[first], order[second] = second, first
        return order
    return None


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    shape = node.meta.get(SHAPE)
    return shape if isinstance(shape, tuple) else None


def record_shape(node: fx.Node, value: object) -> None:
    """Note in `node` the shape of the tensor that it made; symbolic sizes become -1."""
    if isinstance(value, Tensor):
        node.meta[SHAPE] = tuple(size if type(size) is int else -1 for size in value.shape)
