"""Network inputs: a tensor, a tuple of positional arguments, or a dict of named ones, all batch first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from fmapzip.errors import InvalidInput, InvalidType, PlanMismatch
from fmapzip.plan import Plan

_MOST_VALUES = 1 << 28  # a plan may come from a stranger

Inputs = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any]


def as_call(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return `inputs` as positional and named arguments."""
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple | list):
        return tuple(inputs), {}
    raise InvalidType(f"network inputs must be a tensor, a tuple or a dict, not {type(inputs).__name__}")


def call(module: nn.Module, inputs: Inputs) -> Any:
    """Run `module` on `inputs`."""
    args, kwargs = as_call(inputs)
    return module(*args, **kwargs)


def batch_size(inputs: Inputs) -> int:
    """Return the number of samples: the common first dimension of the input tensors.

    Raises
    ------
    InvalidInput
        There is no tensor, a tensor without dimensions, no sample, or the first dimensions differ.
    """
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in _tensors(as_call(inputs))}
    if len(sizes) != 1 or 0 in sizes:
        raise InvalidInput(
            f"network inputs need one common batch size of at least 1, found {sorted(sizes) or 'no tensor'}"
        )
    return sizes.pop()


def map_tensors(function: Callable[[Tensor], Any], inputs: Any) -> Any:
    """Apply `function` to every tensor in `inputs`, keeping the structure."""
    return pytree.tree_map(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, inputs)


def first_sample(inputs: Inputs) -> Inputs:
    """Return the batch's first sample, as a batch."""
    return map_tensors(lambda tensor: tensor[:1], inputs)  # type: ignore[no-any-return]


def doubled(inputs: Inputs) -> Inputs:
    """Return the batch followed by itself."""
    return map_tensors(lambda tensor: torch.cat([tensor, tensor]), inputs)  # type: ignore[no-any-return]


def sample_shapes(inputs: Inputs) -> list[list[int]]:
    """Return the shapes of one sample's input tensors."""
    return [list(tensor.shape[1:]) for tensor in _tensors(as_call(inputs))]


def same_outputs(first: Any, second: Any) -> bool:
    """Whether two outputs of a network have the same structure and, but for rounding, the same values."""
    ours, theirs = pytree.tree_leaves(first), pytree.tree_leaves(second)
    return len(ours) == len(theirs) and all(_same(a, b) for a, b in zip(ours, theirs, strict=True))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)
    return isinstance(a, Tensor) == isinstance(b, Tensor)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def cloned(inputs: Inputs) -> Inputs:
    """Return a copy that a network may write into."""
    return map_tensors(lambda tensor: tensor.clone(), inputs)  # type: ignore[no-any-return]


def plan_inputs(plan: Plan, device: torch.device | None = None, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
    """Return zeros of the shapes of what the network of a plan reads, one sample.

    Raises
    ------
    PlanMismatch
        The plan does not say them, or they are huge.
    """
    shapes = plan.metadata.get("inputs")
    if not shapes or sum(prod(shape) for shape in shapes) > _MOST_VALUES:
        raise PlanMismatch("the plan does not say what the network reads, or that is huge")
    return tuple(torch.zeros(1, *shape, device=device, dtype=dtype) for shape in shapes)
