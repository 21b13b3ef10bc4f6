"""Maps to frames and back: what a user types first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core, registry
from fmapzip.codecs.base import EXTERNAL_CODE, Codec, PythonCodec, planned_codec
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidType, PlanMismatch
from fmapzip.frame import (
    DEFAULT_LIMITS,
    Limits,
    dtype_of,
    parse_all,
    parse_only,
    quantizer_of,
    resolve_tap,
    tile_shape,
    worked_shape,
)
from fmapzip.quantize import QuantParams

DEFAULT_CODEC = "zvc"

# Magic, version, codec code, flags, id, dimensions, plan reference, numbers and checksum, generously.
_FIXED_HEADER = 128
_SCALE_BYTES = 4
_TILE_LENGTH_BYTES = 4  # a tile is at least one row


@dataclass(frozen=True)
class _Job:
    """How maps of one kind are encoded: the codec, and the optional parts of the header."""

    codec: Codec
    parameters: bytes | None  # None: to be fitted to the map
    quantizer: QuantParams | None = None
    plan_hash: bytes = b""
    tap: int = 0

    def header(self) -> tuple[bytes, bool, bytes, int]:
        if self.quantizer is None:
            return b"", False, self.plan_hash, self.tap
        scales = np.asarray(self.quantizer.scale, "<f4").tobytes()
        return scales, len(self.quantizer.scale) > 1, self.plan_hash, self.tap


def frame_bound(shape: Sequence[int]) -> int:
    """Most bytes that a frame of a [C, H, W], [C, L] or [F] map can take, whatever its codec and values.

    Examples
    --------
    >>> import fmapzip
    >>> fmapzip.frame_bound((64, 56, 56)) / (64 * 56 * 56) < 1.01
    True
    """
    channels, height, _ = worked_shape(tuple(shape))
    return prod(shape) + _FIXED_HEADER + _SCALE_BYTES * channels + _TILE_LENGTH_BYTES * height


def encode(
    q: object,
    codec: str | Codec | None = None,
    plan: Any = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    **params: Any,
) -> bytes:
    """Encode one integer map as a frame.

    Parameters
    ----------
    q : uint8 or int8 array, [C, H, W], [C, L] or [F]
        NumPy, a torch CPU tensor, or anything with DLPack or the buffer protocol; any memory layout, without a
        copy. The layout does not change the bytes.
    codec : str or Codec, default "zvc"
        An id from `fmapzip.registry.names()`, with its settings in `params`, or a codec.
    plan, tap
        A plan and the name or index of one of its taps: codec, parameters and quantizer are the plan's and
        are not repeated in the frame.
    quantizer : QuantParams, optional
        Written into the frame, so that it can be decoded to floats without a plan.
    threads : int
        Threads for the tiles of this map.
    **params
        Settings of the codec.

    Returns
    -------
    bytes
        Never more than the values plus a fixed header.

    Raises
    ------
    InvalidType
        Not an array, or not of 8-bit integers.
    InvalidInput
        A wrong shape, an empty map, a map in device memory, or settings that do not fit.
    UnknownCodec
        No codec of that id; the message lists those that exist.
    PlanMismatch
        The plan has no such tap.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.maximum(np.arange(-40, 56, dtype=np.int8).reshape(4, 4, 6), 0).astype(np.uint8)
    >>> frame = fmapzip.encode(q, codec="zvc")
    >>> bool((fmapzip.decode(frame) == q).all())
    True
    """
    job = _job(codec, plan, tap, quantizer, params)
    array = _checked_input(q)
    if isinstance(job.codec, PythonCodec):
        return _encode_in_python(_as_numpy(array), job.codec, job)
    return _core.encode(array, _prepared(job, array), *job.header(), _checked_threads(threads))


def encode_into(
    q: object,
    out: Any,
    codec: str | Codec | None = None,
    plan: Any = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    **params: Any,
) -> int:
    """Encode one integer map into a preallocated buffer and return the frame's length.

    Parameters
    ----------
    q, codec, plan, tap, quantizer, threads, **params
        As for `encode`.
    out : contiguous uint8 array
        `frame_bound(q.shape)` bytes are always enough; a frame that does not fit raises `InvalidInput`, which
        tells its size, and leaves the buffer's contents unspecified.
    """
    job = _job(codec, plan, tap, quantizer, params)
    array = _checked_input(q)
    threads = _checked_threads(threads)
    if isinstance(job.codec, PythonCodec):
        frame = _encode_in_python(_as_numpy(array), job.codec, job)
        view = memoryview(out)
        if view.nbytes < len(frame):
            raise InvalidInput(f"the output is too small: the frame takes {len(frame)} bytes")
        view[: len(frame)] = frame
        return len(frame)
    return _core.encode_into(array, _checked_output(out), _prepared(job, array), *job.header(), threads)


def encode_batch(
    q: object,
    codec: str | Codec | None = None,
    plan: Any = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    **params: Any,
) -> list[bytes]:
    """Encode the samples of an integer batch, each as its own frame.

    Parameters
    ----------
    q : uint8 or int8 array, [N, C, H, W], [N, C, L] or [N, F]
    codec, plan, tap, quantizer, **params
        As for `encode`.
    threads : int
        Threads for the samples.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> frames = fmapzip.encode_batch(np.zeros((3, 4, 5, 5), np.uint8))
    >>> fmapzip.decode_batch(b"".join(frames)).shape
    (3, 4, 5, 5)
    """
    job = _job(codec, plan, tap, quantizer, params)
    array = _checked_input(q)
    threads = _checked_threads(threads)
    if isinstance(job.codec, PythonCodec):
        return [_encode_in_python(sample, job.codec, job) for sample in _as_numpy(array)]
    if job.parameters is None:
        samples = _as_numpy(array)
        return [_core.encode(sample, _prepared(job, sample), *job.header(), threads) for sample in samples]
    return _core.encode_batch(array, planned_codec(job.codec.code, job.parameters), *job.header(), threads)


def decode(
    data: Any,
    out: Any = None,
    plan: Any = None,
    dequantize: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
) -> NDArray[Any]:
    """Decode one frame.

    Parameters
    ----------
    data : bytes-like
        Exactly one frame.
    out : uint8 or int8 array, optional
        Receives the map; must have the frame's shape and dtype, in any layout. After an error its contents
        are unspecified. With `dequantize` it is not used.
    plan : Plan, optional
        Needed where the frame names one.
    dequantize : bool
        Return float32 by the quantizer of the frame or of the plan.
    limits : Limits
        What the header may ask for, checked before anything is allocated.
    threads : int
        Threads for the tiles.

    Raises
    ------
    CorruptFrame, TruncatedFrame, UnsupportedVersion, LimitExceeded
        The bytes are not one whole frame that this version reads. All are `FrameError` and `ValueError`.
    PlanMismatch
        The frame needs a plan, or another plan.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> frame = fmapzip.encode(np.full((2, 3, 3), 5, np.uint8), quantizer=fmapzip.QuantParams("uint8", (0.5,)))
    >>> float(fmapzip.decode(frame, dequantize=True)[0, 0, 0])
    2.5
    """
    if dequantize and out is not None:
        raise InvalidInput("out= receives integers; leave it away with dequantize=True")
    frame = parse_only(data, limits)
    result = np.empty(frame.shape, dtype_of(frame)) if out is None else _checked_output(out)
    parameters, tap = _parameters(frame, plan)
    if frame.code == EXTERNAL_CODE and not frame.all_stored:
        result[...] = _decode_in_python(data, frame, parameters)
    else:
        frame.decode_into(result, _decoder(frame, parameters), _checked_threads(threads))
    if not dequantize:
        return out if out is not None else result
    quantizer = quantizer_of(frame) or (tap.quantizer if tap is not None else None)
    if quantizer is None:
        raise InvalidInput("the frame holds no quantizer and names no plan; decode it to integers")
    return np.asarray(quantizer.dequantize(result))


def decode_batch(
    frames: Any,
    out: Any = None,
    plan: Any = None,
    dequantize: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
) -> NDArray[Any]:
    """Decode frames of one shape into a batch.

    Parameters
    ----------
    frames : bytes-like, or sequence of bytes-like
        Frames one after another in one buffer, or one buffer each.
    out : uint8 or int8 array [N, ...], optional
        Receives the maps, in any layout.
    plan, dequantize, limits
        As for `decode`; `limits` hold for each frame.
    threads : int
        Threads for the frames.

    Raises
    ------
    InvalidInput
        No frames, or frames of different shapes or types (`decode` them one by one).
    FrameError, PlanMismatch
        As for `decode`.
    """
    if dequantize and out is not None:
        raise InvalidInput("out= receives integers; leave it away with dequantize=True")
    parsed = list(_parse_unverified(frames, limits))
    if not parsed:
        raise InvalidInput("there is no frame to decode")
    first = parsed[0]
    if any(f.shape != first.shape or f.signed != first.signed for f in parsed):
        raise InvalidInput("the frames differ in shape or dtype; decode them one by one")
    result = np.empty((len(parsed), *first.shape), dtype_of(first)) if out is None else _checked_output(out)
    needs = [_parameters(frame, plan) for frame in parsed]
    if any(f.parameters or (f.code == EXTERNAL_CODE and not f.all_stored) for f in parsed):
        # One at a time: each frame has tables of its own, or its codec is written in Python.
        datas = frames if isinstance(frames, (list, tuple)) else _slices(frames, parsed)
        for index, data in enumerate(datas):
            decode(data, result[index], plan, limits=limits, threads=threads)
    else:
        decoders = [_decoder(frame, need[0]) for frame, need in zip(parsed, needs, strict=True)]
        _core.decode_batch_into(parsed, result, decoders, _checked_threads(threads))
    if not dequantize:
        return out if out is not None else result
    floats = np.empty(result.shape, np.float32)
    for index, (frame, (_, tap)) in enumerate(zip(parsed, needs, strict=True)):
        quantizer = quantizer_of(frame) or (tap.quantizer if tap is not None else None)
        if quantizer is None:
            raise InvalidInput("a frame holds no quantizer and names no plan; decode it to integers")
        floats[index] = quantizer.dequantize(result[index])
    return floats


def _job(
    codec: str | Codec | None,
    plan: Any,
    tap: str | int | None,
    quantizer: QuantParams | None,
    params: dict[str, Any],
) -> _Job:
    if plan is None:
        if tap is not None:
            raise InvalidInput("tap= names a tap of a plan, and no plan is given")
        made = registry.make(DEFAULT_CODEC if codec is None else codec, **params)
        fitted = type(made).parameters is not Codec.parameters
        return _Job(made, None if fitted else b"", quantizer)
    if quantizer is not None or params:
        raise InvalidInput("with a plan, quantizer and settings are the plan's")
    if tap is None:
        if len(plan.taps) != 1:
            raise PlanMismatch("tap= must name one of the plan's taps")
        tap = 0
    planned = plan[tap]
    if codec is not None and registry.make(codec).id != planned.codec.id:
        raise PlanMismatch(f"the plan codes tap {planned.name!r} with {planned.codec.id!r}")
    return _Job(planned.codec, planned.parameters, None, plan.hash8, plan.index(planned.name))


def _prepared(job: _Job, array: Any) -> _core.Codec:
    if job.parameters is not None:
        return planned_codec(job.codec.code, job.parameters)
    return _core.Codec(job.codec.code, job.codec.parameters(_as_numpy(array)))


def _as_numpy(array: Any) -> NDArray[Any]:
    """The same memory as a NumPy array."""
    if isinstance(array, np.ndarray):
        return array
    return np.from_dlpack(array) if hasattr(array, "__dlpack__") else np.asarray(array)


def _checked_input(q: object) -> Any:
    if getattr(q, "requires_grad", False):
        raise InvalidInput("the tensor requires grad; detach() it first")
    if not hasattr(q, "__dlpack__"):
        try:
            memoryview(q)  # type: ignore[arg-type]
        except TypeError:
            raise InvalidType(f"a map is an array with DLPack or the buffer protocol, not {type(q).__name__}") from None
    if isinstance(q, np.ndarray) and q.dtype not in (np.uint8, np.int8):
        raise InvalidType(f"a map holds uint8 or int8 values, not {q.dtype}; quantize floats first")
    return q


def _checked_output(out: Any) -> Any:
    if getattr(out, "requires_grad", False):
        raise InvalidInput("the output requires grad and is not written into")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise InvalidInput("the output is read-only")
    return out


def _checked_threads(threads: int) -> int:
    if not isinstance(threads, int) or threads < 1:
        raise InvalidInput("threads is a whole number of at least 1")
    return threads


def _parse_unverified(frames: Any, limits: Limits) -> Iterable[_core.Frame]:
    if isinstance(frames, (list, tuple)):
        return [parse_only(data, limits, verify=False) for data in frames]
    return parse_all(frames, limits, verify=False)


def _slices(data: Any, parsed: Sequence[_core.Frame]) -> Iterable[memoryview]:
    view, offset = memoryview(data).cast("B"), 0
    for frame in parsed:
        yield view[offset : offset + frame.frame_bytes]
        offset += frame.frame_bytes


def _parameters(frame: _core.Frame, plan: Any) -> tuple[bytes, Any]:
    """A frame's parameters, and the plan's tap where the frame names one."""
    if not frame.plan_hash:
        return frame.parameters, None
    tap = resolve_tap(frame, plan)
    if tap.codec.code != frame.code or (frame.external_id and tap.codec.id != frame.external_id):
        raise CorruptFrame(f"the frame's codec is not the plan's for tap {tap.name!r}")
    return tap.parameters, tap


def _decoder(frame: _core.Frame, parameters: bytes) -> _core.Codec | None:
    if frame.all_stored:
        return None
    code = registry.by_code(frame.code).code
    return planned_codec(code, parameters) if frame.plan_hash else _core.Codec(code, parameters)


def _encode_in_python(q: NDArray[Any], codec: PythonCodec, job: _Job) -> bytes:
    if q.dtype not in (np.uint8, np.int8):
        raise InvalidType(f"a map holds uint8 or int8 values, not {q.dtype}; quantize floats first")
    if q.size == 0:
        raise InvalidInput("a dimension of the map is zero")
    shape = worked_shape(q.shape)
    tiled = q.reshape(shape)
    rows = codec.tile_rows(shape)
    parameters = codec.parameters(q) if job.parameters is None else job.parameters
    bodies = []
    for first in range(0, shape[1], rows):
        tile = tiled[:, first : first + rows]
        body = codec.encode_tile(tile, parameters)
        bodies.append(body if len(body) < tile.size else tile.tobytes())
    inline = b"" if job.plan_hash else parameters
    if inline and sum(map(len, bodies)) + len(inline) >= q.size:
        inline, rows, bodies = b"", shape[1], [tiled.tobytes()]
    signed = int(q.dtype == np.int8)
    return _core.assemble(signed, q.shape, codec.id, inline, *job.header(), rows, bodies)


def _decode_in_python(data: Any, frame: _core.Frame, parameters: bytes) -> NDArray[Any]:
    codec = registry.by_code(frame.code, frame.external_id)()
    if not isinstance(codec, PythonCodec):
        raise CorruptFrame(f"codec {frame.external_id!r} is not one of third parties")
    view = memoryview(data).cast("B")
    tiles = []
    for index, (offset, length) in enumerate(frame.tile_spans):
        shape = tile_shape(frame, index)
        body = bytes(view[offset : offset + length])
        if length == prod(shape):
            tile = np.frombuffer(body, dtype_of(frame)).reshape(shape)
        else:
            tile = codec.decode_tile(body, shape, dtype_of(frame), parameters)
            if tile.shape != shape or tile.dtype != dtype_of(frame):
                raise CorruptFrame(f"codec {codec.id!r} decoded a tile of another shape or dtype")
        tiles.append(tile)
    return np.concatenate(tiles, axis=1).reshape(frame.shape)
