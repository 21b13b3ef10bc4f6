"""Tensors as the core works on them: dense float32 in CPU memory, whole or in pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fmapzip import _core
from fmapzip.torch.tensor_quantizer import is_dense
from fmapzip.torch.transfers import to_device, to_host

# Maps are worked on in chunks of whole samples of about this many values: they stay in cache, and memory is bounded.
_CHUNK_VALUES = 1 << 18
_LEAST_POOLED = 1 << 16  # bytes; smaller tensors come out of the allocator's own caches


def chunks(x: Tensor, threads: int = 1) -> Iterator[slice]:
    """Yield the samples of `x` in pieces, with at least one sample for each of `threads`."""
    count = x.shape[0]
    step = max(threads, _CHUNK_VALUES * threads // max(1, x[:1].numel()))
    for first in range(0, count, step):
        yield slice(first, first + step)


def dense(x: Tensor) -> Tensor:
    """Return the values as a dense CPU float32 tensor, `x` itself where it is one."""
    values = x.detach().to("cpu", torch.float32)
    return values if is_dense(values) else values.contiguous()


def empty_like(x: Tensor) -> Tensor:
    """Return a new CPU tensor like `x`: pinned as `x` is, else a large one in memory that no tensor holds any more."""
    size = x.numel() * x.element_size()
    if x.is_pinned():
        return torch.empty_like(x, pin_memory=True)
    if size < _LEAST_POOLED or not is_dense(x):
        return torch.empty_like(x)
    memory = torch.from_numpy(_core.pooled(size)).untyped_storage()
    return torch.empty(0, dtype=x.dtype).set_(memory, 0, x.shape, x.stride())


def replaced(x: Tensor, work: Callable[[Tensor, Tensor], None], threads: int = 1) -> Tensor:
    """Return a new tensor like `x` into which `work(values, out)` wrote; both are dense CPU float32 batches.

    Float32 is worked on where it lies, all of it at once. Other types are converted in chunks. A tensor of a device
    comes to the CPU in one copy and goes back in one.
    """
    source = to_host(x.detach())
    result = empty_like(source)
    if source.dtype == torch.float32 and is_dense(source):
        if len(source):
            work(source, result)
    else:
        for part in chunks(source, threads):
            values = dense(source[part])
            decoded = torch.empty_like(values)
            work(values, decoded)
            result[part].copy_(decoded)
    return to_device(result, x.device)
