"""A network cut in two: the head, what crosses, and the tail."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from fmapzip.errors import CaptureError
from fmapzip.split.graph import NetworkGraph, Place
from fmapzip.torch.capture import METHODS, Captured, Tap, capture
from fmapzip.torch.slot import TapSlot

_GRAPHS = tuple(method for method in METHODS if method != "hooks")


class Tail(nn.Module):
    """From what crosses to the network's own output.

    Attributes
    ----------
    flat
        Gives the output's tensors as a tuple.
    structure
        What they make.
    """

    def __init__(self, flat: nn.Module, structure: pytree.TreeSpec) -> None:
        super().__init__()
        self.flat, self.structure = flat, structure

    def forward(self, *maps: Tensor) -> Any:
        """Run it."""
        return pytree.tree_unflatten(list(self.flat(*maps)), self.structure)


class Halves(nn.Module):
    """Head and tail in one network, and a slot at each tensor that crosses; only the tail reads what a slot returns."""

    def __init__(self, head: nn.Module, tail: Tail, names: Sequence[str]) -> None:
        super().__init__()
        self.head, self.tail = head, tail
        self.slots = nn.ModuleList(TapSlot(name) for name in names)

    def forward(self, x: Tensor) -> Any:
        """Run the network."""
        return self.tail(*(slot(value) for slot, value in zip(self.slots, self.head(x), strict=True)))


@dataclass(frozen=True)
class Cut:
    """A network in two halves.

    Attributes
    ----------
    at
        The taps that name the cut.
    taps
        Every tensor that crosses.
    head
        From a batch of inputs to a tuple of what crosses.
    tail
        From what crosses to the network's output.
    whole
        Both with slots between them, as `fmapzip.torch` runs and calibrates networks.
    layouts
        The memory order in which the network makes each tensor that crosses: ``contiguous`` or ``channels_last``.
    others
        The network's taps that do not cross.
    onnx
        The import that was cut, where the network is an ONNX file's.
    """

    at: tuple[str, ...]
    taps: tuple[Tap, ...]
    head: fx.GraphModule
    tail: Tail
    whole: Captured
    layouts: tuple[str, ...]
    others: tuple[str, ...]
    onnx: fx.GraphModule | None = None


def cuts(model: nn.Module, x: Tensor) -> list[Place]:
    """All cuts of a network at its feature maps, each with every tensor that crosses it.

    Parameters
    ----------
    model : nn.Module
        Looked at in eval mode, and left as it was.
    x : Tensor
        An input, batch first.

    Raises
    ------
    CaptureError
        The network has no graph that can be cut.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))
    >>> [(place.at, place.values) for place in cuts(net, torch.zeros(1, 3, 8, 8))]
    [(('2',), 288)]
    """
    return list(NetworkGraph(_captured(model, x)).places())


def cut(model: nn.Module, x: Tensor, at: str | Sequence[str]) -> Cut:
    """Cut a network behind the taps `at`.

    The head computes those taps and what they need; the tail does everything else. Whatever the tail needs of the head
    crosses: a residual shortcut or a branch that is joined later too. Where a tensor that crosses has readers in the
    head as well, those read the head's own floats, and only the tail reads what was stored.

    Parameters
    ----------
    model : nn.Module
        Copied, in eval mode; the original is untouched.
    x : Tensor
        An input, batch first.
    at : str or sequence of str
        Names of taps, as `fmapzip.torch.taps` gives them.

    Raises
    ------
    InvalidInput
        There is no such tap.
    CaptureError
        The network cannot be cut there; it says why.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1)).eval()
    >>> image = torch.rand(1, 3, 8, 8)
    >>> halves = cut(net, image, at="2")
    >>> bool((halves.tail(*halves.head(image)) == net(image)).all())
    True
    """
    copied = copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model
    captured = _captured(copied, x)
    found = separated(captured, NetworkGraph(captured), x, [at] if isinstance(at, str) else at)
    if isinstance(copied, fx.GraphModule) and "file" in copied.meta:
        return replace(found, onnx=copied)
    return found


def separated(captured: Captured, graph: NetworkGraph, x: Tensor, at: Sequence[str]) -> Cut:
    """`cut` of a network that is captured already."""
    place = graph.place(at)
    head, flat = graph.halves(place)
    tail = Tail(flat, graph.structure)
    layouts = _checked(captured, place, head, tail, x)
    others = tuple(tap.name for tap in captured.taps if tap.name not in {crossing.name for crossing in place.taps})
    return halves(captured, place.at, place.taps, head, tail, layouts, others)


def halves(
    captured: Captured,
    at: tuple[str, ...],
    taps: tuple[Tap, ...],
    head: fx.GraphModule,
    tail: Tail,
    layouts: tuple[str, ...],
    others: tuple[str, ...],
) -> Cut:
    """A cut of its halves."""
    both = Halves(head, tail, [tap.name for tap in taps])
    slots: Any = tuple(both.slots)
    whole = Captured(both, taps, slots, captured.method, captured.notes, captured.input_shapes)
    return Cut(at, taps, head, tail, whole, layouts, others)


def _captured(model: nn.Module, x: Tensor) -> Captured:
    return capture(model, x, _GRAPHS)


def _checked(captured: Captured, place: Place, head: nn.Module, tail: Tail, x: Tensor) -> tuple[str, ...]:
    """The layouts of what crosses, once the halves are seen to compute what the network does, for another batch too."""
    with torch.inference_mode():
        for inputs in (x, torch.cat([x, x])):
            wanted = pytree.tree_leaves(captured.module(inputs.clone()))
            maps = head(inputs.clone())
            for tap, value in zip(place.taps, maps, strict=True):
                if not isinstance(value, Tensor) or not value.is_floating_point():
                    raise CaptureError(f"{tap.name!r} crosses the cut and cannot be stored: it is no float tensor")
                if value.shape[0] != len(inputs):
                    raise CaptureError(f"{tap.name!r} crosses the cut; its first dimension is not the batch")
            layouts = tuple(map(_layout, maps))
            got = pytree.tree_leaves(tail(*maps))
            if not all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True)):
                raise CaptureError(f"cut at {', '.join(place.at)} the network computes something else")
    return layouts


def _layout(x: Tensor) -> str:
    spread = x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return "channels_last" if spread else "contiguous"
