"""Finding the taps of a captured graph, and putting slots there.

The rules are those of decision 3: a tap is a tensor read by a convolution or linear layer, traced back through views
to the tensor that is stored, unless that is the network's input or an affine function of it.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from types import MappingProxyType

import torch
from torch import fx, nn

from fmapzip.quantize import QuantParams
from fmapzip.torch import ops
from fmapzip.torch.interpret import shape_of
from fmapzip.torch.operation import Operation
from fmapzip.torch.slot import TapSlot
from fmapzip.torch.views import View, gathers, stored_view, trace_back

MOST_DIMENSIONS = 5  # of a batch of feature maps
SLOTS = "fmapzip_slots"  # name of the submodule that holds the slots


class Kind(Enum):
    """What a tensor depends on."""

    CONSTANT = "constant"
    INPUT = "the network's input, or an affine or view function of it"
    VALUE = "computed"


@dataclass(frozen=True)
class Read:
    """A layer of a graph that reads a computed tensor."""

    reader: str
    chain: list[View]  # from what is read back to the tensor that it is a view of


@dataclass(frozen=True)
class Site:
    """A tensor of a graph that is stored, and who reads it."""

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
        self._model = self._root = model
        self._first_path = {id(module): path for path, module in model.named_modules()}
        self._calls: Counter[str] = Counter()

    def within(self, path: str) -> CallSites:
        """Return the same call sites and counts, for a graph whose paths begin at the module at `path`."""
        inner = copy.copy(self)
        inner._root = self._model.get_submodule(path)
        return inner

    def canonical(self, path: str) -> str:
        """Return the first path of the module at `path` (which may hold call counts, as torch.export writes them)."""
        path = re.sub(r"@\d+", "", path)
        first: str = self._first_path[id(self._root.get_submodule(path))]
        return first

    def module(self, path: str) -> nn.Module:
        """Return the module at a canonical path."""
        return self._model.get_submodule(path)

    def name(self, path: str, op: str) -> str:
        """Name the next call of `op` in the module at the canonical `path`; to be asked in order of execution."""
        if not ops.is_reader(self.module(path)):
            path = f"{path}.{op}" if path else op
        self._calls[path] += 1
        count = self._calls[path]
        return path if count == 1 else f"{path}#{count}"


def is_leaf(module: nn.Module) -> bool:
    """Whether a capture takes `module` as one operation: torch's own layers, containers apart, and ours."""
    if isinstance(module, Operation):
        return True
    return type(module).__module__.startswith("torch.nn.modules") and not isinstance(
        module, nn.Sequential | nn.ModuleList | nn.ModuleDict
    )


def closed_layers(model: nn.Module) -> list[str]:
    """Name the layers that are taken as one though they multiply by matrices inside, as attention and LSTM do."""
    found: list[str] = []
    for path, module in model.named_modules():
        scripted = isinstance(module, torch.jit.ScriptModule)
        if isinstance(module, ops.READER_MODULES + ops.WITHOUT_PRODUCTS) or not (scripted or is_leaf(module)):
            continue
        if any(path.startswith(f"{name.rpartition(' (')[0]}.") for name in found):
            continue
        if any(parameter.ndim > 1 for parameter in module.parameters()):
            found.append(f"{path} ({type(module).__name__})")
    return found


def find_sites(graph: fx.Graph, sites: CallSites) -> tuple[list[Site], list[str]]:
    """Return the taps of a replayed `graph`, in the order of their first readers, and what reads unseen."""
    reads, unseen = find_reads(graph, sites, classify(graph))
    found: dict[fx.Node, Site] = {}
    for read in reads:
        origin = read.chain[-1].node
        found[origin] = with_reader(found.get(origin), read)
    return list(found.values()), unseen


def find_reads(graph: fx.Graph, sites: CallSites, kinds: dict[fx.Node, Kind]) -> tuple[list[Read], list[str]]:
    """Return which layers of a replayed `graph` read what, in the order of execution, and what reads unseen."""
    found: list[Read] = []
    unseen: list[str] = []
    for node in graph.nodes:
        reading = _reading(node, kinds)
        if reading is None:
            continue
        path = _innermost_module(node, sites)
        if path is None:
            continue  # inside a layer that is taken as one, which is named as such
        read, axis = reading
        if axis is None:
            if kinds[read] is Kind.VALUE:
                unseen.append(f"{path}.{ops.op_name(node)}".removeprefix("."))
            continue
        reader = sites.name(path, ops.reader_name(ops.op_name(node)))
        if kinds[read] is Kind.VALUE:
            found.append(Read(reader, views_of(read, axis, sites)))
    return found, unseen


def views_of(node: fx.Node, axis: int, sites: CallSites) -> list[View]:
    """Return `node`, whose channel axis is `axis`, and what it is a view of, back to the first that is no view."""
    return trace_back(node, axis, lambda source: _is_hidden(source, sites))


def with_reader(site: Site | None, read: Read) -> Site:
    """Return `site`, or the one that begins with `read`, with that reader too."""
    if site is not None:
        return replace(site, readers=(*site.readers, read.reader))
    stored = stored_view(read.chain, MOST_DIMENSIONS)
    return Site(stored.node, read.reader, (read.reader,), stored.axis or 1)


def _reading(node: fx.Node, kinds: dict[fx.Node, Kind]) -> tuple[fx.Node, int | None] | None:
    """Return what a layer reads and the axis that it sums over, None where that is no one axis; None for no layer."""
    op = ops.op_name(node)
    if op in ops.READERS:
        read = node.args[0] if node.args else node.kwargs["input"]
        return (read, -1 if op == "linear" else 1) if isinstance(read, fx.Node) else None
    other = ops.is_other_product(op, node.target)
    if other:
        factors = node.all_input_nodes
    elif op in ops.MATRIX_PRODUCTS:
        given = (*node.args, *(node.kwargs[name] for name in ops.FACTOR_NAMES if name in node.kwargs))
        factors = [given for given in given[ops.MATRIX_PRODUCTS[op] :][:2] if isinstance(given, fx.Node)]
    else:
        return None
    constant = [kinds[factor] is Kind.CONSTANT and len(shape_of(factor) or ()) > 1 for factor in factors]
    if not any(constant) or all(kinds[factor] is Kind.CONSTANT for factor in factors):
        return None
    if other:
        computed = (factor for factor in factors if kinds[factor] is Kind.VALUE)
        return next(computed, next(factor for factor in factors if kinds[factor] is not Kind.CONSTANT)), None
    return (factors[1], -2) if constant[0] else (factors[0], -1)


def own_quantizer(node: fx.Node) -> QuantParams | None:
    """Return the quantizer of the 8-bit integers that the network itself makes of a stored tensor, if it does."""
    made = ops.module_of(node) if node.op == "call_module" else None
    return made.quantizer if isinstance(made, Operation) else None


def insert_slots(module: fx.GraphModule, sites: Sequence[Site]) -> list[TapSlot]:
    """Put a slot behind each stored tensor, so that everything that reads the tensor reads what the slot returns.

    A tensor of more dimensions than a feature map has is seen by its slot with some of them folded into one.
    """
    slots = [TapSlot(site.name) for site in sites]
    module.add_submodule(SLOTS, nn.ModuleList(slots))
    for i, site in enumerate(sites):
        first, last = folded_dimensions(len(shape_of(site.node) or ()), site.axis)
        with module.graph.inserting_after(site.node):
            seen = module.graph.call_method("flatten", (site.node, first, last)) if last > first else site.node
        with module.graph.inserting_after(seen):
            slot = module.graph.call_module(f"{SLOTS}.{i}", (seen,))
        result = slot
        if last > first:
            sizes = list((shape_of(site.node) or ())[first : last + 1])
            with module.graph.inserting_after(slot):
                result = module.graph.call_method("unflatten", (slot, first, sizes))
        own = {seen, slot}
        site.node.replace_all_uses_with(result, delete_user_cb=lambda user, own=own: user not in own)  # type: ignore[misc]
    module.graph.lint()
    module.recompile()
    return slots


def folded_dimensions(rank: int, axis: int) -> tuple[int, int]:
    """Return the first and last of the dimensions to fold into one for a feature map; equal where none is.

    Neither the batch nor the channel axis is folded.

    Examples
    --------
    >>> folded_dimensions(7, 6), folded_dimensions(7, 1), folded_dimensions(5, 1)
    ((1, 3), (2, 4), (1, 1))
    """
    excess = rank - MOST_DIMENSIONS
    first = 1 if axis > 1 + max(excess, 0) else axis + 1
    return (first, first + excess) if excess > 0 else (1, 1)


def shape_in_slot(shape: Sequence[int], axis: int) -> tuple[tuple[int, ...], int]:
    """Return the shape and the channel axis of a stored tensor as its slot sees it."""
    first, last = folded_dimensions(len(shape), axis)
    folded = (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])
    return folded, axis - (last - first) if axis > last else axis


def classify(graph: fx.Graph, given: Mapping[fx.Node, Kind] = MappingProxyType({})) -> dict[fx.Node, Kind]:
    """Say of each node what it depends on; `given` says it of placeholders that are not the network's input."""
    kinds: dict[fx.Node, Kind] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            kinds[node] = given.get(node, Kind.INPUT)
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
    if op == "getitem" and gathers(node.args[1]):
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
            return path if ops.is_reader(module) else None
    return stack[-1] if stack else sites.canonical("")


def _module_stack(node: fx.Node, sites: CallSites) -> list[str]:
    """Return the canonical paths of the modules around a node, the outermost first."""
    return [sites.canonical(entry[0]) for entry in node.meta.get("nn_module_stack", {}).values()]


def _is_hidden(node: fx.Node, sites: CallSites) -> bool:
    """Whether the node is inside a layer that is taken as one, so that only what comes out of it is seen."""
    leaves = (module for module in map(sites.module, _module_stack(node, sites)) if is_leaf(module))
    leaf = next(leaves, None)
    return leaf is not None and not ops.is_reader(leaf) and ops.module_op(leaf) not in ops.VIEWS
