"""Capture by module hooks, for networks that cannot be written down as a graph.

Hooks see what goes into layers and nothing else: not functional convolutions, and not the sums and concatenations that
read a feature map too (a residual shortcut), which therefore go on with the original values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fmapzip.errors import CaptureError
from fmapzip.torch import ops
from fmapzip.torch.graph import CallSites, is_leaf
from fmapzip.torch.inputs import Inputs, as_call, call, map_tensors
from fmapzip.torch.slot import TapSlot

_Key = tuple[int, int, tuple[int, ...]]


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
        handed_on: dict[int, tuple[_Key, Tensor]] = {}
        seen = _InputFamily(self.model, (args, kwargs))

        def read(name: str, x: Tensor) -> Tensor:
            place = self._place.get(name)
            if place is None:
                if seen.holds(x):
                    return x
                raise CaptureError(f"{name} was called, but not on the example that the network was captured with")
            known = handed_on.get(place)
            if known is None or known[0] != _key(x):
                stored = x.reshape(x.shape[0], *self._sites[place].shape[1:])
                handed_on[place] = known = (_key(x), self.slots[place](stored).reshape(x.shape))
            return known[1]

        with _watching(self.model, read), seen.tracking():
            return self.model(*args, **kwargs)


def hook(model: nn.Module, example: Inputs) -> tuple[HookedModel, list[HookSite], Any]:
    """Run `model` on `example` to learn which tensors its layers read; return it hooked, the sites and the output."""
    tensors: list[Tensor] = []  # kept alive, so that no two share an address
    sites: dict[_Key, HookSite] = {}
    seen = _InputFamily(model, as_call(example))

    def read(name: str, x: Tensor) -> Tensor:
        stored = _stored(x)
        tensors.append(stored)
        if not seen.holds(x):
            key, last = _key(stored), x.ndim - 1 if name_is_linear[name.partition("#")[0]] else 1
            site = sites.get(key, HookSite(name, (), tuple(stored.shape), last if stored.ndim == x.ndim else 1))
            sites[key] = HookSite(site.name, (*site.readers, name), site.shape, site.axis)
        return x

    name_is_linear = {path: isinstance(module, nn.Linear) for path, module in _reading_layers(model)}
    with torch.no_grad(), _watching(model, read), seen.tracking():
        output = call(model, example)
    found = list(sites.values())
    return HookedModel(model, found), found, output


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


def _stored(x: Tensor) -> Tensor:
    """Return the tensor that `x` is a reshaped view of, or `x`."""
    base = x._base
    if base is None or base.numel() != x.numel() or not 2 <= base.ndim <= 4 or base.shape[0] != x.shape[0]:
        return x
    return base if base.is_contiguous() and x.is_contiguous() else x


def _key(x: Tensor) -> _Key:
    version = 0 if x.is_inference() else x._version
    return x.data_ptr(), version, tuple(x.shape)
