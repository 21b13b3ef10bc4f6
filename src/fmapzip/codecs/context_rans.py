"""Interleaved rANS in trained contexts: what is known of a value's neighbours picks the table that codes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.codecs import context_rans_training as training
from fmapzip.codecs.base import LATER, Codec, IntegerMap, Tradeoff
from fmapzip.codecs.context_rans_parameters import level_of
from fmapzip.codecs.context_rans_reference import Earlier, choose
from fmapzip.codecs.context_rans_requantizer import requantized, trained_points
from fmapzip.codecs.settings import check_tile_values
from fmapzip.errors import InvalidInput, TruncatedFrame
from fmapzip.geometry import worked_shape
from fmapzip.quantize import QuantParams
from fmapzip.zero_point import below_zero, value_bytes

Level = Literal["fast", "default", "max", "ultra"]
Weights = Literal["channel", "shared"]

PLAN_SIZE = training.ModelSize(levels=21, spread_levels=6, tables=32)
_MAX_SIZE = training.ModelSize(levels=21, spread_levels=6, tables=64)
_FAST_TABLES = 8
_LEVELS = ("fast", "default", "max", "ultra")
_WEIGHTS = ("channel", "shared")
_LARGE_LEVELS = ("max", "ultra")  # whose parameters weigh
_PLAN_BYTES = 0.01
_LARGEST_STEP = 255
_STATE_BYTES = 4
_LONGEST_CHAIN = 255
_REFERENCES = 4 | 8 | 128  # flags of parameters that refer to other maps
_CHECKSUM_BYTES = 4
_MEASURED_VALUES = 1 << 23
_SURELY_LESS = 0.65  # of level `default`: less than this level reaches without references
_SOME_PLAN = b"\0" * 8  # parameters stand elsewhere


@dataclass(frozen=True, repr=False)
class ContextRans(Codec):
    """Entropy coding with static tables, picked for each value by its neighbours in the same channel.

    Parameters
    ----------
    level : {"fast", "default", "max", "ultra"}
        ``fast`` picks a value's table by its channel alone; ``default`` by a trained mean and a trained spread of
        the four neighbours decoded before it; ``max`` has more tables, and with a plan it also knows the
        channels decoded before at the same position, which say most of what neighbours do not. ``ultra`` also knows
        those of the positions to the left and above and what its predictions of neighbours missed, and a small
        network of integers makes contexts of it all; it takes about three times as long as ``max``. Without a plan
        it is ``default``.
    step : int, float or str, default 1
        Above 1, values are divided by it and rounded (near-lossless); a fraction such as ``"3/2"`` is exact. Zeros
        stay zeros. A decoded value differs from the original by at most `step`, and with centred points
        (no plan) by at most half of it, rounded up.
    weights : {"channel", "shared"}
        What a plan may give each channel at level ``default``: weights of its own for the mean, and biases of spread
        and zero, where calibration says that they pay; or one set of weights for all channels, for smaller hardware.
    tables : int, optional
        How many token tables a plan may have, up to 64: by default 8, 32 and 64 at ``fast``, ``default`` and ``max``.
        Hardware holds each of them once for each lane.
    plan_bytes : float, default 0.01
        Of levels ``max`` and ``ultra``: how large a plan may be, as a part of the bytes of the maps that it is made
        from. Where it would be larger, maps whose parameters weigh most get those of ``max``, then
        ``default``.
    references : int, default 0
        Of level ``ultra``, with a plan: above 0, a map may be coded with maps of the same sample that the network
        computed before, where calibration says that it saves bytes; whoever decodes it needs those first, so that at
        most so many maps are decoded, one after the other, before it. For archives and stores that keep all maps.
    tile_values : int, optional
        How many values a tile may have, unless a row of the map has more: smaller tiles want less memory on a chip and
        take more bytes. By default 1048576.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> rng = np.random.default_rng(0)
    >>> q = np.maximum(rng.normal(0, 9, (64, 24, 24)), 0).astype(np.uint8)
    >>> frame = fmapzip.encode(q, "context-rans")
    >>> bool((fmapzip.decode(frame) == q).all()), len(frame) < len(fmapzip.encode(q, "zvc"))
    (True, True)
    """

    id: ClassVar[str] = "context-rans"
    number: ClassVar[int] = 4

    level: Level = "default"
    step: int | float | str = 1
    weights: Weights = field(default="channel", metadata=LATER)
    tables: int | None = field(default=None, metadata=LATER)
    plan_bytes: float = field(default=_PLAN_BYTES, metadata=LATER)
    references: int = field(default=0, metadata=LATER)
    tile_values: int | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise InvalidInput(f"level is {self.level!r}; it must be one of {', '.join(_LEVELS)}")
        if self.tables is not None and (self.level == "ultra" or not 1 <= self.tables <= _MAX_SIZE.tables):
            raise InvalidInput(f"tables is {self.tables!r}; it must be from 1 to {_MAX_SIZE.tables}, below level ultra")
        if self.weights not in _WEIGHTS or (self.weights == "shared" and self.level != "default"):
            raise InvalidInput(f"weights is {self.weights!r}; it must be channel, or shared at level default")
        if not 0 < self.plan_bytes <= 1 or (self.plan_bytes != _PLAN_BYTES and self.level not in _LARGE_LEVELS):
            raise InvalidInput(
                f"plan_bytes is {self.plan_bytes!r}; it must be above 0 and at most 1, at level max or ultra"
            )
        if not 0 <= self.references <= _LONGEST_CHAIN or (self.references and self.level != "ultra"):
            raise InvalidInput(f"references is {self.references!r}; it must be 0 to {_LONGEST_CHAIN}, at level ultra")
        check_tile_values(self.tile_values)
        try:
            step = Fraction(str(self.step))
        except (ValueError, ZeroDivisionError):
            raise InvalidInput(f"step is {self.step!r}; it must be a number or a fraction such as '3/2'") from None
        if not 1 <= step <= _LARGEST_STEP or step.numerator > training.MAX_STEP_TERM:
            raise InvalidInput(
                f"step is {self.step!r}; it must be from 1 to {_LARGEST_STEP}, with a numerator of at most 16 bits"
            )
        object.__setattr__(self, "step", step.numerator if step.denominator == 1 else str(step))

    @property
    def lossless(self) -> bool:
        """Whether the step is 1."""
        return self._step == 1

    @classmethod
    def variants(cls) -> Sequence[Codec]:
        """Levels ``default`` and ``max``; the latter takes three to four times as long to decode.

        ``ultra`` is for who asks for it: it takes three times as long again, and minutes to train.
        """
        return (cls(), cls(level="max"))

    def tradeoffs(self) -> Sequence[Tradeoff]:
        """Steps, where none is set."""
        return (Tradeoff(lambda step, _: replace(self, step=int(step)), requantizes=True),) if self.lossless else ()

    def draft(self) -> Codec:
        """Level ``default`` of ``max`` and ``ultra``: levels differ in bytes alone."""
        if self.level not in _LARGE_LEVELS:
            return self
        return replace(self, level="default", plan_bytes=_PLAN_BYTES, references=0)

    @property
    def plan_share(self) -> float | None:
        """`plan_bytes`, at levels ``max`` and ``ultra``."""
        return self.plan_bytes if self.level in _LARGE_LEVELS else None

    def lighter(self) -> Codec:
        """``ultra`` without references, then ``max``, then ``default``."""
        if self.references:
            return replace(self, references=0)
        return replace(self, level="max") if self.level == "ultra" else self.draft()

    def made_of(self, parameters: bytes) -> Codec:
        """The level that parameters are of, where it is not this one."""
        made: Codec = self
        while isinstance(made, ContextRans) and made.level in _LARGE_LEVELS and made.level != level_of(parameters):
            made = made.lighter()
        return made

    def path_taken(self, parameters: bytes) -> str:
        """The level that parameters are of, where ``max`` or ``ultra`` was asked for."""
        return level_of(parameters) if self.level in _LARGE_LEVELS else ""

    def in_place_of(self, draft: Codec) -> Codec:
        """The draft's step with these settings."""
        return replace(self, step=draft.step) if isinstance(draft, ContextRans) else draft

    def approximation(self, maps: IntegerMap, zero_point: int = 0) -> IntegerMap | None:
        """Values re-quantized by the step."""
        return maps if self.lossless else requantized(maps, zero_point, self._step)

    def train(self, maps: IntegerMap, zero_point: int = 0) -> bytes:
        """Contexts, tables and reconstruction points from calibration maps; deterministic."""
        return self.train_values(value_bytes(maps, zero_point), below_zero(maps.dtype, zero_point))

    def train_values(self, values: NDArray[Any], below: int) -> bytes:
        """`train` on values that are counted from their zero point, as `fmapzip.zero_point.value_bytes` gives them."""
        batch = values.reshape(len(values), *worked_shape(values.shape[1:]))
        points = trained_points(values, below, self._step) if self._step != 1 else ()
        requantizer = training.Requantizer(below, self._step, points)
        if self.level == "fast":
            return training.train_channels(batch, requantizer, self.tables or _FAST_TABLES).to_bytes()
        if self.level == "ultra":
            return training.train_head(batch, requantizer).to_bytes()
        size = _MAX_SIZE if self.level == "max" else PLAN_SIZE
        size = replace(size, tables=self.tables or size.tables)
        if self.level == "max":
            return training.train_prediction(batch, requantizer, size).to_bytes()
        train = training.train_neighbours if self.weights == "shared" else training.train_default
        return train(batch, requantizer, size).to_bytes()

    @property
    def longest_chain(self) -> int:
        """`references`."""
        return self.references

    def train_referring(
        self, maps: IntegerMap, quantizer: QuantParams | None, earlier: Sequence[tuple[IntegerMap, QuantParams | None]]
    ) -> tuple[bytes, tuple[int, ...]]:
        """With at most two of the earlier maps: those whose frames and parameters are smallest on these samples."""
        zero_point = 0 if quantizer is None else quantizer.zero
        below = below_zero(maps.dtype, zero_point)
        batch = _worked(value_bytes(maps, zero_point))
        known = [Earlier(_worked(each), 0 if q is None else q.zero) for each, q in earlier]
        chosen = choose(batch, below, known)
        if not chosen:
            return self.train_for(maps, quantizer), ()
        points = trained_points(batch, below, self._step) if self._step != 1 else ()
        heard = tuple((reference, known[i]) for i, reference in chosen)
        together = training.train_head(batch, training.Requantizer(below, self._step, points), heard).to_bytes()
        if _core.Codec(ContextRans.number, together).references != len(chosen):
            return together, ()  # more channels than such parameters can tell
        some = slice(None, None, max(1, maps.size // _MEASURED_VALUES))
        integers = _worked(maps)[some]

        def size(parameters: bytes, given: Sequence[IntegerMap]) -> float:
            """Bytes of all maps and parameters."""
            references = list(zip(*(each[some] for each in given), strict=True))
            return _frame_bytes(parameters, integers, zero_point, references) / len(integers) * len(maps) + len(
                parameters
            )

        with_them = size(together, [each.maps for _, each in heard])
        references = tuple(i for i, _ in chosen)
        quick = ContextRans(step=self.step, weights="shared")
        if with_them < _SURELY_LESS * size(quick.train_for(maps, quantizer), []):
            return together, references
        alone = self.train_for(maps, quantizer)
        return (together, references) if with_them < size(alone, []) else (alone, ())

    def parameters(self, q: IntegerMap, zero_point: int = 0) -> bytes:
        """Compact tables fitted to one map, with centred reconstruction points."""
        return self.parameters_of_values(value_bytes(q, zero_point), below_zero(q.dtype, zero_point))

    def parameters_of_values(self, values: NDArray[Any], below: int) -> bytes:
        """`parameters` of values that are counted from their zero point."""
        step = self._step
        return _core.fit_context_rans(values, below, step.numerator, step.denominator, self.level != "fast")

    def sections(self, body: bytes, shape: tuple[int, int, int], parameters: bytes) -> dict[str, int]:
        """Bytes of the coder's states and of the words that follow them."""
        states = _STATE_BYTES * _lanes(parameters, shape)
        refers = parameters[0] & _REFERENCES == _REFERENCES
        checksum = {"references' checksum": _CHECKSUM_BYTES} if refers else {}
        words = len(body) - states - sum(checksum.values())
        if words < 0:
            raise TruncatedFrame(f"context-rans: a body of {len(body)} bytes ends inside its {states} bytes of states")
        return {**checksum, "states": states, "words": words}

    @property
    def _step(self) -> Fraction:
        return _fraction(str(self.step))


def _worked(maps: NDArray[Any]) -> NDArray[Any]:
    return maps.reshape(len(maps), *worked_shape(maps.shape[1:]))


def _frame_bytes(
    parameters: bytes, maps: IntegerMap, zero_point: int, references: Sequence[Sequence[IntegerMap]]
) -> int:
    """Bytes of the frames of maps without parameters."""
    codec = _core.Codec(ContextRans.number, parameters)
    size = 0
    for i, q in enumerate(maps):
        given = codec.given(list(references[i])) if references else codec
        size += len(_core.encode(q, given, b"", False, zero_point, _SOME_PLAN, 0, 1))
    return size


@lru_cache(maxsize=64)
def _fraction(step: str) -> Fraction:
    return Fraction(step)


@lru_cache(maxsize=8)
def _lanes(parameters: bytes, shape: tuple[int, int, int]) -> int:
    """Coder states of a tile; the tiles of a map are of two shapes."""
    return _core.context_lanes(parameters, *shape)
