"""Frames to maps, whatever their codec."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.arguments import as_numpy, checked_output, checked_threads, depth_joins_rows
from fmapzip.bound import BindableCodec, BoundCodec, BoundPlan, bind, core_codec, given_codec, resolve_tap
from fmapzip.errors import InvalidInput
from fmapzip.frame import EXTERNAL_NUMBER, Limits, dtype_of, parse_all, parse_only, quantizer_of
from fmapzip.quantize import QuantParams

FindCodec = Callable[[str], BindableCodec]
"""The codec, written in Python, of the id that a frame holds; `MissingCodec` where there is none."""


def decode_one(
    data: Any,
    out: Any,
    plan: BoundPlan | None,
    dequantize: bool,
    limits: Limits,
    threads: int,
    find: FindCodec,
    reference: Any = None,
) -> NDArray[Any]:
    """`fmapzip.decode`."""
    _refuse_out_for_floats(out, dequantize)
    frame = parse_only(data, limits)
    result = np.empty(frame.shape, dtype_of(frame)) if out is None else checked_output(out)
    quantizer = _decode(frame, result, plan, checked_threads(threads), find, reference)
    if not dequantize:
        return out if out is not None else result
    return np.asarray(_given(quantizer).dequantize(result))


def decode_many(
    frames: Any,
    out: Any,
    plan: BoundPlan | None,
    dequantize: bool,
    limits: Limits,
    threads: int,
    find: FindCodec,
) -> NDArray[Any]:
    """`fmapzip.decode_batch`."""
    _refuse_out_for_floats(out, dequantize)
    parsed = list(_parse_unverified(frames, limits))
    if not parsed:
        raise InvalidInput("there is no frame to decode")
    first = parsed[0]
    if any(f.shape != first.shape or f.signed != first.signed for f in parsed):
        raise InvalidInput("the frames differ in shape or dtype; decode them one by one")
    result = np.empty((len(parsed), *first.shape), dtype_of(first)) if out is None else checked_output(out)
    threads = checked_threads(threads)
    if any(_alone(frame) for frame in parsed):
        quantizers = []
        for index, frame in enumerate(parsed):
            frame.verify()
            quantizers.append(_decode(frame, result[index], plan, threads, find))
    else:
        bound = [resolve_tap(frame, plan) if frame.plan_hash else None for frame in parsed]
        decoders = [core_codec(frame, tap) for frame, tap in zip(parsed, bound, strict=True)]
        _into_even_rows(result, True, lambda even: _core.decode_batch_into(parsed, even, decoders, threads))
        quantizers = [_quantizer(frame, tap) for frame, tap in zip(parsed, bound, strict=True)]
    if not dequantize:
        return out if out is not None else result
    floats = np.empty(result.shape, np.float32)
    for index, quantizer in enumerate(quantizers):
        floats[index] = _given(quantizer).dequantize(result[index])
    return floats


def _into_even_rows(out: Any, batched: bool, decode: Callable[[Any], None]) -> None:
    """Decode into `out`, or by way of a copy where its rows are not as evenly spaced as the core needs them."""
    if depth_joins_rows(out, batched):
        decode(out)
        return
    view = as_numpy(out)
    even = np.empty(view.shape, view.dtype)
    decode(even)
    view[...] = even


def _alone(frame: _core.Frame) -> bool:
    """Whether a frame has tables of its own, or a codec that is written in Python."""
    return bool(frame.parameters) or (frame.number == EXTERNAL_NUMBER and not frame.all_stored)


def _decode(
    frame: _core.Frame, out: Any, plan: BoundPlan | None, threads: int, find: FindCodec, reference: Any = None
) -> QuantParams | None:
    """Decode a verified frame into integers; returns its quantizer, where it or its plan has one."""
    tap = resolve_tap(frame, plan) if frame.plan_hash else None
    if frame.number == EXTERNAL_NUMBER and not frame.all_stored:
        (tap or bind(find(frame.external_id))).decode_into(frame, out, threads)
    else:
        codec = core_codec(frame, tap)
        if codec is not None and reference is not None:
            codec = given_codec(codec, reference)
        _into_even_rows(out, False, lambda even: frame.decode_into(even, codec, threads))
    return _quantizer(frame, tap)


def _quantizer(frame: _core.Frame, tap: BoundCodec | None) -> QuantParams | None:
    return quantizer_of(frame) or (tap.quantizer if tap is not None else None)


def _given(quantizer: QuantParams | None) -> QuantParams:
    if quantizer is None:
        raise InvalidInput("the frame holds no quantizer and names no plan; decode it to integers")
    return quantizer


def _refuse_out_for_floats(out: Any, dequantize: bool) -> None:
    if dequantize and out is not None:
        raise InvalidInput("out= receives integers; leave it away with dequantize=True")


def _parse_unverified(frames: Any, limits: Limits) -> Iterable[_core.Frame]:
    if isinstance(frames, (list, tuple)):
        return [parse_only(data, limits, verify=False) for data in frames]
    return parse_all(frames, limits, verify=False)
