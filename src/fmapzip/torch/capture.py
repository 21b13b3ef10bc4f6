"""Capturing a network: its feature maps, and a runnable copy of it with a slot at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn

from fmapzip.errors import CaptureError, InvalidInput
from fmapzip.quantize import QuantParams
from fmapzip.torch.capture_export import export
from fmapzip.torch.capture_fx import trace
from fmapzip.torch.capture_hooks import HookedModel, hook
from fmapzip.torch.graph import CallSites, closed_layers, find_sites, insert_slots, own_quantizer, shape_in_slot
from fmapzip.torch.inputs import Inputs, batch_size, call, cloned, doubled, same_outputs, sample_shapes
from fmapzip.torch.interpret import shape_of
from fmapzip.torch.parts import MakeGraph
from fmapzip.torch.preserve import evaluation_mode
from fmapzip.torch.slot import TapSlot
from fmapzip.torch.tensor_quantizer import is_dense

METHODS = ("fx", "export", "hooks")
_GRAPHS: dict[str, MakeGraph] = {"fx": trace, "export": export}
_HOOKS_NOTE = (
    "captured by module hooks{parts} sums and concatenations that read a feature map too (residual shortcuts) go on "
    "with the values from before it was stored"
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
        One sample's shape: (C, D, H, W), (C, H, W), (C, L) or (F,).
    readers : tuple of str
        Call sites of every convolution and linear layer that reads it.
    axis : int
        The channel axis of the stored batch: 1, or the last for what linear layers read, as in [N, H, W, C].
    problem : str
        Why it cannot be stored (no batch dimension, or integers), or "".
    quantizer : QuantParams, optional
        Of the network's own 8-bit integers, which are then what is stored, whatever calibration sees.
    """

    name: str
    shape: tuple[int, ...]
    readers: tuple[str, ...]
    axis: int = 1
    problem: str = ""
    quantizer: QuantParams | None = None


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
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        raise InvalidInput(f"capture methods {list(methods)}: there are {', '.join(METHODS)}")
    batch_size(example)
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped
    notes: list[str] = []
    with torch.inference_mode(False), torch.no_grad():  # writes are not counted in inference mode
        example = cloned(example)
        with evaluation_mode(model):
            expected = _run_original(model, cloned(example))
        for title, make in _attempts(methods):
            try:
                with evaluation_mode(model):
                    return _checked(make(model, cloned(example)), example, expected, notes)
            except CaptureError:
                raise
            except Exception as error:  # a capture may fail in any way that the model's code can
                notes.append(f"{title} failed: {first_line(error)}")
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
        No tap is left, or one that is picked by its whole name cannot be stored. Globs leave such taps out.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns or ["*"])
    for pattern in wanted:
        if patterns is not None and not any(fnmatchcase(tap.name, pattern.removeprefix("!")) for tap in found):
            raise InvalidInput(f"no tap is named {pattern!r}; the taps are {', '.join(tap.name for tap in found)}")
    refused = [pattern[1:] for pattern in wanted if pattern.startswith("!")]
    allowed = [pattern for pattern in wanted if not pattern.startswith("!")] or ["*"]
    picked = [tap for tap in found if _matches(tap, allowed) and not _matches(tap, refused)]
    for tap in picked:
        if tap.problem and tap.name in allowed:
            raise CaptureError(f"tap {tap.name!r} cannot be stored: {tap.problem}")
    picked = [tap for tap in picked if not tap.problem]
    if not picked:
        raise CaptureError("no feature map is left: none is read by a convolution or linear layer, or all are left out")
    return picked


def _matches(tap: Tap, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tap.name, pattern) for pattern in patterns)


def _run_original(model: nn.Module, example: Inputs) -> Any:
    try:
        return call(model, example)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} does not run on the example: {first_line(error)}") from error


def _by_graph(
    method: str, make: Callable[[nn.Module, Inputs], tuple[fx.GraphModule, Any]], model: nn.Module, example: Inputs
) -> Captured:
    module, _ = make(model, example)
    sites, unseen = find_sites(module.graph, CallSites(model))
    found = tuple(
        replace(_tap(site.name, site.readers, shape_of(site.node) or (), site.axis), quantizer=own_quantizer(site.node))
        for site in sites
    )
    notes = _unseen_notes([*closed_layers(model), *unseen])
    return Captured(module, found, tuple(insert_slots(module, sites)), method, notes, sample_shapes(example))


def _by_hooks(graphs: Sequence[MakeGraph], model: nn.Module, example: Inputs) -> Captured:
    hooked = hook(model, example, graphs)
    if not hooked.sites:
        raise ValueError("no convolution or linear layer was seen to read a feature map")
    found = tuple(_tap(site.name, tuple(site.readers), site.shape, site.axis) for site in hooked.sites)
    parts = f", with graphs of {', '.join(hooked.parts)}: elsewhere" if hooked.parts else ":"
    notes = (_HOOKS_NOTE.format(parts=parts), *_unseen_notes([*closed_layers(model), *hooked.unseen]))
    return Captured(hooked.module, found, tuple(hooked.slots), "hooks", notes, sample_shapes(example))


def _attempts(methods: Sequence[str]) -> Iterator[tuple[str, Callable[[nn.Module, Inputs], Captured]]]:
    """Yield ways of capturing with their titles; hooks write parts of the network down as the methods before did."""
    graphs: list[MakeGraph] = []
    for method in methods:
        if method in _GRAPHS:
            graphs.append(_GRAPHS[method])
            yield f"torch.{method}", partial(_by_graph, method, _GRAPHS[method])
            continue
        if graphs:
            yield "module hooks with graphs of parts", partial(_by_hooks, tuple(graphs))
        yield "module hooks", partial(_by_hooks, ())


def _unseen_notes(unseen: Sequence[str]) -> tuple[str, ...]:
    return (f"what these read is not stored: {', '.join(dict.fromkeys(unseen))}",) if unseen else ()


def _tap(name: str, readers: tuple[str, ...], shape: tuple[int, ...], axis: int) -> Tap:
    shape, axis = shape_in_slot(shape, axis)
    sample = list(shape[1:])
    if not sample:
        return Tap(name, (), readers, axis, "it has no batch dimension")
    sample.insert(0, sample.pop(axis - 1))
    return Tap(name, tuple(sample), readers, axis)


def _checked(captured: Captured, example: Inputs, expected: Any, failed: Sequence[str]) -> Captured:
    """Return `captured` with what is learnt from running it: that its slots hold what readers read, and the batch.

    Each slot hands on a copy and spoils the tensor itself, so that whatever still reads that shows in the output.

    Raises
    ------
    ValueError
        The output is not the model's.
    """
    once, output = _stored(captured, cloned(example), spoil=True)
    if not same_outputs(output, expected):
        raise ValueError("it computes something else than the model, which depends on more than its inputs")
    notes, problems = [*failed, *captured.notes], {name: problem for name, (_, problem) in once.items()}
    try:
        twice, _ = _stored(captured, doubled(example), spoil=False)
    except Exception as error:  # the network's own
        notes.append(f"the network does not run on other batch sizes than the example's: {first_line(error)}")
    else:
        for name, (shape, _) in once.items():
            other = twice[name][0] if name in twice else ()
            if (2 * shape[0], *shape[1:]) != other:
                problems[name] = "its first dimension is not the batch"
    taps = tuple(replace(tap, problem=tap.problem or problems.get(tap.name, "")) for tap in captured.taps)
    notes += [f"tap {tap.name!r} is left out: {tap.problem}" for tap in taps if tap.problem]
    notes += _unlike_the_networks_own(taps)
    return replace(captured, taps=taps, notes=tuple(notes))


def _unlike_the_networks_own(taps: Sequence[Tap]) -> list[str]:
    """Say which maps a quantized network has in floating point: storing them in 8 bits changes its output."""
    rounded = [tap.name for tap in taps if tap.quantizer is None and not tap.problem]
    if not rounded or all(tap.quantizer is None for tap in taps):
        return []
    share = f"{len(rounded)} of {len(taps)}"
    return [f"maps that the network itself has in floating point, {share}, are rounded to 8 bits: {', '.join(rounded)}"]


def _stored(captured: Captured, inputs: Inputs, spoil: bool) -> tuple[dict[str, tuple[tuple[int, ...], str]], Any]:
    """Run a network and return the shape that each slot held, with why it cannot be stored or "", and the output."""
    hooked = list(captured.module.slots) if isinstance(captured.module, HookedModel) else []  # read elsewhere too
    seen: dict[str, tuple[tuple[int, ...], str]] = {}

    def record(name: str, spoil: bool, x: Tensor) -> Tensor:
        seen[name] = tuple(x.shape), "" if x.is_floating_point() else f"it holds {str(x.dtype).removeprefix('torch.')}"
        copy = x.clone()
        if spoil and x.is_floating_point() and is_dense(x):
            x.fill_(torch.nan)
        return copy

    for slot in captured.slots:
        slot.action = partial(record, slot.name, spoil and slot not in hooked)
    try:
        output = call(captured.module, inputs)
    finally:
        for slot in captured.slots:
            slot.action = None
    return seen, output


def first_line(error: Exception) -> str:
    """What an error says, cut to one line of a note."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}"[:300]
