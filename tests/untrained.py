"""Parameters of `context-rans` in which channels predict channels, of no training: soon made, for any channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.context_rans_head_parameters import HeadParameters
from fmapzip.codecs.context_rans_parameters import ContextParameters, PredictionParameters
from fmapzip.geometry import worked_shape


def pairs_that_fit(weights: NDArray[np.int64]) -> NDArray[np.int64]:
    weights = weights.copy()
    for i in range(0, weights.shape[-1] - 1, 2):
        over = abs(weights[..., i]) + abs(weights[..., i + 1]) > 128
        weights[..., i][over] //= 2
        weights[..., i + 1][over] //= 2
    return weights


class Numbers:
    """Random ones: large ones reach the ends of their ranges."""

    def __init__(self, large: bool, seed: int) -> None:
        self.large, self.rng = large, np.random.default_rng(seed)
        self.small, self.wide = (127, 32767) if large else (20, 300)

    def some(self, most: int, *shape: int) -> NDArray[np.int64]:
        return self.rng.integers(-most, most + 1, shape)

    def byte(self) -> int:
        return int(self.rng.integers(256))

    def of_channels(self, channels: int, rank: int) -> dict[str, NDArray[np.int64]]:
        """What every prediction says of channels beside their own weights."""
        words = {name: self.some(self.wide, channels) for name in ("offsets", "shifts", "spread_bias", "zero_bias")}
        words["zero_of_mean"] = self.some(self.wide if self.large else 60, channels)
        return words | {name: self.some(self.small, channels, rank) for name in ("gather", "spread")}


def arbitrary_prediction(
    channels: int, width: int, rank: int, below: int, large: bool, seed: int, **others: Any
) -> bytes:
    """Parameters of no training, but for `others`: large ones take every number to the ends of its range."""
    numbers = Numbers(large, seed)
    some, small, wide = numbers.some, numbers.small, numbers.wide
    prediction = PredictionParameters(
        width=width,
        gather_shift=0 if large else 3,
        spread_shift=2,
        origin=48,
        first_activity=numbers.byte(),
        distance_weights=tuple(pairs_that_fit(some(small, 6)).tolist()),
        zero_of_present=tuple(some(small, 4).tolist()),
        zero_of_fold=int(some(small)),
        distance_offset=int(some(wide)),
        spread_of_log=int(some(wide)),
        spread_of_mean=int(some(wide)),
        spread_of_activity=int(some(wide)),
        zero_of_log=int(some(wide)),
        zero_of_activity=int(some(wide)),
        fold_origin=int(some(wide)),
        own=pairs_that_fit(some(small, channels, 7)),
        **numbers.of_channels(channels, rank),
    )
    return ContextParameters(
        below=below,
        table_of=np.zeros(1, np.int64),
        zero_class_of=np.zeros(1, np.int64),
        raw_bits=np.full((1, 16), 4),
        log_frequencies=np.full((1, 16), 32),
        prediction=replace(prediction, **others),
    ).to_bytes()


def arbitrary_head(
    channels: int, width: int, rank: int, below: int, large: bool, seed: int, spread_shift: int = 4
) -> ContextParameters:
    """Parameters of no training: large ones take every number to the ends of its range."""
    numbers = Numbers(large, seed)
    some, small, wide = numbers.some, numbers.small, numbers.wide
    prediction = PredictionParameters(
        width=width,
        gather_shift=0 if large else 3,
        spread_shift=spread_shift,
        origin=48,
        first_activity=numbers.byte(),
        distance_weights=tuple((some(small, 6) // 2).tolist()),
        distance_offset=int(some(wide)),
        own=some(small, channels, 7) // 2,
        **numbers.of_channels(channels, rank),
    )
    head = HeadParameters(
        unit_shift=0 if large else 5,
        output_shifts=(0, 1, 0) if large else (2, 1, 3),
        west=some(small, channels, rank),
        north=some(small, channels, rank),
        traits=numbers.rng.integers(0, 128, (channels, 2)),
        units=some(small, 32, 20),
        unit_bias=some(wide, 32),
        of_units=some(small, 3, 32),
        of_inputs=some(small, 3, 20),
        output_bias=some(wide, 3),
        table_of=np.zeros(2048, np.int64),
    )
    return ContextParameters(
        below=below,
        table_of=np.zeros(0, np.int64),
        zero_class_of=np.zeros(0, np.int64),
        raw_bits=np.full((1, 16), 4),
        log_frequencies=np.full((1, 16), 32),
        prediction=prediction,
        head=head,
    )


def mild_numbers(channels: int, middle: int) -> dict[str, Any]:
    """Numbers of a prediction by which most maps are coded: zero flags are taken for about as likely as not."""
    numbers = {"zero_of_log": 9, "zero_of_activity": -7, "zero_of_fold": 0, "zero_of_mean": np.ones(channels, np.int64)}
    return numbers | {"zero_bias": np.random.default_rng(channels).integers(middle, middle + 400, channels)}


@dataclass(frozen=True, repr=False)
class Untrained(ContextRans):
    """Levels ``max`` and ``ultra`` in frames without a plan: each map has parameters of no training."""

    def parameters_of_values(self, values: NDArray[Any], below: int) -> bytes:
        channels = worked_shape(values.shape)[0]
        if self.level == "max":
            mild = mild_numbers(channels, 2000)
            return arbitrary_prediction(channels, self._width(channels), 16, below, False, channels, **mild)
        made = arbitrary_head(channels, self._width(channels), 16, below, False, channels)
        assert made.prediction is not None
        assert made.head is not None
        prediction = replace(made.prediction, **mild_numbers(channels, 1000))
        head = replace(made.head, of_units=made.head.of_units // 8, of_inputs=made.head.of_inputs // 8)
        return replace(made, prediction=prediction, head=head).to_bytes()

    @staticmethod
    def _width(channels: int) -> int:
        return max(4, -(-channels // 256) * 4)
