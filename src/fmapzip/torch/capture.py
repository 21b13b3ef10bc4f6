"""Capturing a network: its feature maps, and a runnable copy of it with a slot at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from fmapzip.errors import CaptureError, InvalidInput
from fmapzip.torch.capture_export import export
from fmapzip.torch.capture_fx import trace
from fmapzip.torch.capture_hooks import hook
from fmapzip.torch.graph import SHAPE, CallSites, find_sites, insert_slots
from fmapzip.torch.inputs import Inputs, batch_size, call, doubled, evaluation_mode, same_outputs, sample_shapes
from fmapzip.torch.slot import TapSlot

METHODS = ("fx", "export", "hooks")
_TITLES = {"fx": "torch.fx", "export": "torch.export", "hooks": "module hooks"}
HOOKS_NOTE = (
    "captured by module hooks: functional convolutions are not seen, and sums and concatenations that read a feature "
    "map too (residual shortcuts) go on with the values from before it was stored"
)


@dataclass(frozen=True)
class Tap:
    """A feature map of a network.

    Parameters
    ----------
    name : str
        Call site of its first reader, for example ``features.3.expand1x1``; a second call of the same layer on another
        tensor ends in ``#2``, a functional call is named by the module around it, ``block.conv2d``.
    shape : tuple of int
        One sample's shape: (C, H, W), (C, L) or (F,).
    readers : tuple of str
        Call sites of every convolution and linear layer that reads it.
    axis : int
        The channel axis of the stored batch: 1, or the last for what linear layers read, as in [N, H, W, C].
    problem : str
        Why it cannot be stored (five dimensions, or no batch dimension), or "". Its shape is then the network's.
    """

    name: str
    shape: tuple[int, ...]
    readers: tuple[str, ...]
    axis: int = 1
    problem: str = ""


@dataclass(frozen=True)
class Captured:
    """A network with a slot at each tap.

    Parameters
    ----------
    module : nn.Module
        Computes what the network computes, through the slots; shares the network's parameters.
    taps : tuple of Tap
        In the order of their first readers.
    slots : tuple of TapSlot
        One a tap.
    method : {"fx", "export", "hooks"}
    notes : tuple of str
        Why earlier methods failed, and what this one cannot see.
    input_shapes : list
        Shapes of one sample's inputs.
    """

    module: nn.Module
    taps: tuple[Tap, ...]
    slots: tuple[TapSlot, ...]
    method: str
    notes: tuple[str, ...]
    input_shapes: list[list[int]]


def taps(model: nn.Module, example: Inputs, methods: Sequence[str] = METHODS) -> list[Tap]:
    """List the feature maps of a network.

    Every tensor read by a convolution or linear layer is one, except the network's input and its affine or view
    functions. Flatten, view, padding, dropout and identity are looked through to the tensor that is stored.

    Parameters
    ----------
    model : nn.Module
        Looked at in eval mode, and left as it was.
    example : Tensor, tuple or dict
        Inputs, batch first; one sample is enough.
    methods : sequence of {"fx", "export", "hooks"}
        Ways of capturing, in the order in which they are tried.

    Raises
    ------
    CaptureError
        No method works; the message says why.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 1))
    >>> [(tap.name, tap.shape) for tap in taps(net, torch.zeros(1, 3, 8, 8))]
    [('2', (8, 6, 6))]
    """
    return list(capture(model, example, methods).taps)


def capture(model: nn.Module, example: Inputs, methods: Sequence[str] = METHODS) -> Captured:
    """Capture `model`, as :func:`taps` says, for running; call it where `model` is in eval mode or a copy."""
    if not isinstance(model, nn.Module):
        raise CaptureError(f"expected a torch.nn.Module, got {type(model).__name__}")
    unknown = [method for method in methods if method not in _CAPTURES]
    if unknown or not methods:
        raise InvalidInput(f"capture methods {list(methods)}: there are {', '.join(METHODS)}")
    batch_size(example)
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped
    notes: list[str] = []
    with evaluation_mode(model), torch.no_grad():
        expected = _run_original(model, example)
        for method in methods:
            try:
                captured = _CAPTURES[method](model, example, expected)
            except CaptureError:
                raise
            except Exception as error:  # a capture may fail in any way that the model's code can
                notes.append(
                    f"torch.{method} failed: {_first_line(error)}" if method != "hooks" else _first_line(error)
                )
                continue
            if method == "hooks":
                notes.append(HOOKS_NOTE)
            return _checked(Captured(*captured, method, tuple(notes), sample_shapes(example)), example)
    raise CaptureError(f"{type(model).__name__} cannot be captured; " + "; ".join(notes))


def select(found: Sequence[Tap], patterns: Sequence[str] | str | None) -> list[Tap]:
    """Return the taps that names or globs pick.

    Parameters
    ----------
    found : sequence of Tap
    patterns : str or sequence of str, optional
        A tap is picked if one matches and none of those that begin with ``!`` does; default all.

    Raises
    ------
    InvalidInput
        A pattern matches no tap.
    CaptureError
        A picked tap cannot be stored.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns or ["*"])
    for pattern in wanted:
        if patterns is not None and not any(fnmatchcase(tap.name, pattern.removeprefix("!")) for tap in found):
            raise InvalidInput(f"no tap is named {pattern!r}; the taps are {', '.join(tap.name for tap in found)}")
    refused = [pattern[1:] for pattern in wanted if pattern.startswith("!")]
    allowed = [pattern for pattern in wanted if not pattern.startswith("!")] or ["*"]
    picked = [tap for tap in found if _matches(tap, allowed) and not _matches(tap, refused)]
    if not picked:
        raise CaptureError("no feature map is left: none is read by a convolution or linear layer, or all are left out")
    for tap in picked:
        if tap.problem:
            raise CaptureError(
                f"tap {tap.name!r} cannot be stored: {tap.problem}; leave it out with taps='!{tap.name}'"
            )
    return picked


def _matches(tap: Tap, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tap.name, pattern) for pattern in patterns)


_Result = tuple[nn.Module, tuple[Tap, ...], tuple[TapSlot, ...]]


def _run_original(model: nn.Module, example: Inputs) -> Any:
    try:
        return call(model, example)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} does not run on the example: {_first_line(error)}") from error


def _by_graph(make: Callable[[nn.Module, Inputs], tuple[fx.GraphModule, Any]]) -> Callable[..., _Result]:
    def capture_graph(model: nn.Module, example: Inputs, expected: Any) -> _Result:
        module, output = make(model, example)
        if not same_outputs(output, expected):
            raise ValueError("its graph computes something else than the model, which depends on more than its inputs")
        sites = find_sites(module.graph, CallSites(model))
        found = tuple(_tap(site.name, site.readers, site.node.meta.get(SHAPE, ()), site.axis) for site in sites)
        return module, found, tuple(insert_slots(module, sites))

    return capture_graph


def _by_hooks(model: nn.Module, example: Inputs, expected: Any) -> _Result:
    module, sites, _ = hook(model, example)
    if not sites:
        raise ValueError("no convolution or linear layer was seen to read a feature map")
    found = tuple(_tap(site.name, site.readers, site.shape, site.axis) for site in sites)
    return module, found, tuple(module.slots)  # type: ignore[arg-type]


_CAPTURES: dict[str, Callable[..., _Result]] = {
    "fx": _by_graph(trace),
    "export": _by_graph(export),
    "hooks": _by_hooks,
}


def _tap(name: str, readers: tuple[str, ...], shape: tuple[int, ...], axis: int) -> Tap:
    sample = list(shape[1:])
    if not 1 <= len(sample) <= 3:
        problem = f"it has {len(shape)} dimensions; feature maps are [N, F], [N, C, L] or [N, C, H, W]"
        return Tap(name, tuple(sample), readers, axis, problem)
    sample.insert(0, sample.pop(axis - 1))
    return Tap(name, tuple(sample), readers, axis)


def _checked(captured: Captured, example: Inputs) -> Captured:
    """Say of each tap whether its first dimension is the batch, by running the example twice in one batch."""
    once = _stored_shapes(captured, example)
    try:
        twice = _stored_shapes(captured, doubled(example))
    except Exception as error:  # the network's own
        note = f"the network does not run on other batch sizes than the example's: {_first_line(error)}"
        return replace(captured, notes=(*captured.notes, note))
    fits = [a[1:] == b[1:] and 2 * a[0] == b[0] for a, b in zip(once, twice, strict=True)]
    problem = "its first dimension is not the batch"
    pairs = zip(captured.taps, fits, strict=True)
    return replace(
        captured, taps=tuple(tap if fits or tap.problem else replace(tap, problem=problem) for tap, fits in pairs)
    )


def _stored_shapes(captured: Captured, inputs: Inputs) -> list[tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str, x: Tensor) -> Tensor:
        shapes[name] = tuple(x.shape)
        return x

    for slot in captured.slots:
        slot.action = partial(record, slot.name)
    try:
        call(captured.module, inputs)
    finally:
        for slot in captured.slots:
            slot.action = None
    return [shapes[slot.name] for slot in captured.slots]


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:300]
