"""What the feature maps of a network are, found by watching it run: a second opinion that knows no graph.

Written from decision 3. A network runs eagerly; every operation below autograd is seen, and for each piece of memory is
known what was last written into it. A layer reads a map that is stored: the memory it reads as it was last written,
looking through operations that only move values. `replaced` runs the network with other values in the memory of
chosen maps, written there at the moment at which they are made, which is what storing them does.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

CONSTANT, INPUT, VALUE = range(3)

MOVES = {
    "_reshape_copy", "_to_copy", "channel_shuffle", "clone", "constant_pad_nd", "flip", "native_channel_shuffle",
    "pixel_shuffle", "pixel_unshuffle", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d",
}  # fmt: skip
AFFINE = {
    "add", "sub", "rsub", "neg", "mul", "div", "cat", "stack", "native_batch_norm", "copy", "fill",
    "_native_batch_norm_legit_no_training", "_native_batch_norm_legit",
}  # fmt: skip
MAKERS = ("empty", "full", "ones", "zeros", "rand")
CONVOLUTIONS = {
    *(f"conv{n}d" for n in (1, 2, 3)),
    *(f"conv_transpose{n}d" for n in (1, 2, 3)),
    "convolution",
}
PRODUCTS = {"matmul": 0, "linalg_matmul": 0, "rmatmul": 0, "mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}
LOW_LEVEL_PRODUCTS = {
    "mm", "mv", "bmm", "addmm", "addmv", "baddbmm", "convolution", "linear", "_trilinear", "mkldnn_rnn_layer"
}  # fmt: skip
LAYERS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Linear,
)


@dataclass(eq=False)
class Written:
    """What a piece of memory holds since its last write."""

    number: int  # how manieth
    kind: int
    extent: int  # values from the beginning of the memory; there may be more that nothing reads
    readers: list[str] = field(default_factory=list)
    facts: tuple[float, ...] = ()  # of the values, once something has read or moved them

    def note(self, tensor):
        """Remember what the memory of `tensor`, which holds it, holds."""
        with _disable_current_modes():
            self.facts = self.facts or facts(self.memory(tensor))

    def memory(self, tensor):
        """All of what is held, which `tensor` is a view of."""
        return torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage(), 0, (self.extent,))

    def holds(self, x):
        """Whether the values of `x`, in any order, are these."""
        ours = facts(x)
        scale = max(self.facts[1:], default=1.0)
        return ours[0] == self.facts[0] and all(
            abs(a - b) <= 1e-4 * scale + 1e-6 for a, b in zip(ours[1:], self.facts[1:], strict=True)
        )


def facts(x):
    """What does not depend on the order of values: their number, extent, and mean and mean square."""
    x = x.detach().double()
    return (
        x.numel(),
        x.abs().mean().item(),
        x.square().mean().sqrt().item(),
        x.amax().abs().item(),
        x.amin().abs().item(),
    )


def watch(model, inputs):
    """Run `model`; return the maps that layers read, in the order of their first readers, and the watcher."""
    watcher = _Watcher(model)
    watcher.run(inputs)
    return [written for written in watcher.order if written.kind == VALUE], watcher


def replaced(model, inputs, maps, change):
    """Run `model` with the values of `maps` changed in memory when they are made; return its output."""
    watcher = _Watcher(model, {written.number for written in maps}, change)
    return watcher.run(inputs)


class _Watcher:
    def __init__(self, model, chosen=frozenset(), change=None):
        self.model, self.chosen, self.change = model, chosen, change
        self.written: dict[int, Written] = {}  # by address of the memory, told anew whenever memory is taken
        self.count = 0
        self.order: list[Written] = []  # that layers read
        self.calls: dict[str, int] = {}
        self.products: set[str] = set()  # paths of modules in which something is multiplied by a parameter
        self.accounted: set[str] = set()
        self.stack: list[tuple[str, nn.Module]] = [("", model)]
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.parameters = {p.untyped_storage().data_ptr(): p.ndim for p in model.parameters()}

    def run(self, inputs):
        args = inputs if isinstance(inputs, tuple) else ()
        kwargs = inputs if isinstance(inputs, dict) else {}
        if isinstance(inputs, torch.Tensor):
            args = (inputs,)
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, torch.Tensor):
                self.write(leaf, INPUT, False)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for handle in (register_module_forward_pre_hook(self.enter), register_module_forward_hook(self.leave)):
                stack.callback(handle.remove)
            stack.enter_context(_Low(self))
            stack.enter_context(_High(self))
            return self.model(*args, **kwargs)

    def enter(self, module, args):
        self.stack.append((self.paths.get(id(module), self.stack[-1][0]), module))

    def leave(self, module, args, output):
        self.stack.pop()

    # memory

    def kind(self, tensor):
        known = self.written.get(tensor.untyped_storage().data_ptr())
        return known.kind if known else CONSTANT

    def write(self, tensor, kind, is_fresh):
        self.count += 1
        extent = tensor.untyped_storage().nbytes() // tensor.element_size()
        before = self.written.get(tensor.untyped_storage().data_ptr())
        if is_fresh:
            extent = tensor.numel() if tensor.is_contiguous() else extent
        elif before:
            extent = before.extent
        written = self.written[tensor.untyped_storage().data_ptr()] = Written(self.count, kind, extent)
        if self.count in self.chosen:
            memory = written.memory(tensor)
            memory.copy_(self.change(memory))

    def move(self, source, result):
        known = self.written.get(source.untyped_storage().data_ptr())
        if known:
            known.note(source)
            self.written[result.untyped_storage().data_ptr()] = known
        else:
            self.forget(result)

    def forget(self, tensor):
        self.written.pop(tensor.untyped_storage().data_ptr(), None)

    # layers

    def read(self, op, tensor):
        path, module = self.stack[-1]
        around = [entry for entry in self.stack if type(entry[1]).__module__.startswith("torch.nn.modules")]
        around = [e for e in around if not isinstance(e[1], nn.Sequential | nn.ModuleList | nn.ModuleDict)]
        if around and not isinstance(around[0][1], LAYERS):
            return  # inside a layer that is taken as one
        site = path if isinstance(module, LAYERS) else f"{path}.{op}".removeprefix(".")
        self.calls[site] = self.calls.get(site, 0) + 1
        if self.calls[site] > 1:
            site += f"#{self.calls[site]}"
        self.accounted.add(path)
        known = self.written.get(tensor.untyped_storage().data_ptr())
        if known is None:
            return
        if not known.readers:
            self.order.append(known)
            known.note(tensor)
        known.readers.append(site)


class _High(TorchFunctionMode):
    """Sees the layers."""

    def __init__(self, watcher):
        super().__init__()
        self.watcher = watcher

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op = getattr(func, "__name__", "").strip("_")
        if op in CONVOLUTIONS or op == "linear":
            self.watcher.read(op, args[0] if args else kwargs["input"])
        elif op in PRODUCTS:
            first, second = [*args, *kwargs.values()][PRODUCTS[op] : PRODUCTS[op] + 2]
            kinds = [self.watcher.kind(factor) for factor in (first, second)]
            if CONSTANT in kinds and min(first.ndim, second.ndim) > 1 and max(kinds) != CONSTANT:
                self.watcher.read("matmul", first if kinds[1] == CONSTANT else second)
        result = func(*args, **kwargs)
        if op == "pad":
            self.watcher.move(args[0], result)
        return result


class _Low(TorchDispatchMode):
    """Sees what is written where."""

    def __init__(self, watcher):
        super().__init__()
        self.watcher = watcher

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, watcher = kwargs or {}, self.watcher
        op = func._schema.name.rpartition("::")[2]
        op = op if op.startswith("_") else op.removesuffix("_")
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if op in LOW_LEVEL_PRODUCTS:
            for factor in read:
                if watcher.parameters.get(factor.untyped_storage().data_ptr(), 0) > 1:
                    watcher.products.add(watcher.stack[-1][0])
        known = {tensor.untyped_storage().data_ptr() for tensor in read}
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        written = [
            given[argument.name]
            for argument in func._schema.arguments
            if argument.alias_info
            and argument.alias_info.is_write
            and isinstance(given.get(argument.name), torch.Tensor)
        ]
        kind = self.result_kind(op, read)
        result = func(*args, **kwargs)
        for tensor in written:
            if op not in ("set", "resize"):
                watcher.write(tensor, kind, False)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in known:
                if op in MOVES:
                    watcher.move(read[0], tensor)
                elif kind != CONSTANT:
                    watcher.write(tensor, kind, True)
                else:
                    watcher.forget(tensor)
        return result

    def result_kind(self, op, read):
        kinds = [self.watcher.kind(tensor) for tensor in read]
        if not kinds or max(kinds) == CONSTANT or any(maker in op for maker in MAKERS):
            return CONSTANT
        if VALUE in kinds or op not in AFFINE:
            return VALUE
        product = op in ("mul", "div") and kinds.count(INPUT) > 1
        return VALUE if product or (op == "div" and len(kinds) > 1 and kinds[1] == INPUT) else INPUT


def change(x):
    """A smooth change of each value by itself, unlike the identity, and unlike itself when done twice."""
    return x + 0.2 * torch.sin(3 * x) + 0.01 if x.is_floating_point() else x


def check(captured, model, inputs, everywhere=None):
    """Assert that a captured network stores what layers of `model` read, and reads what was stored; return the maps.

    `everywhere` says that whatever reads a map reads what was stored, so that the output is compared; hooks alone let
    only layers do so.
    """
    everywhere = captured.method != "hooks" if everywhere is None else everywhere
    run(model, inputs)  # networks may fill caches on their first run
    maps, watcher = watch(model, copied(inputs))
    assert [(tap.name, tap.readers) for tap in captured.taps] == [
        (written.readers[0], tuple(written.readers)) for written in maps
    ]
    if everywhere:
        missed = watcher.products - watcher.accounted - named_unseen(captured)
        missed = {path for path in missed if not path.startswith(tuple(f"{layer}." for layer in closed(captured)))}
        assert not missed, f"something in {missed} is multiplied by a parameter, and neither stored nor named"
    stored = {}
    with acting(captured, lambda name, x: stored.setdefault(name, x.clone())):
        torch.testing.assert_close(run(captured.module, inputs), run(model, inputs), rtol=1e-3, atol=1e-5)
    wrong = [written.readers[0] for written in maps if not written.holds(stored[written.readers[0]])]
    assert not wrong, f"stored is not what is read by {wrong}"
    if everywhere:
        with acting(captured, lambda _, x: change(x)):
            got = run(captured.module, inputs)
        torch.testing.assert_close(got, replaced(model, copied(inputs), maps, change), rtol=1e-3, atol=1e-4)
    return maps


def named_unseen(captured):
    """The modules whose reads the notes say are not stored."""
    return closed(captured) | {name.rpartition(".")[0] for name in _named(captured) if " (" not in name}


def closed(captured):
    """The layers that are taken as one, as the notes name them."""
    return {name.partition(" (")[0] for name in _named(captured) if " (" in name}


def _named(captured):
    start = "what these read is not stored: "
    return [name for note in captured.notes if note.startswith(start) for name in note.removeprefix(start).split(", ")]


@contextmanager
def acting(captured, action):
    """Let the slots of a captured network do `action(name, x)`."""
    for slot in captured.slots:
        slot.action = partial(action, slot.name)
    try:
        yield
    finally:
        for slot in captured.slots:
            slot.action = None


def run(module, inputs):
    args = inputs if isinstance(inputs, tuple) else () if isinstance(inputs, dict) else (inputs,)
    with torch.no_grad():
        return module(*copied(args), **(copied(inputs) if isinstance(inputs, dict) else {}))


def copied(inputs):
    return tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, inputs)
