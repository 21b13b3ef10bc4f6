"""PyTorch operators that store feature maps: `torch.compile` and `torch.export` keep them whole.

Each takes a tap as text: ``HASH/INDEX``, the first 16 hexadecimal digits of the plan's hash and the tap's place in the
plan (`tap_handle`). `register_plan` makes the taps of a plan known to the process; a `CompressedModel` does it for
itself, and adds ``#ACCOUNT`` so that what its taps store is counted in its own report.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import Protocol
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from fmapzip.errors import PlanMismatch
from fmapzip.geometry import frame_bound
from fmapzip.plan import Plan
from fmapzip.torch.chunks import chunks, dense, replaced
from fmapzip.torch.tap_coder import TapCoder


class Store(Protocol):
    """Stores batches of a tap and counts what that takes."""

    def store(self, x: Tensor) -> Tensor:
        """Return a new tensor of the values that are read back."""


_plans: dict[str, Plan] = {}
_stores: WeakValueDictionary[str, Store] = WeakValueDictionary()


def register_plan(plan: Plan) -> None:
    """Make a plan's taps known to the operators, for programs that `torch.export` made of a compressed model.

    Examples
    --------
    >>> import torch, fmapzip
    >>> from fmapzip.registry import make
    >>> tap = fmapzip.TapPlan("conv2", (8, 4, 4), fmapzip.QuantParams("uint8", (0.5,)), make("zvc"))
    >>> plan = fmapzip.Plan((tap,))
    >>> register_plan(plan)
    >>> x = torch.ones(2, 8, 4, 4)
    >>> bool((torch.ops.fmapzip.store(x, tap_handle(plan, "conv2"), 1) == x).all())
    True
    """
    _plans[plan.hash8.hex()] = plan
    _coder.cache_clear()


def tap_handle(plan: Plan, tap: str) -> str:
    """Return what the operators name a tap of a plan by."""
    return f"{plan.hash8.hex()}/{plan.index(tap)}"


def register_store(store: Store, handle: str) -> str:
    """Return a handle of the tap `handle` by which the operators find `store`, for as long as that lives."""
    own = f"{handle}#{secrets.token_hex(8)}"
    _stores[own] = store
    return own


def _tap(handle: str) -> tuple[Plan, int]:
    name, _, place = handle.partition("#")[0].partition("/")
    plan = _plans.get(name)
    if plan is None:
        raise PlanMismatch(f"plan {name} is not known; fmapzip.torch.register_plan(plan) makes it so")
    return plan, int(place)


@cache
def _coder(handle: str, axis: int) -> TapCoder:
    plan, index = _tap(handle)
    return TapCoder(plan, index, axis)


@torch.library.custom_op("fmapzip::store", mutates_args=())
def store(x: Tensor, tap: str, axis: int) -> Tensor:
    """Quantize, encode, decode and dequantize a batch; gradients pass straight through.

    Parameters
    ----------
    x : Tensor
        A floating-point batch of the tap; its channels are axis `axis`.
    tap : str
    axis : int

    Returns
    -------
    Tensor
        Like `x`, with the values that are read back.
    """
    counting = _stores.get(tap)
    if counting is not None:
        return counting.store(x)
    coder = _coder(tap, axis)
    coder.check(x)

    def work(values: Tensor, out: Tensor) -> None:
        coder.store(values, out)

    return replaced(x, work)


@store.register_fake
def _(x: Tensor, tap: str, axis: int) -> Tensor:
    return torch.empty_like(x)


def _backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None, None]:
    return gradient, None, None


store.register_autograd(_backward)


@torch.library.custom_op("fmapzip::encode", mutates_args=())
def encode(x: Tensor, tap: str, axis: int) -> tuple[Tensor, Tensor]:
    """Quantize and encode a batch.

    Returns
    -------
    frames : Tensor
        uint8 [N, `frame_bound` of the tap]: each row begins with the sample's frame; zeros follow.
    lengths : Tensor
        int64 [N], of the frames.
    """
    coder = _coder(tap, axis)
    coder.check(x)
    frames = torch.zeros(x.shape[0], frame_bound(coder.shape), dtype=torch.uint8)
    lengths = torch.zeros(x.shape[0], dtype=torch.int64)
    for part in chunks(x):
        for index, (q, row) in enumerate(
            zip(coder.integers(dense(x[part])), frames[part].numpy(), strict=True), part.start
        ):
            lengths[index] = coder.bound.encode_into(q, row)
    return frames.to(x.device), lengths.to(x.device)


@encode.register_fake
def _(x: Tensor, tap: str, axis: int) -> tuple[Tensor, Tensor]:
    plan, index = _tap(tap)
    count = x.shape[0]
    return (
        x.new_empty((count, frame_bound(plan[index].shape)), dtype=torch.uint8),
        x.new_empty((count,), dtype=torch.int64),
    )


@torch.library.custom_op("fmapzip::decode", mutates_args=())
def decode(frames: Tensor, lengths: Tensor, tap: str, axis: int) -> Tensor:
    """Decode and dequantize what `encode` gave: float32 [N, ...], channels at `axis`."""
    coder = _coder(tap, axis)
    rows = frames.to("cpu").contiguous().numpy()
    sizes = lengths.tolist()
    return coder.decode([row[:size] for row, size in zip(rows, sizes, strict=True)]).to(frames.device)


@decode.register_fake
def _(frames: Tensor, lengths: Tensor, tap: str, axis: int) -> Tensor:
    plan, index = _tap(tap)
    channels, *rest = plan[index].shape
    rest.insert(axis - 1, channels)
    return frames.new_empty((frames.shape[0], *rest), dtype=torch.float32)
