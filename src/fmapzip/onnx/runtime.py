"""Running files that `fmapzip.onnx.export` wrote: the operator `fmapzip::Store` in ONNX Runtime."""

from __future__ import annotations

import base64
import os
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fmapzip.errors import InvalidInput, MissingExtra, PlanMismatch
from fmapzip.onnx.files import read_model
from fmapzip.plan import Plan

DOMAIN, OPERATOR = "fmapzip", "Store"
PLAN_PROPERTY = "fmapzip.plan"
"""The file's metadata that holds the plan, in base64."""
BYTES_OUTPUT = "stored_bytes"
"""The output that tells how many bytes each feature map of each sample took, [N, taps]."""

_plans: dict[str, Plan] = {}
_extended: WeakSet[onnxruntime.SessionOptions] = WeakSet()  # that know the operator; ONNX Runtime takes it once


def session(
    path: str | os.PathLike[str], options: onnxruntime.SessionOptions | None = None
) -> onnxruntime.InferenceSession:
    """Start ONNX Runtime on a file with stored feature maps.

    Its output ``stored_bytes`` holds the bytes of each sample's frames, [N, taps], in the order of the plan's taps.

    Parameters
    ----------
    path : path-like
        A file that `fmapzip export` wrote; it holds its plan.
    options : onnxruntime.SessionOptions, optional
        To which the operator is added.

    Raises
    ------
    InvalidInput
        There is no such file, or it is not one of these.
    InvalidPlan
        Its plan cannot be read.
    MissingExtra
        The package onnxruntime-extensions is not installed.
    """
    file = Path(path)
    register_plan(_plan_of(file))
    options = onnxruntime.SessionOptions() if options is None else options
    if options not in _extended:
        options.register_custom_ops_library(_library())
        _extended.add(options)
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def register_plan(plan: Plan) -> None:
    """Make a plan known to the operator in this process, which finds it by its hash."""
    _plans[plan.hash8.hex()] = plan


def _plan_of(file: Path) -> Plan:
    for entry in read_model(file, external=False).metadata_props:
        if entry.key == PLAN_PROPERTY:
            return Plan.from_bytes(base64.b64decode(entry.value))
    raise InvalidInput(f"{file}: it holds no plan; `fmapzip export` writes files that do")


def store(q: NDArray[Any], plan: str, tap: int, axis: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Encode and decode integers [N, ...] of a tap: what `fmapzip::Store` does.

    Parameters
    ----------
    q : uint8 or int8 array
        int8 where the plan's are uint8: integers whose zero point is -128, counted from there.
    plan : str
        The first 16 hexadecimal digits of its hash.
    tap : int
        The tap's place in the plan.
    axis : int
        Of the channels.

    Returns
    -------
    restored, sizes
        The integers that are read back, in the type and shape of `q`, and the bytes of each sample's frame, [N, 1].
    """
    if plan not in _plans:
        raise PlanMismatch(f"plan {plan} is not known; fmapzip.onnx.session(path) makes it so")
    bound = _plans[plan].bound(tap)
    moved = q.dtype == np.int8 and bound.quantizer is not None and bound.quantizer.dtype == "uint8"
    integers = (q.view(np.uint8) ^ 0x80) if moved else q
    frames = bound.encode_batch(np.moveaxis(integers, axis, 1))
    restored = np.empty_like(integers)
    bound.decode_parsed(bound.parse_batch(frames), np.moveaxis(restored, axis, 1))
    sizes = np.array([[len(frame)] for frame in frames], np.int64).reshape(-1, 1)
    return ((restored ^ 0x80).view(np.int8) if moved else restored), sizes


@cache
def _library() -> str:
    """Register the operator for both types of integers; the library that hands it to ONNX Runtime."""
    try:
        from onnxruntime_extensions import PyCustomOpDef, get_library_path, onnx_op
    except ImportError as error:
        raise MissingExtra("stored graphs need onnxruntime-extensions: pip install 'fmapzip[onnx]'") from error
    kinds = PyCustomOpDef.dt_string, PyCustomOpDef.dt_int64
    attributes = {"plan": kinds[0], "tap": kinds[1], "axis": kinds[1]}
    for integers in (PyCustomOpDef.dt_uint8, PyCustomOpDef.dt_int8):
        register = onnx_op(
            op_type=f"{DOMAIN}::{OPERATOR}",
            inputs=[integers],
            outputs=[integers, PyCustomOpDef.dt_int64],
            attrs=attributes,
        )
        register(store)
    path: str = get_library_path()
    return path
