"""A codec bound to what it codes: everything between integers and frames that does not change from map to map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.arguments import as_numpy, checked_map, checked_output, checked_threads
from fmapzip.errors import CorruptFrame, InvalidInput, InvalidType, PlanMismatch, ReferenceMismatch
from fmapzip.frame import DEFAULT_LIMITS, EXTERNAL_NUMBER, Limits, dtype_of, parse_only
from fmapzip.python_tiles import Header, PythonTiles, decode_in_python, encode_in_python
from fmapzip.quantize import QuantParams


class BindableCodec(Protocol):
    """What binding needs of a codec."""

    @property
    def id(self) -> Any:
        """Its frozen name."""

    @property
    def number(self) -> Any:
        """Its frozen number."""

    @property
    def fits_each_map(self) -> bool:
        """Whether `parameters` depend on the map."""

    @property
    def tile_values(self) -> int | None:
        """How many values a tile may have; None for as many as the core takes."""

    def parameters_for(self, q: Any, quantizer: QuantParams | None) -> bytes:
        """Everything that a decoder of this one map needs besides the header."""


class BoundPlan(Protocol):
    """What coding needs of a plan (`fmapzip.Plan`)."""

    @property
    def hash8(self) -> bytes:
        """First 8 bytes of the plan's hash."""

    def __len__(self) -> int:
        """How many taps it has."""

    def bound(self, tap: str | int) -> BoundCodec:
        """The codec of a tap, by its name or index, made once and kept."""


class BoundCodec(ABC):
    """A codec with all that frames of one kind share: parameters, quantizer, and the plan's tap that they name.

    `Plan.bound` makes one for each tap and keeps it; `bind` makes one without a plan. It does not change, and several
    threads can use it at once.

    Attributes
    ----------
    codec
        The codec.
    parameters
        What it was trained to; of no meaning where it is fitted to each map.
    quantizer
        How floats become its integers, where that is known.
    prepared
        The core's codec with its tables, where parameters are settled and the codec is the core's.
    plan_hash, tap
        First 8 bytes of the plan's hash, empty without a plan, and the index of the tap.
    shape
        The shape that the plan has for the tap; None without a plan.
    references
        How many other maps of the same sample coding one needs; `given` gives them.
    """

    prepared: _core.Codec | None = None

    def __init__(
        self,
        codec: BindableCodec,
        parameters: bytes,
        quantizer: QuantParams | None,
        plan_hash: bytes = b"",
        tap: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        self.codec, self.parameters, self.quantizer = codec, parameters, quantizer
        self.plan_hash, self.tap, self.shape = plan_hash, tap, shape
        self.references = 0
        self._dtype = None if quantizer is None else np.dtype(quantizer.dtype)
        written = None if plan_hash else quantizer
        scales = b"" if written is None else np.asarray(written.scale, "<f4").tobytes()
        per_channel = written is not None and written.per_channel
        self._header: Header = scales, per_channel, 0 if quantizer is None else quantizer.zero, plan_hash, tap

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.codec, self.parameters, self.quantizer, self.plan_hash, self.tap, self.shape)

    def _planned(self, q: Any, batched: bool = False) -> Any:
        """`q`, where it is what the plan says of its tap, and of the type that its zero point is of."""
        if self.quantizer is None:
            return q
        if self.shape is None:
            return self._of_zero_points_type(q)
        if isinstance(q, np.ndarray) and q.shape[batched:] == self.shape and q.dtype == self._dtype:
            return q
        array = q if hasattr(q, "dtype") and hasattr(q, "shape") else as_numpy(q)
        if tuple(array.shape[batched:]) != self.shape:
            raise PlanMismatch(f"the plan's tap {self.tap} is {list(self.shape)}, not {list(array.shape[batched:])}")
        dtype = str(array.dtype).rpartition(".")[2]
        if dtype != self.quantizer.dtype and dtype in ("uint8", "int8"):
            raise PlanMismatch(f"the plan's tap {self.tap} is {self.quantizer.dtype}, not {dtype}")
        return q

    def _of_zero_points_type(self, q: Any) -> Any:
        if self.quantizer is not None and self.quantizer.zero_point is not None:
            dtype = as_numpy(q).dtype
            if dtype != self._dtype and dtype in (np.uint8, np.int8):
                raise InvalidType(f"the quantizer's zero point is of {self.quantizer.dtype}, the map holds {dtype}")
        return q

    def given(self, reference: Any) -> BoundCodec:
        """The same for the one map whose references these are.

        Parameters
        ----------
        reference : uint8 or int8 array, or sequence of such arrays
            The decoded integers of the maps that it refers to, in the plan's order. They are copied.

        Raises
        ------
        ReferenceMismatch
            It refers to another number of maps, or to maps of another shape or type.
        """
        if self.prepared is None:
            raise ReferenceMismatch(f"maps of codec {self.codec.id!r} refer to no other map")
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__)
        found.prepared = given_codec(self.prepared, reference)
        return found

    @abstractmethod
    def encode(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """`fmapzip.encode` of one map [C, D, H, W], [C, H, W], [C, L] or [F]."""

    @abstractmethod
    def encode_into(self, q: object, out: Any, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> int:
        """`fmapzip.encode_into`: the frame's length."""

    @abstractmethod
    def encode_batch(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
        """`fmapzip.encode_batch`: a frame for each sample."""

    def decode(self, data: Any, out: Any = None, limits: Limits = DEFAULT_LIMITS, threads: int = 1) -> NDArray[Any]:
        """`fmapzip.decode` of one frame of this kind to integers.

        Raises
        ------
        FrameError
            The bytes are not one whole frame.
        PlanMismatch
            The frame is of another plan, tap or codec.
        """
        frame = parse_only(data, limits)
        self._refuse_others(frame)
        result = np.empty(frame.shape, dtype_of(frame)) if out is None else checked_output(out)
        self.decode_into(frame, result, checked_threads(threads))
        return out if out is not None else result

    def parse_batch(self, frames: Sequence[Any], limits: Limits = DEFAULT_LIMITS) -> list[_core.Frame]:
        """Frames of this kind, one buffer each, for `decode_parsed`, which verifies their checksums."""
        parsed = [parse_only(data, limits, verify=False) for data in frames]
        for frame in parsed:
            self._refuse_others(frame)
        return parsed

    def decode_parsed(self, frames: Sequence[_core.Frame], out: Any, threads: int = 1) -> None:
        """Decode what `parse_batch` parsed into a batch of integers [N, ...]."""
        for index, frame in enumerate(frames):
            frame.verify()
            self.decode_into(frame, out[index], threads)

    def refuse_unplanned(self, frame: _core.Frame) -> None:
        """Raise `CorruptFrame` where a frame that names this tap is not of the plan's shape, type and zero point."""
        if self.shape is None or self.quantizer is None:
            return
        if tuple(frame.shape) != self.shape:
            raise CorruptFrame(f"the frame's shape is not the plan's for tap {self.tap}, {list(self.shape)}")
        if frame.signed != (self.quantizer.dtype == "int8"):
            raise CorruptFrame(f"the frame's type is not the plan's for tap {self.tap}, {self.quantizer.dtype}")
        if frame.zero_point != self.quantizer.zero:
            raise CorruptFrame(f"the frame's zero point is not the plan's for tap {self.tap}, {self.quantizer.zero}")

    def _refuse_others(self, frame: _core.Frame) -> None:
        if frame.plan_hash != self.plan_hash or frame.tap != self.tap:
            raise PlanMismatch(f"the frame is not of this plan's tap {self.tap}")
        if frame.number != self.codec.number or frame.external_id not in ("", self.codec.id):
            raise PlanMismatch(f"the frame is not of codec {self.codec.id!r}")
        self.refuse_unplanned(frame)

    def decode_into(self, frame: _core.Frame, out: Any, threads: int = 1) -> None:
        """Decode a frame of this kind, parsed and verified, into integers."""
        frame.decode_into(out, core_codec(frame, self), threads)


def _core_codec(codec: BindableCodec, parameters: bytes) -> _core.Codec:
    return _core.Codec(codec.number, parameters, codec.tile_values or 0)


class _InCore(BoundCodec):
    """A codec of the core whose parameters are settled, so that its tables are built once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.prepared: _core.Codec = _core_codec(self.codec, self.parameters)
        self.references = self.prepared.references

    def encode(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> bytes:
        return _core.encode(
            self._planned(checked_map(q, limits=limits)), self.prepared, *self._header, checked_threads(threads)
        )

    def encode_into(self, q: object, out: Any, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> int:
        array, threads = self._planned(checked_map(q, limits=limits)), checked_threads(threads)
        return _core.encode_into(array, checked_output(out), self.prepared, *self._header, threads)

    def encode_batch(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
        return _core.encode_batch(*self.request(q, limits), checked_threads(threads))

    def request(
        self, q: object, limits: Limits = DEFAULT_LIMITS
    ) -> tuple[Any, _core.Codec, bytes, bool, int, bytes, int]:
        """What the core needs to encode a batch."""
        return (self._planned(checked_map(q, True, limits), batched=True), self.prepared, *self._header)

    def decode_parsed(self, frames: Sequence[_core.Frame], out: Any, threads: int = 1) -> None:
        decoders = [None if frame.all_stored else self.prepared for frame in frames]
        _core.decode_batch_into(frames, out, decoders, checked_threads(threads))


class _OneByOne(BoundCodec):
    """Maps that are encoded one after another."""

    def encode_into(self, q: object, out: Any, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> int:
        frame = self.encode(q, threads, limits)
        view = memoryview(checked_output(out))
        if view.nbytes < len(frame):
            raise InvalidInput(f"the output is too small: the frame takes {len(frame)} bytes")
        view[: len(frame)] = frame
        return len(frame)

    def encode_batch(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
        return [self.encode(sample, threads, limits) for sample in as_numpy(checked_map(q, True, limits))]


class _FittedInCore(_OneByOne):
    """A codec of the core whose parameters are fitted to each map."""

    def encode(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> bytes:
        array, prepared = self._fitted(q, limits)
        return _core.encode(array, prepared, *self._header, checked_threads(threads))

    def encode_into(self, q: object, out: Any, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> int:
        array, prepared = self._fitted(q, limits)
        return _core.encode_into(array, checked_output(out), prepared, *self._header, checked_threads(threads))

    def _fitted(self, q: object, limits: Limits) -> tuple[NDArray[Any], _core.Codec]:
        array = as_numpy(self._planned(checked_map(q, limits=limits)))
        return array, _core_codec(self.codec, self.codec.parameters_for(array, self.quantizer))


class _InPython(_OneByOne):
    """A codec that is written in Python."""

    def __init__(self, codec: Any, *arguments: Any) -> None:
        super().__init__(codec, *arguments)
        self._tiles: PythonTiles = codec

    def encode(self, q: object, threads: int = 1, limits: Limits = DEFAULT_LIMITS) -> bytes:
        checked_threads(threads)
        array = as_numpy(self._planned(checked_map(q, limits=limits)))
        fitted = self.codec.fits_each_map and not self.plan_hash
        parameters = self.codec.parameters_for(array, self.quantizer) if fitted else self.parameters
        return encode_in_python(array, self._tiles, parameters, self._header)

    def decode_into(self, frame: _core.Frame, out: Any, threads: int = 1) -> None:
        parameters = self.parameters if self.plan_hash else frame.parameters
        as_numpy(out)[...] = decode_in_python(frame, self._tiles, parameters)


def encode_batches(
    batches: Sequence[tuple[BoundCodec, object]], threads: int = 1, limits: Limits = DEFAULT_LIMITS
) -> list[list[bytes]]:
    """`BoundCodec.encode_batch` of several batches [N, ...], those of the core's codecs in one call of it.

    The core releases the GIL once, and its `threads` take one map after another, whichever batch it is of.
    """
    threads = checked_threads(threads)
    in_core = [i for i, (bound, _) in enumerate(batches) if isinstance(bound, _InCore)]
    requests = [bound.request(q, limits) for bound, q in batches if isinstance(bound, _InCore)]
    encoded = dict(zip(in_core, _core.encode_batches(requests, threads), strict=True))
    for i, (bound, q) in enumerate(batches):
        if i not in encoded:
            encoded[i] = bound.encode_batch(q, threads, limits)
    return [encoded[i] for i in range(len(batches))]


def bind(codec: BindableCodec, quantizer: QuantParams | None = None) -> BoundCodec:
    """A codec bound to no plan: its frames hold their parameters and the quantizer."""
    if codec.number == EXTERNAL_NUMBER:
        return _InPython(codec, b"", quantizer)
    return (_FittedInCore if codec.fits_each_map else _InCore)(codec, b"", quantizer)


def bind_tap(
    codec: BindableCodec,
    parameters: bytes,
    quantizer: QuantParams,
    plan_hash: bytes,
    tap: int,
    shape: tuple[int, ...],
) -> BoundCodec:
    """A codec bound to a tap of a plan, which has the parameters and the quantizer."""
    kind = _InPython if codec.number == EXTERNAL_NUMBER else _InCore
    return kind(codec, parameters, quantizer, plan_hash, tap, shape)


def bound_for_encoding(
    codec: BindableCodec | None, plan: BoundPlan | None, tap: str | int | None, quantizer: QuantParams | None
) -> BoundCodec:
    """What `encode` works with: the plan's tap, which must have the codec if one is given, or the codec alone."""
    if plan is None:
        if tap is not None:
            raise InvalidInput("tap= names a tap of a plan, and no plan is given")
        if codec is None:
            raise InvalidInput("a codec or a plan is needed")
        return bind(codec, quantizer)
    if quantizer is not None:
        raise InvalidInput("with a plan, quantizer and settings are the plan's")
    if tap is None:
        if len(plan) != 1:
            raise PlanMismatch("tap= must name one of the plan's taps")
        tap = 0
    bound = plan.bound(tap)
    if codec is not None and codec.id != bound.codec.id:
        raise PlanMismatch(f"the plan codes tap {tap!r} with {bound.codec.id!r}")
    return bound


def given_codec(codec: _core.Codec, reference: Any) -> _core.Codec:
    """The core's codec with reference maps: an array, or a sequence of them."""
    several = isinstance(reference, list | tuple)
    return codec.given([as_numpy(checked_map(each)) for each in (reference if several else [reference])])


def core_codec(frame: _core.Frame, bound: BoundCodec | None) -> _core.Codec | None:
    """The core's codec of a frame: that of `bound`, else one of the frame's own parameters; None if all is stored."""
    if frame.all_stored:
        return None
    return (bound.prepared if bound is not None else None) or frame.codec()


def resolve_tap(frame: _core.Frame, plan: BoundPlan | None) -> BoundCodec:
    """The tap of `plan` that a frame was encoded with.

    Raises
    ------
    PlanMismatch
        The frame needs a plan and none is given, or another one.
    CorruptFrame
        The plan has no such tap, or one of another codec, shape or type.
    """
    if plan is None:
        raise PlanMismatch(f"this frame was encoded with plan {frame.plan_hash.hex()}; give it as plan=")
    if plan.hash8 != frame.plan_hash:
        raise PlanMismatch(f"this frame was encoded with plan {frame.plan_hash.hex()}, not {plan.hash8.hex()}")
    if frame.tap >= len(plan):
        raise CorruptFrame(f"the frame names tap {frame.tap} of a plan with {len(plan)} taps")
    bound = plan.bound(frame.tap)
    codec = bound.codec
    if codec.number != frame.number or (frame.external_id and codec.id != frame.external_id):
        raise CorruptFrame(f"the frame's codec is not the plan's for tap {frame.tap}")
    bound.refuse_unplanned(frame)
    return bound
