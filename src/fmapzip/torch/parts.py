"""The largest parts of a network that can be captured as graphs, where the whole cannot."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from fmapzip.torch import ops
from fmapzip.torch.capture_fx import trace
from fmapzip.torch.graph import is_leaf
from fmapzip.torch.inputs import Inputs, as_call, call, cloned, same_outputs
from fmapzip.torch.preserve import evaluation_mode

MakeGraph = Callable[[nn.Module, Inputs], tuple[fx.GraphModule, Any]]


@dataclass(frozen=True, eq=False)
class Part:
    """A module that is called once, and its graph, whose nodes carry shapes."""

    path: str
    graph: fx.GraphModule

    def run(self, inputs: Inputs) -> Any:
        """Run the graph."""
        return call(self.graph, inputs)


def find_parts(model: nn.Module, example: Inputs, captures: Sequence[MakeGraph]) -> list[Part]:
    """Return the outermost submodules of `model` that one of `captures` writes down as a graph.

    Only modules that run once, and all of whose layers run nowhere else, are parts, and only such as write into none
    of their inputs. What fails is not tried on another module of the same structure.
    """
    if not captures:
        return []
    once = _called_once(model, example)
    parts: list[Part] = []
    failed: set[tuple[type, ...]] = set()
    paths = _within(model, "")
    while paths:
        inputs = _inputs_of(model, example, [path for path in paths if id(model.get_submodule(path)) in once])
        below: list[str] = []
        for path in paths:
            module = model.get_submodule(path)
            structure = tuple(type(child) for child in module.modules())
            if path in inputs and structure not in failed:
                graph = _graph_of(module, inputs[path], captures)
                if graph is not None:
                    parts.append(Part(path, graph))
                    continue
                failed.add(structure)
            below += _within(module, path)
        paths = below
    return parts


@contextmanager
def standing_in(model: nn.Module, forwards: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Let the modules at some paths run functions instead of what they are."""
    kept: list[tuple[nn.Module, dict[str, Any]]] = []
    for path, forward in forwards.items():
        attributes = vars(model.get_submodule(path))
        kept.append((model.get_submodule(path), {key: attributes[key] for key in ("forward",) if key in attributes}))
        attributes["forward"] = forward
    try:
        yield
    finally:
        for module, own in kept:
            del vars(module)["forward"]
            vars(module).update(own)


def as_inputs(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Inputs:
    """Return the arguments of a call as inputs: by position, or by name where some are given by name."""
    return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments) if kwargs else args


def _within(module: nn.Module, path: str) -> list[str]:
    """Name the modules directly in `module` that may be parts: those that multiply by matrices."""
    return [
        f"{path}.{name}".removeprefix(".")
        for name, child in module.named_children()
        if not (ops.is_reader(child) or is_leaf(child) or isinstance(child, torch.jit.ScriptModule))
        and any(parameter.ndim > 1 for parameter in child.parameters())
    ]


def _called_once(model: nn.Module, example: Inputs) -> set[int]:
    """Return the ids of the modules that are called once and whose submodules are called by them alone."""
    around: list[int] = []
    calls: Counter[int] = Counter()
    inside: Counter[tuple[int, int]] = Counter()

    def enter(module: nn.Module, _args: Any) -> None:
        calls[id(module)] += 1
        inside.update((outer, id(module)) for outer in set(around))
        around.append(id(module))

    def leave(_module: nn.Module, _args: Any, _output: Any) -> None:
        around.pop()

    handles: list[RemovableHandle] = []
    modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    for module in modules:
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        call(model, cloned(example))
    finally:
        _remove(handles)
    return {
        id(module)
        for module in modules
        if calls[id(module)] == 1
        and not (module._forward_hooks or module._forward_pre_hooks)
        and all(inside[id(module), id(child)] == calls[id(child)] for child in module.modules() if child is not module)
    }


def _inputs_of(model: nn.Module, example: Inputs, paths: Iterable[str]) -> dict[str, Inputs]:
    """Run `model` and return copies of what the modules at `paths` get, where that is tensors and plain values."""
    found: dict[str, Inputs] = {}

    def record(path: str) -> Callable[..., None]:
        def hooked(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            inputs = as_inputs(module, args, kwargs)
            plain = Tensor | int | float | str | None
            if all(isinstance(leaf, plain) for leaf in pytree.tree_leaves(as_call(inputs))):
                found[path] = cloned(inputs)

        return hooked

    handles = [model.get_submodule(path).register_forward_pre_hook(record(path), with_kwargs=True) for path in paths]
    try:
        if handles:
            call(model, cloned(example))
    finally:
        _remove(handles)
    return found


def _graph_of(module: nn.Module, inputs: Inputs, captures: Sequence[MakeGraph]) -> fx.GraphModule | None:
    """Return a graph of `module` that computes the same, or None."""
    given = cloned(inputs)
    versions = [tensor._version for tensor in _tensors(given)]
    expected = call(module, given)
    if [tensor._version for tensor in _tensors(given)] != versions:
        return None  # the modules around it may go on with what it wrote
    args, kwargs = as_call(inputs)
    nested = any(isinstance(value, list | tuple | dict) for value in (*args, *kwargs.values()))
    for make in captures:
        if nested and make is trace:
            continue  # torch.fx takes a list of tensors for one thing
        try:
            with evaluation_mode(module):
                graph, output = make(module, cloned(inputs))
        except Exception:  # a capture may fail in any way that the module's code can
            continue
        if same_outputs(output, expected):
            return graph
    return None


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def _remove(handles: Iterable[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
