"""A captured network as a graph to cut: which places there are, what crosses at each, and its two halves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from torch import fx
from torch.utils import _pytree as pytree

from fmapzip.errors import CaptureError, InvalidInput
from fmapzip.torch import ops
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.graph import SLOTS
from fmapzip.torch.interpret import shape_of
from fmapzip.torch.slot import TapSlot

MOST_CUTS = 2000
"""Networks of many parallel branches have cuts without number."""

# Give a tensor's sizes: the tail takes them from what crosses, so that no tensor crosses for its sizes alone.
_SIZES = frozenset(["size", "shape", "sym_size"])
_AROUND_SLOTS = frozenset([TapSlot.__name__.lower(), "flatten", "unflatten"])


@dataclass(frozen=True)
class Place:
    """Where a network can be cut.

    Attributes
    ----------
    at
        Names of the taps that the head computes last; they say which cut it is.
    taps
        Every tensor that crosses. One that no layer reads (a skip that is only added or concatenated, the network's
        input) is named ``out:NODE`` after the graph's node.
    """

    at: tuple[str, ...]
    taps: tuple[Tap, ...]

    @property
    def values(self) -> int:
        """How many values of one sample cross."""
        return sum(prod(tap.shape) for tap in self.taps)


class NetworkGraph:
    """The graph of a captured network.

    Parameters
    ----------
    captured
        By torch.fx or torch.export.

    Attributes
    ----------
    structure
        How the network's output is made of the tensors that the tail gives.

    Raises
    ------
    CaptureError
        The network was captured by hooks, so that there is no graph, or has not just one input.
    """

    def __init__(self, captured: Captured) -> None:
        module = captured.module
        if not isinstance(module, fx.GraphModule):
            raise CaptureError(f"only a network with a graph can be cut; {'; '.join(captured.notes)}")
        self._captured, self._module = captured, module
        self._nodes = list(module.graph.nodes)
        self._position = {node: i for i, node in enumerate(self._nodes)}
        inputs = [node for node in self._nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise CaptureError(f"only a network of one input can be cut; this one has {len(inputs)}")
        self._input = inputs[0]
        self._output = next(node for node in self._nodes if node.op == "output")
        self._results, self.structure = _results(module.graph, self._output)
        self._constant = self._constants()
        slots = {str(node.target): node for node in self._nodes if node.op == "call_module"}
        self._slots = {tap.name: slots[f"{SLOTS}.{i}"] for i, tap in enumerate(captured.taps)}
        self._tap_of = {self._slots[tap.name]: tap for tap in captured.taps}
        self._before = {name: self._needed(slot.all_input_nodes[0]) for name, slot in self._slots.items()}
        self._live = self._needed(self._output)

    def places(self) -> Iterator[Place]:
        """Every cut at taps, the first ones first: for each set of taps that can be computed before all others.

        Cuts at which something crosses that cannot be stored (integers, no batch dimension) are left out. Of networks
        with very many parallel branches the first `MOST_CUTS` are found.
        """
        names = [tap.name for tap in self._captured.taps]
        earlier = {name: frozenset(n for n in names if self._slots[n] in self._before[name]) for name in names}
        found: set[frozenset[str]] = {frozenset()}
        level = [frozenset[str]()]
        tried = 0
        while level and tried < MOST_CUTS:
            following: list[frozenset[str]] = []
            for done in level:
                for name in names:
                    grown = done | {name}
                    if name in done or not earlier[name] <= done or grown in found:
                        continue
                    found.add(grown)
                    following.append(grown)
                    tried += 1
                    place = self._place(self._last(grown))
                    if place.taps and not any(tap.problem for tap in place.taps):
                        yield place
            level = following

    def place(self, at: Sequence[str]) -> Place:
        """The cut behind the taps `at`: the head computes them and what they need, the tail everything else.

        Raises
        ------
        InvalidInput
            There is no such tap.
        CaptureError
            Something that crosses cannot be stored; it says what and why.
        """
        unknown = [name for name in at if name not in self._slots]
        if unknown or not at:
            raise InvalidInput(f"no tap is named {unknown[:1]}; the taps are {', '.join(self._slots)}")
        place = self._place(self._last(set(at)))
        for tap in place.taps:
            if tap.problem:
                raise CaptureError(f"{tap.name!r} crosses the cut and cannot be stored: {tap.problem}")
        if not place.taps:
            raise CaptureError("nothing crosses there: the network's output does not depend on it")
        return place

    def halves(self, place: Place) -> tuple[fx.GraphModule, fx.GraphModule]:
        """The head, from the input to a tuple of what crosses; the tail, from that to a tuple of tensors."""
        head = self._head(place.at)
        crossing = self._crossing(head)
        return self._head_module(head, crossing), self._tail_module(head, crossing)

    def head_seconds(self, place: Place, seconds: Mapping[fx.Node, float]) -> float:
        """What the nodes of a head took together."""
        return sum(seconds[node] for node in self._head(place.at))

    def _constants(self) -> set[fx.Node]:
        found: set[fx.Node] = set()
        for node in self._nodes:
            if node.op not in ("placeholder", "output") and found.issuperset(node.all_input_nodes):
                found.add(node)
        return found

    def _needed(self, node: fx.Node) -> set[fx.Node]:
        """`node` and everything that it is computed from."""
        found, left = {node}, [node]
        while left:
            for source in left.pop().all_input_nodes:
                if source not in found:
                    found.add(source)
                    left.append(source)
        return found

    def _last(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that none of the others needs, in the order of the network."""
        chosen = set(names)
        needed = {n for name in chosen for n in chosen if n != name and self._slots[n] in self._before[name]}
        return tuple(tap.name for tap in self._captured.taps if tap.name in chosen - needed)

    def _place(self, at: tuple[str, ...]) -> Place:
        return Place(at, tuple(self._tap(node) for node in self._crossing(self._head(at))))

    def _head(self, at: Sequence[str]) -> set[fx.Node]:
        head = {self._slots[name] for name in at}.union(*(self._before[name] for name in at))
        return head - self._constant

    def _crossing(self, head: set[fx.Node]) -> list[fx.Node]:
        """What the tail reads of the head, in the order of the network; a view of a whole tap crosses as the tap."""
        found = {
            self._behind_views(node)
            for node in head
            if not _is_size(node)
            and any(user in self._live and user not in head and not _is_size(user) for user in node.users)
        }
        return sorted(found, key=self._position.__getitem__)

    def _behind_views(self, node: fx.Node) -> fx.Node:
        """The tap that `node` is a view of, with all its values; `node` itself if there is none."""
        seen = node
        while seen not in self._tap_of:
            whole = _viewed_whole(seen)
            if whole is None:
                return node
            seen = whole
        return seen

    def _tap(self, node: fx.Node) -> Tap:
        known = self._tap_of.get(node)
        if known is not None:
            return known
        shape, name = shape_of(node), f"out:{node.name}"
        if shape is None:
            return Tap(name, (), (), 1, "it is no tensor")
        if not 2 <= len(shape) <= 5:
            return Tap(name, tuple(shape[1:]), (), 1, f"it has {len(shape)} dimensions")
        return Tap(name, tuple(shape[1:]), ())

    def _head_module(self, head: set[fx.Node], crossing: Sequence[fx.Node]) -> fx.GraphModule:
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        for node in self._nodes:
            if node not in head and node not in self._constant:
                continue
            if node in self._tap_of:
                copies[node] = copies[node.all_input_nodes[0]]
            else:
                copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(tuple(copies[node] for node in crossing))
        return _module(self._module, graph, "Head")

    def _tail_module(self, head: set[fx.Node], crossing: Sequence[fx.Node]) -> fx.GraphModule:
        graph = fx.Graph()
        copies = {node: graph.placeholder(f"map_{i}") for i, node in enumerate(crossing)}
        sizes = _Sizes(graph, copies[crossing[0]])

        def copied(node: fx.Node) -> fx.Node:
            if node in copies:
                return copies[node]
            if node in self._tap_of:
                copies[node] = copied(node.all_input_nodes[0])
            elif _is_size(node) and node.all_input_nodes[0] in head and node.all_input_nodes[0] not in copies:
                copies[node] = sizes.of(node)
            else:
                for source in node.all_input_nodes:
                    copied(source)
                copies[node] = graph.node_copy(node, copies.__getitem__)
            return copies[node]

        for node in self._nodes:
            if node in self._live and node not in head and node not in self._constant and node.op != "output":
                copied(node)
        graph.output(tuple(copied(result) for result in self._results))
        return _module(self._module, graph, "Tail")


class _Sizes:
    """Sizes of tensors of the head, as the tail knows them: the batch is that of what crosses, the rest is fixed."""

    def __init__(self, graph: fx.Graph, crossing: fx.Node) -> None:
        self._graph, self._crossing = graph, crossing

    def of(self, node: fx.Node) -> fx.Node:
        """The node in the tail that stands for the sizes, or the size, that `node` gives."""
        shape = shape_of(node.all_input_nodes[0])
        if shape is None:
            raise CaptureError(f"{node.name}: the size of something whose shape is not known")
        batch = self._graph.call_method("size", (self._crossing, 0))
        if len(node.args) == 1 or ops.op_name(node) == "shape":
            return self._graph.call_function(tuple, ([batch, *shape[1:]],))
        axis = node.args[1]
        assert isinstance(axis, int)
        return batch if axis % len(shape) == 0 else self._graph.call_function(int, (shape[axis],))


def _results(graph: fx.Graph, output: fx.Node) -> tuple[list[fx.Node], pytree.TreeSpec]:
    """The tensors that a graph gives, and the structure that they come in."""
    leaves, structure = pytree.tree_flatten(output.args[0])
    exported = getattr(graph._codegen, "pytree_info", None)  # then they are listed, and their structure stands apart
    if exported is not None and exported.out_spec is not None:
        structure = exported.out_spec
    if not leaves or not all(isinstance(leaf, fx.Node) for leaf in leaves):
        raise CaptureError("the network's output holds something else than tensors")
    return leaves, structure


def _module(root: fx.GraphModule, graph: fx.Graph, name: str) -> fx.GraphModule:
    module = fx.GraphModule(root, graph, name)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    return module


def _is_size(node: fx.Node) -> bool:
    return ops.op_name(node) in _SIZES


def _viewed_whole(node: fx.Node) -> fx.Node | None:
    """The tensor that `node` is a view of where the view has all of its values, else None."""
    op = ops.op_name(node)
    if op not in ops.VIEWS or op == "getitem" or len(node.all_input_nodes) != 1:
        return None
    source = node.all_input_nodes[0]
    count = _count(node)
    return source if count is not None and count == _count(source) else None


def _count(node: fx.Node) -> int | None:
    """How many values a tensor has on the example; slots, and the folding around them, have those of what they get."""
    shape = shape_of(node)
    if shape is not None:
        return prod(shape)
    return _count(node.all_input_nodes[0]) if ops.op_name(node) in _AROUND_SLOTS else None
