"""Capture by module hooks, for networks that cannot be written down as a graph.

Hooks see what goes into layers and nothing else: not functional convolutions, and not the sums and concatenations that
read a feature map too (a residual shortcut), which therefore go on with the original values. Parts of the network that
can be written down run as graphs, in which all of that is seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from fmapzip.errors import CaptureError
from fmapzip.torch import ops
from fmapzip.torch.graph import (
    CallSites,
    Kind,
    Read,
    Site,
    classify,
    find_reads,
    insert_slots,
    is_leaf,
    shape_in_slot,
    views_of,
    with_reader,
)
from fmapzip.torch.inputs import Inputs, as_call, call, map_tensors
from fmapzip.torch.interpret import shape_of
from fmapzip.torch.parts import MakeGraph, Part, as_inputs, find_parts, standing_in
from fmapzip.torch.slot import TapSlot


@dataclass
class HookSite:
    """A tensor that layers read."""

    shape: tuple[int, ...]  # as stored, batch first
    axis: int
    readers: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of its first reader."""
        return self.readers[0]


class HookedModel(nn.Module):
    """Runs `model` with a slot before its convolutions and linear layers, one for each stored tensor.

    Parts run as graphs, with slots of their own; what they are given is stored where they begin. The hooks are on the
    model only while it runs here.
    """

    def __init__(self, model: nn.Module, found: _Finder) -> None:
        super().__init__()
        self.model = model
        self.slots = nn.ModuleList(TapSlot(site.name) for site in found.outside)
        self.parts = nn.ModuleList(part.graph for part in found.parts)
        self._sites = found.outside
        self._place = {reader: i for i, site in enumerate(found.outside) for reader in site.readers}
        self._inside = found.inside
        self._paths = [part.path for part in found.parts]
        self._given = [found.given[part] for part in found.parts]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model."""
        handed_on: dict[int, tuple[_Memory, Tensor]] = {}
        seen = _InputFamily(self.model, (args, kwargs))

        def read(name: str, x: Tensor) -> Tensor:
            place = self._place.get(name)
            if place is None:
                if name in self._inside or seen.holds(x):
                    return x
                raise CaptureError(f"{name} was called, but not on the example that the network was captured with")
            shape = self._sites[place].shape[1:]
            known = handed_on.get(place)
            if known is not None and _address(known[1]) == _address(x):
                return x  # a part handed on what it was given
            whole = _whole(x, shape)
            if known is None or known[0] != _memory(whole):
                folded = shape_in_slot((whole.shape[0], *shape), self._sites[place].axis)[0]
                decoded = self.slots[place](whole.reshape(folded)).reshape(whole.shape)
                handed_on[place] = known = (_memory(whole), decoded)
            return _part_like(x, whole, known[1])

        forwards = {path: self._part(i, read) for i, path in enumerate(self._paths)}
        with _watching(self.model, read, self._paths), standing_in(self.model, forwards), seen.tracking():
            return self.model(*args, **kwargs)

    def _part(self, index: int, read: Callable[[str, Tensor], Tensor]) -> Callable[..., Any]:
        """Return what runs a part, once, reading what is stored of what it is given."""
        module = self.model.get_submodule(self._paths[index])
        original, calls = module.forward, 0

        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            leaves, form = pytree.tree_flatten(as_inputs(module, args, kwargs))
            if any(isinstance(leaf, Tensor) and not leaf.numel() for leaf in leaves):
                return original(*args, **kwargs)  # nothing to store, and graphs are of one sample at least
            calls += 1
            if calls > 1:
                raise CaptureError(f"{self._paths[index]} was called again, unlike on the example of the capture")
            for place, reader in self._given[index].items():
                leaves[place] = read(reader, leaves[place])
            return call(self.parts[index], pytree.tree_unflatten(leaves, form))

        return run


class Hooked(NamedTuple):
    """A network captured by hooks."""

    module: HookedModel
    sites: list[HookSite]
    slots: list[TapSlot]  # one a site
    parts: list[str]  # paths of the modules that run as graphs
    unseen: list[str]  # call sites of functional layers, which hooks cannot see


def hook(model: nn.Module, example: Inputs, captures: Sequence[MakeGraph] = ()) -> Hooked:
    """Run `model` on `example` to learn which tensors its layers read.

    What can be written down by one of `captures` of a submodule is made a part that runs as a graph.
    """
    found = _Finder(model, example, find_parts(model, example, captures))
    found.run(example)
    module = HookedModel(model, found)
    slots = {id(site): slot for site, slot in zip(found.outside, module.slots, strict=True)}
    for part, sites in found.stored.items():
        names = [Site(site.node, found.site_of[part, origin].name, (), site.axis) for origin, site in sites.items()]
        made = insert_slots(part.graph, names)
        slots |= {id(found.site_of[part, origin]): slot for origin, slot in zip(sites, made, strict=True)}
    ordered = [slots[id(site)] for site in found.order]
    return Hooked(module, found.order, ordered, [part.path for part in found.parts], found.unseen)  # type: ignore[arg-type]


class _Made(NamedTuple):
    """A tensor that a part returned."""

    part: Part
    node: fx.Node
    tensor: Tensor
    version: int


class _Finder:
    """Runs a network with its parts as graphs and finds which tensors layers read, in the order of first readers."""

    def __init__(self, model: nn.Module, example: Inputs, parts: list[Part]) -> None:
        self._model, self.parts = model, parts
        self._call_sites = CallSites(model)
        self._seen = _InputFamily(model, as_call(example))
        self._constants = {_address(tensor) for tensor in [*model.parameters(), *model.buffers()]}
        self._kept: list[Tensor] = []  # alive, so that no two share an address
        self._hooked: dict[_Memory, HookSite] = {}
        self._made: defaultdict[int, list[_Made]] = defaultdict(list)  # by address
        self._kinds: dict[Part, dict[fx.Node, Kind]] = {}
        self._values: dict[fx.Node, Tensor] = {}  # that placeholders of parts were given
        self.order: list[HookSite] = []
        self.outside: list[HookSite] = []  # those that no part makes
        self.stored: dict[Part, dict[fx.Node, Site]] = {part: {} for part in parts}  # in parts, by origin
        self.site_of: dict[tuple[Part, fx.Node], HookSite] = {}
        self.given: dict[Part, dict[int, str]] = {part: {} for part in parts}  # place of an input, and its first reader
        self.inside: set[str] = set()  # readers whose maps parts store, or that read no map
        self.unseen: list[str] = []

    def run(self, example: Inputs) -> None:
        paths = [part.path for part in self.parts]
        forwards = {part.path: self._runner(part) for part in self.parts}
        functional = _FunctionalLayers(self._model, paths)
        linear = {path for path, module in _reading_layers(self._model, paths) if isinstance(module, nn.Linear)}

        def read(name: str, x: Tensor) -> Tensor:
            self._read(name, x, x.ndim - 1 if name.partition("#")[0] in linear else 1)
            return x

        with (
            torch.no_grad(),
            _watching(self._model, read, paths, self._call_sites),
            standing_in(self._model, forwards),
            self._seen.tracking(),
            functional.tracking(),
        ):
            call(self._model, example)
        self.unseen += functional.names

    def _read(self, name: str, x: Tensor, axis: int) -> None:
        """Note that a layer reads `x`."""
        made = self._maker(x)
        if made is not None:
            self._read_from_part(name, made, _axis_of(made.tensor, x, axis))
            return
        stored = _stored(x)
        self._kept.append(stored)
        if self._seen.holds(x):
            return
        site = self._hooked.get(_memory(stored))
        if site is None:
            site = self._hooked[_memory(stored)] = HookSite(tuple(stored.shape), _axis_of(stored, x, axis))
            self.order.append(site)
            self.outside.append(site)
        site.readers.append(name)

    def _read_from_part(self, name: str, made: _Made, axis: int) -> None:
        """Note that a layer reads what a part returned."""
        part, node = made.part, made.node
        if self._kinds[part][node] is not Kind.VALUE:
            self.inside.add(name)
            return
        self._follow(part, Read(name, views_of(node, axis, self._call_sites.within(part.path))))

    def _follow(self, part: Part, read: Read) -> None:
        """Note a read of what `part` made, or was given."""
        origin = read.chain[-1]
        if origin.node.op == "placeholder":
            self._read(read.reader, self._values[origin.node], origin.axis or 1)
            return
        self.inside.add(read.reader)
        stored = self.stored[part]
        is_new = origin.node not in stored
        stored[origin.node] = with_reader(stored.get(origin.node), read)
        if is_new:
            node = stored[origin.node].node
            site = self.site_of[part, origin.node] = HookSite(shape_of(node) or (), stored[origin.node].axis)
            self.order.append(site)
        self.site_of[part, origin.node].readers.append(read.reader)

    def _runner(self, part: Part) -> Callable[..., Any]:
        module = self._model.get_submodule(part.path)

        def run(*args: Any, **kwargs: Any) -> Any:
            return self._run_part(part, as_inputs(module, args, kwargs))

        return run

    def _run_part(self, part: Part, inputs: Inputs) -> Any:
        places = self._note_inputs(part, inputs)
        kinds = self._kinds[part] = classify(
            part.graph.graph, {node: self._kind(value) for node, value in self._values.items() if node in places}
        )
        reads, unseen = find_reads(part.graph.graph, self._call_sites.within(part.path), kinds)
        self.unseen += unseen
        for read in reads:
            self._follow(part, read)
            place = places.get(read.chain[-1].node)
            if place is not None:
                self.given[part].setdefault(place, read.reader)
        output = part.run(inputs)
        nodes = pytree.tree_leaves(next(node for node in part.graph.graph.nodes if node.op == "output").args[0])
        for node, tensor in zip(nodes, pytree.tree_leaves(output), strict=True):
            if not isinstance(tensor, Tensor) or not isinstance(node, fx.Node):
                continue
            self._kept.append(tensor)
            if kinds[node] is Kind.INPUT:
                self._seen.add(tensor)
            self._made[_address(tensor)].append(_Made(part, node, tensor, _version(tensor)))
        return output

    def _note_inputs(self, part: Part, inputs: Inputs) -> dict[fx.Node, int]:
        """Note what the placeholders of a part are given, and return their places among its inputs."""
        leaves = pytree.tree_leaves(inputs)
        placeholders = [node for node in part.graph.graph.nodes if node.op == "placeholder"]
        places = dict(zip(placeholders, range(len(leaves)), strict=True))
        for node, place in places.items():
            if isinstance(leaves[place], Tensor):
                self._kept.append(leaves[place])
                self._values[node] = leaves[place]
        return {node: place for node, place in places.items() if node in self._values}

    def _kind(self, x: Tensor) -> Kind:
        made = self._maker(x)
        if made is not None:
            return self._kinds[made.part][made.node]
        if _address(x) in self._constants:
            return Kind.CONSTANT
        return Kind.INPUT if self._seen.holds(x) else Kind.VALUE

    def _maker(self, x: Tensor) -> _Made | None:
        """Return which part's output `x` is, or is a view of."""
        made = [made for made in self._made.get(_address(x), []) if made.version == _version(x)]
        same = (made for made in made if made.tensor.shape == x.shape and made.tensor.data_ptr() == x.data_ptr())
        return next(same, made[0] if made else None)


class _FunctionalLayers(TorchFunctionMode):
    """The call sites of convolutions and products that are no layers of their own."""

    def __init__(self, model: nn.Module, parts: Collection[str]) -> None:
        super().__init__()
        self._model, self._parts = model, parts
        self._constants = [*model.parameters(), *model.buffers()]  # and what is computed of them alone
        self._marks = {_mark(tensor) for tensor in self._constants}
        self._around: list[tuple[str, nn.Module]] = []  # the modules around what runs
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        op = str(getattr(func, "__name__", "")).partition(".")[0].strip("_")
        closed = any(is_leaf(module) or path in self._parts for path, module in self._around)
        read = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        constant = [_mark(tensor) in self._marks for tensor in read]
        multiplies = op in ops.MATRIX_PRODUCTS or ops.is_other_product(op, func)
        by_matrix = any(is_constant and tensor.ndim > 1 for is_constant, tensor in zip(constant, read, strict=True))
        if not closed and (op in ops.READERS or (multiplies and by_matrix)) and not all(constant):
            path = self._around[-1][0] if self._around else ""
            name = f"{path}.{ops.reader_name(op)}".removeprefix(".")
            if name not in self.names:
                self.names.append(name)
        result = func(*args, **(kwargs or {}))
        if read and all(constant):
            self._keep(result)
        return result

    def _keep(self, result: Any) -> None:
        """Take for constant what was computed of constants."""
        for made in pytree.tree_leaves(result):
            if isinstance(made, Tensor) and _mark(made) not in self._marks:
                self._constants.append(made)  # alive, so that no other tensor gets its mark
                self._marks.add(_mark(made))

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

    def add(self, x: Tensor) -> None:
        """Take `x` for one of them."""
        self._tensors.append(x)

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is one of them, or a view of one."""
        return any(_address(tensor) == _address(x) for tensor in self._tensors)

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
def _watching(
    model: nn.Module, read: Callable[[str, Tensor], Tensor], parts: Collection[str], sites: CallSites | None = None
) -> Iterator[None]:
    """Call `read` with the call site and the input of every convolution and linear layer; it returns what they get.

    Layers inside of `parts` are left alone.
    """
    sites = sites or CallSites(model)

    def before(path: str) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
        def hooked(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            if not args or not isinstance(args[0], Tensor):
                return None
            return (read(sites.name(path, ops.module_op(module)), args[0]), *args[1:])

        return hooked

    handles = [module.register_forward_pre_hook(before(path)) for path, module in _reading_layers(model, parts)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reading_layers(model: nn.Module, parts: Collection[str]) -> Iterator[tuple[str, nn.Module]]:
    inside = ""  # path of the layer, taken as one, that named_modules is inside of
    in_parts = {id(module) for path in parts for module in model.get_submodule(path).modules()}
    for path, module in model.named_modules():
        if (inside and path.startswith(inside)) or id(module) in in_parts:
            continue
        if isinstance(module, ops.READER_MODULES):
            yield path, module
        elif is_leaf(module):
            inside = f"{path}."


_Memory = tuple[int, int, int]


def _memory(x: Tensor) -> _Memory:
    """Tell the values that are in a tensor's memory now from those before a write, and from other tensors'."""
    return x.data_ptr(), _version(x), x.numel()


def _version(x: Tensor) -> int:
    return 0 if x.is_inference() else x._version


def _address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _mark(x: Tensor) -> int:
    """Return what `x` and its views have in common; they have only themselves inside of `torch.vmap`."""
    try:
        return _address(x)
    except NotImplementedError:
        return id(x)


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
