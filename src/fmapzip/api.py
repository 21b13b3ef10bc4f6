"""Maps to frames and back: what a user types first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fmapzip import registry
from fmapzip.bound import BoundCodec, BoundPlan, bound_for_encoding, encode_batches
from fmapzip.codecs.base import Codec
from fmapzip.decoding import decode_many, decode_one
from fmapzip.errors import InvalidInput
from fmapzip.frame import DEFAULT_LIMITS, Limits
from fmapzip.quantize import QuantParams

DEFAULT_CODEC = "zvc"


def encode(
    q: object,
    codec: str | Codec | None = None,
    plan: BoundPlan | None = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    reference: Any = None,
    **params: Any,
) -> bytes:
    """Encode one integer map as a frame.

    Parameters
    ----------
    q : uint8 or int8 array, [C, D, H, W], [C, H, W], [C, L] or [F]
        NumPy, a torch CPU tensor, or anything with DLPack or the buffer protocol; any memory layout, without a
        copy (but for a [C, D, H, W] map whose rows are not evenly spaced). The layout does not change the bytes.
    codec : str or Codec, default "zvc"
        An id from `fmapzip.registry.names()`, with its settings in `params`, or a codec. A codec with tables fits
        them to this one map; `fmapzip.fit` makes a plan that has them for many.
    plan, tap
        A plan and the name or index of one of its taps: codec, parameters and quantizer are the plan's and
        are not repeated in the frame.
    quantizer : QuantParams, optional
        Written into the frame, so that it can be decoded to floats without a plan.
    threads : int
        Threads for the tiles of this map.
    limits : Limits
        What readers of the frame are to allow: a larger map is refused.
    reference : array, or sequence of arrays, optional
        Of a tap that refers to others (`TapPlan.references`): the integers of those maps of the same sample, as they
        decode, in that order. Whoever decodes the frame needs them.
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
    ReferenceMismatch
        The tap refers to maps that are not given, or to others.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> q = np.maximum(np.arange(-40, 56, dtype=np.int8).reshape(4, 4, 6), 0).astype(np.uint8)
    >>> frame = fmapzip.encode(q, codec="zvc")
    >>> bool((fmapzip.decode(frame) == q).all())
    True
    """
    bound = _bound(codec, plan, tap, quantizer, params)
    return (bound if reference is None else bound.given(reference)).encode(q, threads, limits)


def encode_into(
    q: object,
    out: Any,
    codec: str | Codec | None = None,
    plan: BoundPlan | None = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    **params: Any,
) -> int:
    """Encode one integer map into a preallocated buffer and return the frame's length.

    Parameters
    ----------
    q, codec, plan, tap, quantizer, threads, limits, **params
        As for `encode`.
    out : contiguous uint8 array
        `frame_bound(q.shape)` bytes are always enough; a frame that does not fit raises `InvalidInput`, which
        tells its size, and leaves the buffer's contents unspecified.
    """
    return _bound(codec, plan, tap, quantizer, params).encode_into(q, out, threads, limits)


def encode_batch(
    q: object,
    codec: str | Codec | None = None,
    plan: BoundPlan | None = None,
    *,
    tap: str | int | None = None,
    quantizer: QuantParams | None = None,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    **params: Any,
) -> list[bytes]:
    """Encode the samples of an integer batch, each as its own frame.

    Parameters
    ----------
    q : uint8 or int8 array, [N, C, D, H, W], [N, C, H, W], [N, C, L] or [N, F]
    codec, plan, tap, quantizer, limits, **params
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
    return _bound(codec, plan, tap, quantizer, params).encode_batch(q, threads, limits)


def encode_many(
    maps: Mapping[str, object], plan: BoundPlan, *, threads: int = 1, limits: Limits = DEFAULT_LIMITS
) -> dict[str, list[bytes]]:
    """Encode batches of many taps of a plan in one call, each sample as its own frame.

    Parameters
    ----------
    maps : mapping of names to uint8 or int8 arrays
        A batch [N, ...] of each tap; the numbers of samples may differ.
    plan : Plan
        Has taps of those names.
    threads : int
        Threads for the samples of all taps: with many maps in one call, all of them have work to the end.
    limits : Limits
        As for `encode`.

    Returns
    -------
    dict of str to list of bytes
        The frames of `encode_batch`, by tap. While they are encoded, each takes as much memory as its map.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> maps = {"a": np.zeros((3, 4, 5, 5), np.uint8), "b": np.ones((2, 8, 7), np.uint8)}
    >>> frames = fmapzip.encode_many(maps, fmapzip.fit(maps))
    >>> {name: len(each) for name, each in frames.items()}
    {'a': 3, 'b': 2}
    """
    batches = [(plan.bound(name), batch) for name, batch in maps.items()]
    return dict(zip(maps, encode_batches(batches, threads, limits), strict=True))


def decode(
    data: Any,
    out: Any = None,
    plan: BoundPlan | None = None,
    dequantize: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    threads: int = 1,
    reference: Any = None,
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
    reference : array, or sequence of arrays, optional
        The integers of the maps that it was encoded with.

    Raises
    ------
    CorruptFrame, TruncatedFrame, UnsupportedVersion, LimitExceeded
        The bytes are not one whole frame that this version reads. All are `FrameError` and `ValueError`.
    PlanMismatch
        The frame needs a plan, or another plan.
    ReferenceMismatch
        The frame needs reference maps that are not given, or others: it holds their checksum.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> frame = fmapzip.encode(np.full((2, 3, 3), 5, np.uint8), quantizer=fmapzip.QuantParams("uint8", (0.5,)))
    >>> float(fmapzip.decode(frame, dequantize=True)[0, 0, 0])
    2.5
    """
    return decode_one(data, out, plan, dequantize, limits, threads, _external, reference)


def decode_batch(
    frames: Any,
    out: Any = None,
    plan: BoundPlan | None = None,
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
    return decode_many(frames, out, plan, dequantize, limits, threads, _external)


def _bound(
    codec: str | Codec | None,
    plan: BoundPlan | None,
    tap: str | int | None,
    quantizer: QuantParams | None,
    params: dict[str, Any],
) -> BoundCodec:
    if plan is not None and params:
        raise InvalidInput("with a plan, quantizer and settings are the plan's")
    if codec is None:
        made = registry.make(DEFAULT_CODEC, **params) if plan is None else None
    else:
        made = registry.make(codec, **params)
    return bound_for_encoding(made, plan, tap, quantizer)


def _external(external_id: str) -> Codec:
    return registry.external(external_id)()
