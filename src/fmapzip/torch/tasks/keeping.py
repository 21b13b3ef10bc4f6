"""What metrics keep of an image as JSON values, and back."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmapzip.errors import InvalidInput

_KINDS = "biuf"


def to_json(value: Any) -> Any:
    """The JSON values that `of_json` makes the same value of.

    Numbers, texts, None, arrays and tensors of numbers are known, and lists, tuples and dicts of what is known by texts
    or integers. What
    is no plain JSON value is a dict of one key.

    Raises
    ------
    InvalidInput
        A value of another kind.

    Examples
    --------
    >>> to_json(("a", 1.5, None))
    {'tuple': ['a', 1.5, None]}
    """
    found: Any = value
    if isinstance(value, float):
        found = float(value) if math.isfinite(value) else {"float": str(value)}
    elif isinstance(value, list):
        found = [to_json(each) for each in value]
    elif isinstance(value, tuple):
        found = {"tuple": [to_json(each) for each in value]}
    elif isinstance(value, Mapping) and all(isinstance(key, str | int) for key in value):
        found = {"dict": [[key, to_json(each)] for key, each in value.items()]}
    elif isinstance(value, Tensor):
        found = {"tensor": _array(value.detach().to("cpu").numpy())}
    elif isinstance(value, np.ndarray | np.generic):
        found = {"array": _array(np.asarray(value))}
    elif value is not None and not isinstance(value, bool | int | str):
        raise InvalidInput(f"a shard's document cannot hold the {type(value).__name__} that a metric keeps of an image")
    return found


def of_json(value: Any) -> Any:
    """The value of which `to_json` made these JSON values.

    Raises
    ------
    ValueError
        They are no such values.
    """
    if not isinstance(value, dict):
        return [of_json(each) for each in value] if isinstance(value, list) else value
    match value:
        case {"float": "nan" | "inf" | "-inf" as text}:
            return float(text)
        case {"tuple": list(items)}:
            return tuple(of_json(each) for each in items)
        case {"dict": list(items)}:
            return {str(key) if isinstance(key, str) else int(key): of_json(each) for key, each in items}
        case {"tensor": [str(kind), list(shape), str(data)]}:
            return torch.from_numpy(_of_array(kind, shape, data))
        case {"array": [str(kind), list(shape), str(data)]}:
            return _of_array(kind, shape, data)[()]  # of no dimensions: the scalar that it was
    raise ValueError("an object is none that a metric keeps")


def _array(array: NDArray[Any]) -> list[Any]:
    if array.dtype.kind not in _KINDS:
        raise InvalidInput(f"a shard's document cannot hold an array of {array.dtype}")
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return [little.dtype.str, list(array.shape), base64.b64encode(little.tobytes()).decode()]


def _of_array(kind: str, shape: list[Any], data: str) -> NDArray[Any]:
    dtype = np.dtype(kind) if kind[1:2] in tuple(_KINDS) and len(kind) <= 4 else None
    if dtype is None or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError("an array that a metric kept has no such type or shape")
    flat = np.frombuffer(base64.b64decode(data, validate=True), dtype)
    return flat.astype(dtype.newbyteorder("=")).reshape(shape)
