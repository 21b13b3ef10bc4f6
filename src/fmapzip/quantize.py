"""Quantizers, float <-> 8-bit integers, and the calibrators that set their scales.

The map is uniform: ``q = clip(round_half_even(x / scale) + zero_point, lo, hi)`` in float32, so that zero stays zero.
Calibrators give the zero point 0: maps without negative values in calibration use 0..255, others -127..127. Only
``minmax:offset`` gives others, and a network that was quantized before has its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fmapzip.errors import InvalidInput, InvalidType
from fmapzip.histogram import MagnitudeHistogram
from fmapzip.zero_point import values as values_of

DtypeName = Literal["uint8", "int8"]
DEFAULT_CALIBRATOR = "minmax"
NETWORK = "network"
"""What the calibrator of quantizers is called that a network brings with its own 8-bit integers."""

_LIMITS: dict[DtypeName, tuple[int, int]] = {"uint8": (0, 255), "int8": (-127, 127)}
_ALL: dict[DtypeName, tuple[int, int]] = {"uint8": (0, 255), "int8": (-128, 127)}
_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)  # below it float32 loses precision, and some machines flush to 0
_LARGEST_SCALE = 2.0**120  # above it float32 overflows where 8-bit integers are multiplied
_FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class QuantParams:
    """How one feature map is quantized.

    Parameters
    ----------
    dtype : {"uint8", "int8"}
        Integer type; ``int8`` uses -127..127, and -128 too where a zero point is given.
    scale : tuple of float
        Step of the grid, float32 values from 2^-126 to 2^120: one for the whole tensor, or one a channel.
    calibrator : str
        What set the scale, as in :func:`make_observer`; named beside every ratio, since it alone moves ratios.
    zero_point : int, optional
        The integer that stands for 0, of a quantizer that uses all integers of its type, as networks' own do. Without
        it that is 0.

    Examples
    --------
    >>> import numpy as np
    >>> params = QuantParams("uint8", (0.5,), "minmax")
    >>> q = params.quantize(np.array([0.0, 0.25, 0.75, 200.0], np.float32))
    >>> q.tolist(), params.dequantize(q).tolist()
    ([0, 0, 2, 255], [0.0, 0.0, 1.0, 127.5])
    >>> QuantParams("uint8", (0.5,), "network", zero_point=3).quantize(np.array([-9.0, 0.0, 1.0], np.float32)).tolist()
    [0, 3, 5]
    """

    dtype: DtypeName
    scale: tuple[float, ...]
    calibrator: str = DEFAULT_CALIBRATOR
    zero_point: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in _LIMITS:
            raise InvalidInput(f"quantizer dtype is {self.dtype!r}; it must be 'uint8' or 'int8'")
        if not isinstance(self.calibrator, str):
            raise InvalidType("quantizer calibrator must be a string")
        if not self.scale:
            raise InvalidInput("quantizer needs at least one scale")
        with np.errstate(over="ignore"):
            rounded = tuple(float(np.float32(value)) for value in self.scale)
        if not all(_SMALLEST_SCALE <= value <= _LARGEST_SCALE for value in rounded):
            raise InvalidInput(f"quantizer scales lie between {_SMALLEST_SCALE:.3g} and {_LARGEST_SCALE:.3g}")
        object.__setattr__(self, "scale", rounded)
        if self.zero_point is None:
            return
        if type(self.zero_point) is not int:
            raise InvalidType("a quantizer's zero point is an integer")
        if not _ALL[self.dtype][0] <= self.zero_point <= _ALL[self.dtype][1]:
            raise InvalidInput(f"the zero point {self.zero_point} is not an integer of {self.dtype}")

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer that is used."""
        return (_LIMITS if self.zero_point is None else _ALL)[self.dtype]

    @property
    def zero(self) -> int:
        """The integer that stands for 0."""
        return self.zero_point or 0

    @property
    def per_channel(self) -> bool:
        """Whether each channel has its own scale."""
        return len(self.scale) > 1

    def centred(self) -> QuantParams:
        """Return the grid of int8 without a zero point that reaches as far; this one where it has no zero point.

        Examples
        --------
        >>> QuantParams("uint8", (0.5,), zero_point=128).centred()
        QuantParams(dtype='int8', scale=(0.5039370059967041,), calibrator='minmax', zero_point=None)
        """
        if self.zero_point is None:
            return self
        low, high = self.limits
        wider = max(self.zero_point - low, high - self.zero_point) / _LIMITS["int8"][1]
        return QuantParams("int8", tuple(scale * wider for scale in self.scale), self.calibrator)

    def quantize(self, x: ArrayLike, axis: int = 0, name: str = "") -> NDArray[np.uint8] | NDArray[np.int8]:
        """Round a float array to the integer grid; values beyond the grid saturate.

        Parameters
        ----------
        x : array_like of float16, float32 or float64
            Any shape; worked on in float32.
        axis : int
            The channel axis, used where there is a scale a channel: 0 for [C, H, W], 1 for [N, C, H, W].
        name : str
            Name of the feature map, for errors.

        Returns
        -------
        ndarray of uint8 or int8, shape and memory order of `x`

        Raises
        ------
        InvalidType
            `x` is not floating point.
        InvalidInput
            `x` holds NaN or infinity, or its channels do not fit the scales.
        """
        values = _as_float32(x, name)
        lo, hi = self.limits
        with np.errstate(over="ignore"):
            scaled = np.asarray(np.divide(values, self._scales(values.shape, axis, name)))
        np.rint(scaled, out=scaled)
        if self.zero:
            with np.errstate(over="ignore"):
                scaled += np.float32(self.zero)
        return np.clip(scaled, lo, hi, out=scaled).astype(self.dtype)

    def dequantize(self, q: ArrayLike, axis: int = 0, name: str = "") -> NDArray[np.float32]:
        """Return the float32 values that the integers `q` (of this quantizer's dtype) stand for."""
        integers = np.asarray(q)
        if integers.dtype != np.dtype(self.dtype):
            raise InvalidType(f"{_of(name)}: integers are {integers.dtype}, the quantizer's are {self.dtype}")
        integers = values_of(integers, self.zero)
        return np.asarray(np.multiply(integers, self._scales(integers.shape, axis, name), dtype=np.float32))

    def _scales(self, shape: tuple[int, ...], axis: int, name: str) -> NDArray[np.float32]:
        scales: NDArray[np.float32] = np.array(self.scale, np.float32)
        if not self.per_channel:
            return scales.reshape(())
        if not -len(shape) <= axis < len(shape) or shape[axis] != len(self.scale):
            raise InvalidInput(f"{_of(name)}: {len(self.scale)} scales do not fit axis {axis} of shape {list(shape)}")
        return scales.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the scales are the shortest decimals that give the float32 values back."""
        found: dict[str, Any] = {
            "dtype": self.dtype,
            "scale": [float(np.format_float_scientific(np.float32(value))) for value in self.scale],
            "calibrator": self.calibrator,
        }
        return found if self.zero_point is None else {**found, "zero_point": self.zero_point}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; raises `InvalidInput` or `InvalidType` where it is not that."""
        if not isinstance(data, Mapping) or set(data) - {"zero_point"} != {"dtype", "scale", "calibrator"}:
            raise InvalidInput("a quantizer has the keys 'dtype', 'scale' and 'calibrator', and maybe 'zero_point'")
        scale = data["scale"]
        numbers = isinstance(scale, list | tuple) and all(type(value) in (int, float) for value in scale)
        if not numbers:
            raise InvalidType("quantizer 'scale' must be a list of numbers")
        return cls(data["dtype"], tuple(scale), data["calibrator"], data.get("zero_point"))


class Observer(Protocol):
    """Watches calibration maps go by, in bounded memory, and then sets a quantizer."""

    def update(self, x: NDArray[Any]) -> None:
        """Look at a batch of float maps [N, C, ...]; NaN and infinity raise `InvalidInput`."""

    def finish(self) -> QuantParams:
        """Return the quantizer; `InvalidInput` where no value was seen."""


def make_observer(calibrator: str = DEFAULT_CALIBRATOR, name: str = "") -> Observer:
    """Make the observer for one feature map.

    Parameters
    ----------
    calibrator : str
        ``minmax``: the grid reaches the largest magnitude seen.
        ``percentile:P``: it reaches the magnitude that P % of all values, zeros included, do not exceed (the largest
        where that is zero).
        ``mse``: it reaches the magnitude with the smallest squared error, rounding and saturation together.
        A scale that would leave 2^-126 to 2^120 is cut to it: beyond, dequantized values are not finite.
        ``minmax:offset``: it reaches from the smallest to the largest value seen, with a zero point, where that is
        finer by a tenth than reaching the largest magnitude on both sides of zero; else it is ``minmax``.
        With ``:channel`` behind it, one scale a channel: ``minmax:channel``, ``percentile:99.9:channel``.
    name : str
        Name of the feature map, for errors.

    Raises
    ------
    InvalidInput
        The calibrator is not one of these.

    Examples
    --------
    >>> import numpy as np
    >>> observer = make_observer("minmax")
    >>> observer.update(np.array([[0.0, 2.0], [51.0, 1.0]], np.float32))
    >>> observer.finish().scale
    (0.20000000298023224,)
    """
    kind, _, rest = calibrator.partition(":")
    argument, per_channel = (rest.removesuffix("channel").rstrip(":"), rest.rpartition(":")[2] == "channel")
    if kind == "minmax" and argument in ("", "offset"):
        return (_Offset if argument else _MinMax)(calibrator, name, per_channel)
    if kind == "mse" and not argument:
        return _MeanSquaredError(calibrator, name, per_channel)
    if kind == "percentile":
        try:
            percent = float(argument)
        except ValueError:
            percent = -1.0
        if 0 < percent <= 100:
            return _Percentile(calibrator, name, per_channel, percent)
        raise InvalidInput(f"calibrator {calibrator!r}: percentile needs a number above 0 and up to 100")
    raise InvalidInput(
        f"unknown calibrator {calibrator!r}; there are minmax, minmax:offset, percentile:P and mse, each also :channel"
    )


def calibrate(maps: NDArray[Any], calibrator: str = DEFAULT_CALIBRATOR, name: str = "") -> QuantParams:
    """Set a quantizer from maps [N, C, ...] that are all in memory, as :func:`make_observer` says."""
    observer = make_observer(calibrator, name)
    observer.update(maps)
    return observer.finish()


class _MinMax:
    def __init__(self, calibrator: str, name: str, per_channel: bool) -> None:
        self._calibrator, self._name, self._per_channel = calibrator, name, per_channel
        self._low: NDArray[np.float32] | None = None
        self._high: NDArray[np.float32] | None = None

    def update(self, x: NDArray[Any]) -> None:
        values = _as_batch(x, self._name)
        if not values.size:
            return
        axes = tuple(i for i in range(values.ndim) if i != 1) if self._per_channel else None
        low, high = np.atleast_1d(values.min(axis=axes)), np.atleast_1d(values.max(axis=axes))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise InvalidInput(f"{_of(self._name)}: holds NaN or infinity")
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        self._look(values)

    def _look(self, values: NDArray[np.float32]) -> None:
        """Take what else the calibrator needs from finite `values` [N, C, ...]."""

    def finish(self) -> QuantParams:
        if self._low is None or self._high is None:
            raise InvalidInput(f"{_of(self._name)}: calibration saw no values")
        dtype: DtypeName = "int8" if bool((self._low < 0).any()) else "uint8"
        reach = self._reach(np.maximum(self._high, -self._low), _LIMITS[dtype])
        return QuantParams(dtype, _usable(reach / np.float32(_LIMITS[dtype][1])), self._calibrator)

    def _reach(self, largest: NDArray[np.float32], limits: tuple[int, int]) -> NDArray[np.float32]:
        """Return the magnitude that the largest integer stands for, one a row."""
        return largest


class _Offset(_MinMax):
    """With a zero point, one for all channels: the one whose squared scales sum to the least."""

    _LEAST = 16  # integers on either side, so that channels of small values may have finer scales in both
    _FINER = 0.9

    def finish(self) -> QuantParams:
        symmetric = super().finish()
        if symmetric.dtype == "uint8" or self._low is None or self._high is None:
            return symmetric
        zeros = np.arange(self._LEAST, 256 - self._LEAST)[:, None]
        above, below = np.maximum(self._high, 0).astype(np.float64), np.maximum(-self._low, 0).astype(np.float64)
        scales = np.maximum(above / (255 - zeros), below / zeros)
        energies = np.square(scales).sum(1)
        best = int(energies.argmin())
        reach = np.maximum(above, below) / _LIMITS["int8"][1]
        if energies[best] > self._FINER**2 * np.square(reach).sum():
            return symmetric
        return QuantParams("uint8", _usable(scales[best]), self._calibrator, int(zeros[best, 0]))


class _WithHistogram(_MinMax, ABC):
    _BINS_TENSOR, _BINS_CHANNEL = 8192, 1024

    def __init__(self, calibrator: str, name: str, per_channel: bool) -> None:
        super().__init__(calibrator, name, per_channel)
        self._histogram: MagnitudeHistogram | None = None

    def _look(self, values: NDArray[np.float32]) -> None:
        rows = values.shape[1] if self._per_channel else 1
        if self._histogram is None:
            self._histogram = MagnitudeHistogram(rows, self._BINS_CHANNEL if self._per_channel else self._BINS_TENSOR)
        for sample in np.abs(values):  # sample by sample, to bound the temporary arrays
            for row, part in enumerate(sample if self._per_channel else (sample,)):
                self._histogram.add(row, np.atleast_1d(part))

    def _reach(self, largest: NDArray[np.float32], limits: tuple[int, int]) -> NDArray[np.float32]:
        histogram = self._histogram
        if histogram is None:
            return largest
        reach = np.array([self._row_reach(histogram, row, limits) for row in range(len(largest))], np.float32)
        return np.where(reach > 0, reach, largest)

    @abstractmethod
    def _row_reach(self, histogram: MagnitudeHistogram, row: int, limits: tuple[int, int]) -> float:
        """How far the grid reaches for one row of the histogram."""


class _Percentile(_WithHistogram):
    def __init__(self, calibrator: str, name: str, per_channel: bool, percent: float) -> None:
        super().__init__(calibrator, name, per_channel)
        self._percent = percent

    def _row_reach(self, histogram: MagnitudeHistogram, row: int, limits: tuple[int, int]) -> float:
        return histogram.percentile(row, self._percent)


class _MeanSquaredError(_WithHistogram):
    # Candidates from the largest magnitude down to a sixteenth of it, 16 an octave.
    _FRACTIONS = 2.0 ** (-np.arange(65) / 16)

    def _row_reach(self, histogram: MagnitudeHistogram, row: int, limits: tuple[int, int]) -> float:
        largest = float(histogram.maximum[row])
        if largest == 0:
            return 0.0
        counts = histogram.counts[row].astype(np.float64)
        counts[0] -= histogram.zeros[row]  # exact zeros cost nothing
        used = np.flatnonzero(counts)
        centre = np.minimum((used + 0.5) * histogram.bin_width[row], largest)
        reaches = largest * self._FRACTIONS
        errors = [
            float(np.sum(counts[used] * (centre - np.minimum(np.rint(centre / step), limits[1]) * step) ** 2))
            for step in reaches / limits[1]
        ]
        return float(reaches[int(np.argmin(errors))])


def _usable(scale: NDArray[np.floating]) -> tuple[float, ...]:
    """Scales as float32 holds them; 1 of what has only zeros."""
    kept = np.clip(scale, _SMALLEST_SCALE, _LARGEST_SCALE).astype(np.float32)
    return tuple(float(value) for value in np.where(scale > 0, kept, np.float32(1)))


def _as_float32(x: ArrayLike, name: str) -> NDArray[np.float32]:
    values = np.asarray(x)
    if values.dtype.type not in _FLOATS:
        raise InvalidType(f"{_of(name)}: expected float16, float32 or float64 values, got {values.dtype}")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise InvalidInput(f"{_of(name)}: holds NaN or infinity")
    return values


def _as_batch(x: NDArray[Any], name: str) -> NDArray[np.float32]:
    values = np.asarray(x)
    if values.dtype.type not in _FLOATS:
        raise InvalidType(f"{_of(name)}: expected float16, float32 or float64 values, got {values.dtype}")
    if values.ndim < 2:
        raise InvalidInput(f"{_of(name)}: calibration takes batches [N, C, ...], got shape {list(values.shape)}")
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def _of(name: str) -> str:
    return f"feature map {name!r}" if name else "feature map"
