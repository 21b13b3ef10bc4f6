"""What callers hand in: maps, outputs and numbers of threads, checked.

A map is copied only where it has four dimensions and its rows are unevenly spaced.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.frame import DEFAULT_LIMITS, Limits
from fmapzip.geometry import MAX_DIMS

MOST_THREADS = 2**31 - 1  # the core starts no more than there is work for


def checked_map(q: object, batched: bool = False, limits: Limits = DEFAULT_LIMITS) -> Any:
    """`q`, which may be an integer map or a batch of them; the core checks its shape and device."""
    array = _array(q, batched)
    values = getattr(array, "nbytes", 0)  # of 8-bit integers
    if values > limits.max_values:
        values //= array.shape[0] if batched else 1
        if values > limits.max_values:
            raise InvalidInput(
                f"a map of {values} values is above limits.max_values, {limits.max_values}: readers that keep to this "
                "limit refuse its frame"
            )
    return array


def _array(q: object, batched: bool) -> Any:
    if getattr(q, "requires_grad", False):
        raise InvalidInput("the tensor requires grad; detach() it first")
    if isinstance(q, np.ndarray):
        if q.dtype not in (np.uint8, np.int8):
            raise InvalidType(f"a map holds uint8 or int8 values, not {q.dtype}; quantize floats first")
        return q if depth_joins_rows(q, batched) else np.ascontiguousarray(q)
    if not hasattr(q, "__dlpack__"):
        try:
            memoryview(q)  # type: ignore[arg-type]
        except TypeError:
            raise InvalidType(f"a map is an array with DLPack or the buffer protocol, not {type(q).__name__}") from None
    else:
        q = _imported(q)
    return q if depth_joins_rows(q, batched) else np.ascontiguousarray(as_numpy(q))


def depth_joins_rows(array: Any, batched: bool = False) -> bool:
    """Whether the rows of all depths of a [C, D, H, W] map are evenly spaced, as the core needs them."""
    if getattr(array, "ndim", 0) != MAX_DIMS + batched:
        return True
    view = as_numpy(array)
    depth, height = view.shape[-3:-1]
    return bool(depth == 1 or height == 1 or view.strides[-3] == height * view.strides[-2])


def checked_output(out: Any) -> Any:
    """`out`, which may be written into."""
    if getattr(out, "requires_grad", False):
        raise InvalidInput("the output requires grad and is not written into")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise InvalidInput("the output is read-only")
    if isinstance(out, np.ndarray) or not hasattr(out, "__dlpack__"):
        return out
    found = _imported(out)
    return found if isinstance(found, np.ndarray) and found.flags.writeable else out


def checked_threads(threads: int) -> int:
    """`threads`, a whole number from 1 to `MOST_THREADS`."""
    if not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS:
        raise InvalidInput(f"threads is a whole number from 1 to {MOST_THREADS}")
    return threads


def _imported(array: Any) -> Any:
    """The same memory as a NumPy array, or `array` itself where NumPy cannot: the core then says what is wrong with it.

    Asked for here because the binding takes any exception of `__dlpack__` for a wrong argument, also an interrupt.
    """
    try:
        return np.from_dlpack(array)
    except Exception:
        return array


def as_numpy(array: Any) -> NDArray[Any]:
    """The same memory as a NumPy array."""
    if isinstance(array, np.ndarray):
        return array
    return np.from_dlpack(array) if hasattr(array, "__dlpack__") else np.asarray(array)
