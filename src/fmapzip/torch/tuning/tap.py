"""A feature map that is stored while the network trains: quantized and coded, with gradients and bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import Codec, IntegerMap
from fmapzip.errors import InvalidInput
from fmapzip.geometry import worked_shape
from fmapzip.plan import Plan, TapPlan
from fmapzip.quantize import NETWORK, QuantParams
from fmapzip.torch.actions import check_shape
from fmapzip.torch.capture import Tap
from fmapzip.torch.tuning.codings import Coding, ValueByValue
from fmapzip.torch.tuning.fit import Rate, coding_of, fitted, mask_bits, trained_as

CALIBRATOR = "tuned"
_SCALED_ON = 16  # images whose frames tell what a codec's own code lengths leave out
_LEAST_SLOPE = 0.25  # of the ratio of sums: images alike in their bits do not tell a slope


@dataclass(frozen=True)
class TapBits:
    """Bits of a feature map on some images: as training counts them, and of real frames.

    Parameters
    ----------
    name : str
    values : int
        Values of all images.
    expected, real : float
        Bits of all images, by the differentiable rate and by frames.
    zeros : int
        Values that are stored as zero.
    """

    name: str
    values: int
    expected: float
    real: float
    zeros: int


@dataclass(frozen=True)
class Band:
    """One of so many bands that the rows of a map are cut into, none of them empty."""

    index: int
    count: int

    def edges(self, rows: int) -> tuple[int, int]:
        """Return its first row, and the one after its last."""
        return self.index * rows // self.count, (self.index + 1) * rows // self.count


WHOLE = Band(0, 1)


class NotFinite(InvalidInput):
    """A feature map holds what is no number."""


class TunedTap(nn.Module):
    """What a slot does while the network trains: hands on what would be read back, differentiably.

    Rounding passes gradients straight through, saturation stops them, and the scale of the quantizer is learned (LSQ,
    Esser 2020, in the logarithm of the scale).

    Parameters
    ----------
    tap : Tap
    quantizer : QuantParams
        Where the scales begin.
    codec : Codec
        With which the map will be stored. While the network trains, another of the same values stands for it.
    rate : str
        Where bits come from, as `fmapzip.torch.tunable` says.
    """

    log_scale: nn.Parameter

    def __init__(self, tap: Tap, quantizer: QuantParams, codec: Codec, rate: str) -> None:
        super().__init__()
        self.tap, self.rate = tap, rate
        self._coding: Coding = ValueByValue()
        self._counted: Rate | None = None
        self._by_rows = False
        self._slope, self._intercept = 1.0, 0.0
        self._last: Tensor | None = None
        self._kept: list[IntegerMap] | None = None
        self.take(quantizer, codec)

    def take(self, quantizer: QuantParams, codec: Codec) -> None:
        """Begin with a quantizer, centred, and a codec; `log_scale` becomes another parameter."""
        if quantizer.calibrator == NETWORK and quantizer.zero_point is not None:
            raise InvalidInput(
                f"feature map {self.tap.name!r}: the scale of the network's own 8-bit integers is not learned"
            )
        quantizer = quantizer.centred()
        device = self.log_scale.device if hasattr(self, "log_scale") else None
        self._meant, self.codec = codec, trained_as(codec)
        self.limits, self.dtype = quantizer.limits, quantizer.dtype
        scale = torch.tensor(quantizer.scale, dtype=torch.float64)
        self.log_scale = nn.Parameter(scale.log().float().to(device))
        self.forget()

    @property
    def meant(self) -> Codec:
        """The codec that stores the map in the end; `codec`, which stands for it, is as it was settled."""
        return self._meant.in_place_of(self.codec)

    @property
    def quantizer(self) -> QuantParams:
        """The quantizer with the scales as they are now."""
        return QuantParams(self.dtype, tuple(self.log_scale.detach().cpu().double().exp().tolist()), CALIBRATOR)

    def snapshot(self) -> dict[str, Any]:
        """Return codec, dtype and scale, copied; `restore` takes them."""
        return {"codec": self.meant.config(), "dtype": self.dtype, "log_scale": self.log_scale.detach().clone()}

    def restore(self, kept: dict[str, Any]) -> None:
        """Take what `snapshot` returned; `log_scale` stays the same parameter where its shape does."""
        value = kept["log_scale"]
        codec = registry.from_config(kept["codec"])
        if codec != self.meant or kept["dtype"] != self.dtype or value.shape != self.log_scale.shape:
            self.take(QuantParams(kept["dtype"], tuple(value.cpu().double().exp().tolist()), CALIBRATOR), codec)
        with torch.no_grad():
            self.log_scale.copy_(value)

    def forward(self, x: Tensor) -> Tensor:
        """Return what would be read back of `x`."""
        check_shape(x, self.tap)
        planes = x.movedim(self.tap.axis, 1)
        maps = planes.float().reshape(len(x), *worked_shape(self.tap.shape))
        self._last = maps
        if self._kept is not None:
            if not bool(torch.isfinite(maps).all()):
                raise NotFinite(f"feature map {self.tap.name!r}: holds NaN or infinity")
            self._kept.append(self._integers(maps).round().to("cpu", getattr(torch, self.dtype)).numpy())
        if isinstance(self._coding, ValueByValue):
            out = self._coding.store(maps, self.log_scale, self.limits)
        else:
            out = self._coding.read_back(self._integers(maps)) * self.log_scale.exp().view(1, -1, 1, 1)
        return out.reshape(planes.shape).to(x.dtype).movedim(1, self.tap.axis)

    def bits(self, samples: int | None = None, band: Band = WHOLE) -> Tensor:
        """Return the bits of each of the first samples of the last batch, all by default, [N].

        Those of a band of rows stand for the others: the mean over all bands has the bits and gradients of the whole.
        """
        if self._last is None:
            raise InvalidInput(f"feature map {self.tap.name!r}: the network has not run yet")
        first, after = band.edges(self._last.shape[2])
        above = min(first, 1)
        symbols = self._coding.symbols(self._integers(self._last[:samples, :, first - above : after]))
        return self._slope * band.count * self._count(symbols, above) + self._intercept

    def bands(self, wanted: int) -> int:
        """Return how many bands there can be, at most those wanted: no more than rows, and one where all rows count."""
        return min(wanted, worked_shape(self.tap.shape)[1]) if self._by_rows else 1

    def _integers(self, maps: Tensor) -> Tensor:
        """What is rounded to integers."""
        return (maps / self.log_scale.exp().view(1, -1, 1, 1)).clamp(*self.limits)

    def keep(self) -> None:
        """From now on keep the integers of every batch, for `kept`."""
        self._kept = []

    def kept(self) -> IntegerMap:
        """Return the integers since `keep`, [N, *shape], and keep no more."""
        parts, self._kept, self._last = self._kept or [], None, None
        maps: IntegerMap = np.concatenate(parts).reshape(-1, *self.tap.shape)  # type: ignore[assignment]
        return maps

    def forget(self) -> None:
        """Read every integer back as it is: what follows then depends on no maps of before."""
        self._coding = ValueByValue()

    def fit_coding(self, maps: IntegerMap) -> None:
        """Take points from integer maps."""
        self._coding = coding_of(self.codec, maps).to(self.log_scale.device)

    def fit(self, maps: IntegerMap, planned: TapPlan) -> None:
        """Take tables, points and the scale of the bits from integer maps and what the codec makes of them."""
        found = fitted(self.codec, maps, self.rate)
        self._coding = found.coding.to(self.log_scale.device)
        self._counted, self._by_rows = found.rate.to(self.log_scale.device), found.by_rows
        some = maps[:: max(1, len(maps) // _SCALED_ON)] if found.exact else maps
        real = _real(some, planned) if found.exact or len(maps) < 2 else self._real_of_others(maps)
        expected, real = self._expected(some), real - mask_bits(self.codec, maps.shape[1:])
        self._slope = 1.0 if found.exact else _slope(expected, real)
        self._intercept = float(np.mean(real - self._slope * expected)) + mask_bits(self.codec, maps.shape[1:])

    def compare(self, maps: IntegerMap, planned: TapPlan) -> TapBits:
        """Return what integer maps take by the differentiable rate, and in frames."""
        expected = self._slope * self._expected(maps) + self._intercept
        zeros = maps.size - int(np.count_nonzero(maps))
        return TapBits(self.tap.name, maps.size, float(expected.sum()), float(_real(maps, planned).sum()), zeros)

    def planned(self, maps: IntegerMap) -> TapPlan:
        """Return what a plan says of the tap, `codec` trained on integer maps."""
        return TapPlan(self.tap.name, self.tap.shape, self.quantizer, self.codec, self.codec.train(maps))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device, as `to` and `cuda` do, with what is no parameter."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._coding = self._coding.to(self.log_scale.device)
        self._counted = None if self._counted is None else self._counted.to(self.log_scale.device)
        return self

    def _count(self, symbols: Tensor, first: int) -> Tensor:
        if self._counted is None:
            raise InvalidInput("the tables of a feature map are not fitted yet")
        return self._counted.bits(symbols, first)

    def _real_of_others(self, maps: IntegerMap) -> NDArray[np.float64]:
        """Bits of each map's frame by tables that the map took no part in: they suit others less than their own."""
        real = np.empty(len(maps))
        for part in (slice(0, None, 2), slice(1, None, 2)):
            others = np.delete(maps, np.arange(len(maps))[part], axis=0)
            real[part] = _real(maps[part], self.planned(others))
        return real

    def _expected(self, maps: IntegerMap) -> NDArray[np.float64]:
        """Bits of each map before slope and intercept."""
        found = []
        with torch.no_grad():
            for sample in maps.reshape(len(maps), 1, *worked_shape(maps.shape[1:])):
                u = torch.from_numpy(sample).to(self.log_scale.device, torch.float32)
                found.append(float(self._count(self._coding.symbols(u), 0)))
        return np.array(found)


def _real(maps: IntegerMap, planned: TapPlan) -> NDArray[np.float64]:
    """Bits of each map's frame."""
    frames = fmapzip.encode_batch(maps, plan=Plan((planned,)), tap=0)
    return np.array([8.0 * len(frame) for frame in frames])


def _slope(expected: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """How real bits grow with expected ones, from one image to the next; no more than in proportion."""
    ratio = float(real.sum() / max(expected.sum(), 1e-9))
    varied = expected - expected.mean()
    slope = float(varied @ real) / max(float(varied @ varied), 1e-9)
    return min(max(slope, _LEAST_SLOPE * ratio), ratio)
