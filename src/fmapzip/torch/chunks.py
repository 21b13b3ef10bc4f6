"""Batches in pieces that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fmapzip.torch.tensor_quantizer import is_dense

# Maps are worked on in chunks of whole samples of about this many values: they stay in cache, and memory is bounded.
_CHUNK_VALUES = 1 << 18


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


def in_chunks(x: Tensor, work: Callable[[Tensor, Tensor], None], threads: int) -> Tensor:
    """Return a new tensor like `x` into which `work(values, out)` wrote, called with dense CPU float32 chunks."""
    source = x.detach()
    result = torch.empty_like(source)
    direct = source.device.type == "cpu" and source.dtype == torch.float32 and is_dense(source)
    for part in chunks(source, threads):
        if direct:
            work(source[part], result[part])
        else:
            values = dense(source[part])
            decoded = torch.empty_like(values)
            work(values, decoded)
            result[part].copy_(decoded)
    return result
