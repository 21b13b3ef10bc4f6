"""Capture by module hooks, for networks that cannot be written down as a graph.

Hooks see what goes into layers and nothing else: not functional convolutions, and not the sums and concatenations that
read a feature map too (a residual shortcut), which therefore go on with the original values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from fmapzip.errors import CaptureError
from fmapzip.torch import ops
from fmapzip.torch.graph import CallSites, is_leaf, shape_in_slot
from fmapzip.torch.inputs import Inputs, as_call, call, map_tensors
from fmapzip.torch.slot import TapSlot


@dataclass(frozen=True)
class HookSite:
    """A tensor that layers read."""

    name: str
    readers: tuple[str, ...]
    shape: tuple[int, ...]  # as stored, batch first
    axis: int


class HookedModel(nn.Module):
    """Runs `model` with a slot before its convolutions and linear layers, one for each stored tensor.

    The hooks are on the model only while it runs here.
    """

    def __init__(self, model: nn.Module, sites: list[HookSite]) -> None:
        super().__init__()
        self.model = model
        self.slots = nn.ModuleList(TapSlot(site.name) for site in sites)
        self._sites = sites
        self._place = {reader: i for i, site in enumerate(sites) for reader in site.readers}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model."""
        handed_on: dict[int, tuple[_Memory, Tensor]] = {}
        seen = _InputFamily(self.model, (args, kwargs))

        def read(name: str, x: Tensor) -> Tensor:
            place = self._place.get(name)
            if place is None:
                if seen.holds(x):
                    return x
                raise CaptureError(f"{name} was called, but not on the example that the network was captured with")
            shape = self._sites[place].shape[1:]
            whole = _whole(x, shape)
            known = handed_on.get(place)
            if known is None or known[0] != _memory(whole):
                folded = shape_in_slot((whole.shape[0], *shape), self._sites[place].axis)[0]
                decoded = self.slots[place](whole.reshape(folded)).reshape(whole.shape)
                handed_on[place] = known = (_memory(whole), decoded)
            return _part_like(x, whole, known[1])

        with _watching(self.model, read), seen.tracking():
            return self.model(*args, **kwargs)


def hook(model: nn.Module, example: Inputs) -> tuple[HookedModel, list[HookSite], list[str]]:
    """Run `model` on `example` to learn which tensors its layers read.

    Return it hooked, the sites, and the call sites of functional layers, which hooks cannot see.
    """
    tensors: list[Tensor] = []  # kept alive, so that no two share an address
    sites: dict[_Memory, HookSite] = {}
    seen = _InputFamily(model, as_call(example))

    def read(name: str, x: Tensor) -> Tensor:
        stored = _stored(x)
        tensors.append(stored)
        if not seen.holds(x):
            last = x.ndim - 1 if name_is_linear[name.partition("#")[0]] else 1
            site = sites.get(_memory(stored), HookSite(name, (), tuple(stored.shape), _axis_of(stored, x, last)))
            sites[_memory(stored)] = replace(site, readers=(*site.readers, name))
        return x

    name_is_linear = {path: isinstance(module, nn.Linear) for path, module in _reading_layers(model)}
    functional = _FunctionalLayers(model)
    with torch.no_grad(), _watching(model, read), seen.tracking(), functional.tracking():
        call(model, example)
    found = list(sites.values())
    return HookedModel(model, found), found, functional.names


class _FunctionalLayers(TorchFunctionMode):
    """The call sites of convolutions and products that are no layers of their own."""

    _FUNCTIONS: ClassVar[frozenset[str]] = ops.READERS | ops.OTHER_PRODUCTS | set(ops.MATRIX_PRODUCTS)

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._constants = {id(tensor) for tensor in [*model.parameters(), *model.buffers()]}
        self._around: list[tuple[str, nn.Module]] = []  # the modules around what runs
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = str(getattr(func, "__name__", "")).strip("_")
        closed = any(is_leaf(module) for _, module in self._around)
        if op in self._FUNCTIONS and not closed and (op in ops.READERS or self._has_constant(args, kwargs)):
            path = self._around[-1][0] if self._around else ""
            name = f"{path}.{ops.reader_name(op)}".removeprefix(".")
            if name not in self.names:
                self.names.append(name)
        return func(*args, **(kwargs or {}))

    def _has_constant(self, args: Any, kwargs: Any) -> bool:
        return any(id(leaf) in self._constants for leaf in pytree.tree_leaves((args, kwargs)))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._around.pop()

    @contextmanager
    def tracking(self) -> Iterator[None]:
        handles: list[RemovableHandle] = []
        for path, module in self._model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):  # has no hooks
                continue
            around = (path, module)
            handles += [
                module.register_forward_pre_hook(lambda _module, _args, around=around: self._around.append(around)),
                module.register_forward_hook(self._leave),
            ]
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()


class _InputFamily:
    """The network's inputs, their views, and what batch norms make of them."""

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self._model = model
        self._tensors: list[Tensor] = []
        map_tensors(self._tensors.append, inputs)

    def holds(self, x: Tensor) -> bool:
        address = x.untyped_storage().data_ptr()
        return any(tensor.untyped_storage().data_ptr() == address for tensor in self._tensors)

    @contextmanager
    def tracking(self) -> Iterator[None]:
        def after_batch_norm(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor) and self.holds(args[0]):
                self._tensors.append(output)

        norms = [module for module in self._model.modules() if ops.module_op(module) == "batch_norm"]
        handles = [module.register_forward_hook(after_batch_norm) for module in norms]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def _watching(model: nn.Module, read: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """Call `read` with the call site and the input of every convolution and linear layer; it returns what they get."""
    sites = CallSites(model)

    def before(path: str) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        def hooked(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not args or not isinstance(args[0], Tensor):
                return None
            return (read(sites.name(path, ops.module_op(module)), args[0]), *args[1:])

        return hooked

    handles = [module.register_forward_pre_hook(before(path)) for path, module in _reading_layers(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reading_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    inside = ""  # path of the layer, taken as one, that named_modules is inside of
    for path, module in model.named_modules():
        if inside and path.startswith(inside):
            continue
        if isinstance(module, ops.READER_MODULES):
            yield path, module
        elif is_leaf(module):
            inside = f"{path}."


_Memory = tuple[int, int, int]


def _memory(x: Tensor) -> _Memory:
    """Tell the values that are in a tensor's memory now from those before a write, and from other tensors'."""
    version = 0 if x.is_inference() else x._version
    return x.data_ptr(), version, x.numel()


def _stored(x: Tensor) -> Tensor:
    """Return the tensor that `x` is a view or a part of, or `x`."""
    base = x._base
    if base is None or base.ndim < 2 or not base.is_contiguous() or base.storage_offset():
        return x
    fills_memory = base.nbytes == base.untyped_storage().nbytes()
    return base if fills_memory and x.shape[0] % base.shape[0] == 0 else x


def _whole(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the tensor of samples of `shape` that `x` is a view of, as `_stored` found on the example."""
    if x.shape[1:] == shape:
        return x
    samples = x.untyped_storage().nbytes() // x.element_size() // prod(shape)
    strides = [prod(shape[i:]) for i in range(len(shape) + 1)]
    return x.as_strided((samples, *shape), strides, 0)


def _part_like(x: Tensor, whole: Tensor, decoded: Tensor) -> Tensor:
    """Return of `decoded`, which replaces `whole`, the view that `x` is of `whole`."""
    if x.shape == whole.shape and x.stride() == whole.stride():
        return decoded
    return decoded.contiguous().as_strided(x.shape, x.stride(), x.storage_offset())


def _axis_of(stored: Tensor, x: Tensor, axis: int) -> int:
    """Return which axis of `stored` is the channel axis `axis` of `x`, a view of it."""
    if stored is x:
        return axis
    steps = [i for i in range(1, stored.ndim) if stored.stride(i) == x.stride(axis)]
    return next((i for i in steps if stored.shape[i] == x.shape[axis]), steps[0] if x.ndim > 2 and steps else 1)
