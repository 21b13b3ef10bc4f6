"""Tracing a tensor that a layer reads back through views, with the axis that the layer sums over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import fx

from fmapzip.torch import ops
from fmapzip.torch.interpret import shape_of

# Operations of several results that are parts of one tensor.
_PARTS = frozenset(["chunk", "split", "split_with_sizes", "tensor_split", "unbind", "unsafe_chunk", "unsafe_split"])


@dataclass(frozen=True)
class View:
    """A tensor on the way from a reader back to what is stored."""

    node: fx.Node
    axis: int | None  # its channel axis; None where the reader's channels are no one axis of it

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(shape_of(self.node) or ())


def trace_back(read: fx.Node, axis: int, opaque: Callable[[fx.Node], bool]) -> list[View]:
    """Return `read`, whose channel axis is `axis`, and what it is a view of, back to the first that is no view.

    `opaque` says of a node that it is inside a layer that is taken as one, so that only what it returns is seen.
    """
    shape = shape_of(read)
    chain = [View(read, axis % len(shape) if shape and len(shape) > 1 else None)]
    while True:
        node, known = chain[-1].node, chain[-1].axis
        source = None if opaque(node) else _viewed(node)
        if source is None:
            return chain
        before, after = shape_of(source), shape_of(node)
        traced = None if known is None or before is None or after is None else _axis_before(node, known, before, after)
        chain.append(View(source, traced))


def stored_view(chain: Sequence[View], most_dimensions: int) -> View:
    """Return the view of `chain` to store: the one nearest to the origin that has a channel axis and fits.

    It may lie behind the origin only where everything reads the origin through it.
    """
    origin, read = chain[-1], chain[0]
    if origin.axis is None and shape_of(origin.node) == shape_of(read.node) and read.axis is not None:
        return View(origin.node, read.axis)  # channels that were only shuffled
    for view in reversed(chain):
        if view.axis is not None and view.rank <= most_dimensions:
            return view
        if len(view.node.users) > 1:
            break
    return View(origin.node, 1 if origin.axis is None else origin.axis)


def _viewed(node: fx.Node) -> fx.Node | None:
    """Return the tensor that `node` is a view of, or None."""
    op = ops.op_name(node)
    if op not in ops.VIEWS or (op == "getitem" and gathers(node.args[1])):
        return None
    source = node.args[0] if node.args else node.kwargs.get("input")
    if not isinstance(source, fx.Node):
        return None
    if op == "getitem" and shape_of(source) is None:  # one of several results
        return _viewed(source) if ops.op_name(source) in _PARTS else None
    return source


def gathers(index: Any) -> bool:
    """Whether indexing by `index` makes a new tensor, as lists and tensors do, and not a view."""
    items = index if isinstance(index, tuple) else (index,)
    return any(isinstance(item, list | bool) or (isinstance(item, fx.Node) and shape_of(item)) for item in items)


def _axis_before(node: fx.Node, axis: int, before: tuple[int, ...], after: tuple[int, ...]) -> int | None:
    op, rank = ops.op_name(node), len(before)
    order = _permutation(op, node, rank)
    if order is not None:
        return order[axis]
    if op == "getitem":
        return _axis_before_item(node, axis, rank, len(after))
    if op == "select":
        return axis + (axis >= _dimension(node) % rank)
    if op in ("expand", "expand_as"):
        added = len(after) - rank
        return axis - added if axis >= added else None
    if prod(before) == prod(after):
        return _axis_before_reshape(before, after, axis)
    return axis if rank == len(after) else None


def _axis_before_item(node: fx.Node, axis: int, rank: int, rank_after: int) -> int | None:
    source = node.args[0]
    if not isinstance(source, fx.Node) or shape_of(source) is not None:
        return _axis_before_index(node.args[1], axis, rank)
    dropped = _dimension(source) % rank if rank_after < rank else rank  # one of several parts
    return axis + (axis >= dropped)


def _axis_before_reshape(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    ahead, size = prod(after[:axis]), after[axis]
    for i in range(1, len(before)):
        if before[i] == size and prod(before[:i]) == ahead:
            return i
    flattened = ahead == before[0] and size == prod(before[1:])
    return 1 if (flattened or size == 1) and len(before) > 1 else None  # one channel is any axis


def _axis_before_index(index: Any, axis: int, rank: int) -> int | None:
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        place = items.index(Ellipsis)
        used = sum(item is not None for item in items) - 1
        items[place : place + 1] = [slice(None)] * (rank - used)
    source = result = 0
    for item in items:
        if item is None:
            if result == axis:
                return None
            result += 1
        elif isinstance(item, slice):
            if result == axis:
                return source
            source, result = source + 1, result + 1
        else:
            source += 1
    return source + axis - result


def _permutation(op: str, node: fx.Node, rank: int) -> list[int] | None:
    """Return for each axis of the result which one of the source it is; None if `op` does not permute."""
    given = [argument for argument in node.args[1:] if not isinstance(argument, fx.Node)]
    order = list(range(rank))
    if op == "permute":
        dims: Any = node.kwargs.get("dims", given[0] if given and isinstance(given[0], list | tuple) else given)
        return [int(dim) % rank for dim in dims]
    if op in ("transpose", "swapaxes"):
        dims = given or list(node.kwargs.values())
        first, second = int(dims[0]) % rank, int(dims[1]) % rank
        order[first], order[second] = second, first
        return order
    if op in ("mT", "t"):
        return [*order[:-2], order[-1], order[-2]]
    if op == "T":
        return order[::-1]
    if op in ("movedim", "moveaxis"):
        pair: Any = given[:2]
        places = [[int(dim) % rank for dim in (dims if isinstance(dims, list | tuple) else [dims])] for dims in pair]
        moved = dict(zip(places[1], places[0], strict=True))
        rest = iter([axis for axis in order if axis not in places[0]])
        return [moved[axis] if axis in moved else next(rest) for axis in order]
    return None


def _dimension(node: fx.Node) -> int:
    """Return the dimension that `select`, `unbind` and the like work on."""
    value: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return int(value)
