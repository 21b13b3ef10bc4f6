"""Fits level `ultra` of `context-rans`: factors of the positions before, and a small network between sums and contexts.

First all that is linear follows gradients of the code length, as at level `max`, with loadings for factors of the
positions to the left and above. Then, in the integers that a decoder will have, a network of one layer learns what
to add to mean, spread and logit of zero; it starts from their linear weights. Tables are counted last, on all maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip import _core
from fmapzip.codecs.base import IntegerMap
from fmapzip.codecs.context_rans_head_parameters import (
    GIVEN_INPUTS,
    INPUTS,
    MAX_HEAD_TABLES,
    MEAN_STEPS,
    OUTPUT_BIAS,
    OUTPUTS,
    SPREAD_STEPS,
    UNIT_BIAS,
    UNITS,
    HeadParameters,
)
from fmapzip.codecs.context_rans_parameters import ContextParameters, Ints, PredictionParameters
from fmapzip.codecs.context_rans_prediction import (
    BIAS_UNIT,
    CLASS_MIDDLE,
    CLASS_UNIT,
    LOG_UNIT,
    ONE,
    Around,
    Features,
    Floats,
    Frame,
    Trainer,
    Weights,
    bounded_array,
    density_slopes,
    find_features,
    find_frame,
    first_weights,
    integer_loadings,
    own_residuals,
    sigmoid,
)
from fmapzip.codecs.context_rans_reference import Heard, estimates_at, fit_references
from fmapzip.codecs.context_rans_samples import Axis, Samples, chosen_positions, sample_at
from fmapzip.codecs.context_rans_tables import fill_unseen, fit_tables

_MOST = 127  # of inputs and units
_TOP = 4.0  # of a unit, in the network that is trained
_UNIT_ONE = _MOST / _TOP
_OUTPUT_UNITS = np.array((2, 1, 2), np.float32)  # what an output of one stands for: companded values, and logarithms
_MEAN, _LOG, _ACTIVITY, _TRAITS, _PRESENT = 6, 12, 13, 14, 16  # places of inputs
_TRAIT_SPREAD = 24.0
_BATCH = 8192
_STEPS, _LEAST_STEPS = 800, 60
_VALUES_OF_A_STEP = 2000
_RATE = 5e-3
_BIAS_RATE = 5e-3
_LARGEST_SHIFT = 24
_SPREAD_UNIT = 1 << 10  # of a step of the spread
_VALUES_OF_A_TABLE = 2000
_LEAST_TABLES = 16


@dataclass
class _Heard:
    """Values of sampled positions, one after the other: what the head hears of them, and what it has to tell."""

    inputs: NDArray[np.uint8]
    means: Floats
    channels: Ints
    zero: NDArray[np.bool_]
    edges: tuple[Floats, Floats]


def fit_head(
    maps: IntegerMap,
    draft: ContextParameters,
    axis: Axis,
    tables: tuple[Ints, Ints],
    shape: HeadShape,
    heard: Heard = (),
) -> ContextParameters:
    """Parameters of level `ultra` from a draft that says how values become indices.

    `tables` are, of a value as a byte, its index, and of an index the value that it stands for; `heard` are the
    reference maps.
    """
    index_of, value_of = tables
    companded, edges = axis.companded(value_of), axis.edges(value_of)
    positions = chosen_positions(maps, shape.positions)
    references = fit_references(maps, draft.below, heard) if heard else None

    def sampled(positions: Ints) -> Samples:
        found = sample_at(maps, index_of, companded, positions)
        if references is None:
            return found
        return replace(found, estimates=estimates_at(references, heard, positions, maps.shape, axis))

    samples = sampled(positions)
    frame = find_frame(samples, axis, edges, shape.width)
    features = find_features(frame, samples, edges)
    features.around = _around(maps, frame, sampled, positions)
    weights = first_weights(frame, features, shape.rank)
    weights |= {name: np.zeros_like(weights["loadings"]) for name in ("west", "north")}
    Trainer(frame, features, weights).run(shape.epochs)

    prediction, head = _linear(frame, features, weights)
    if references is not None and frame.estimate is not None:
        references = replace(references, own=frame.estimate)
    draft = replace(draft, prediction=prediction, head=head, references=references)
    given = [earlier.maps for _, earlier in heard]
    network = _Network(frame, _hear(maps, draft, given, positions, samples.indices, edges), weights)
    network.run()
    prediction, head = network.integers(prediction, head)
    draft = replace(draft, prediction=prediction, head=head)
    return _fit_tables(maps, draft, given, signed=frame.signed)


@dataclass(frozen=True)
class HeadShape:
    """How much is trained, and on how many positions."""

    width: int
    rank: int
    positions: int
    epochs: int


def _around(maps: IntegerMap, frame: Frame, sampled: Callable[[Ints], Samples], positions: Ints) -> Around:
    height, width = maps.shape[2:]
    column, row = positions % width, positions // width % height

    def residuals(back: int, exists: NDArray[np.bool_]) -> Floats:
        found = own_residuals(frame, sampled(np.maximum(positions - back, 0)))
        return found * exists[:, None]

    return Around(residuals(1, column > 0), residuals(width, row > 0), width)


def _linear(frame: Frame, f: Features, w: Weights) -> tuple[PredictionParameters, HeadParameters]:
    """What the head hears, in integers, and a head that does nothing yet."""
    rank, channels = w["gather"].shape[1], len(frame.own)
    beside = np.concatenate([w["loadings"], w["west"], w["north"]], 1)
    gather, loadings, gather_shift, spread_shift = integer_loadings(frame, f, {**w, "loadings": beside})
    none = np.zeros(channels, np.int64)
    inputs = INPUTS if frame.estimate is None else GIVEN_INPUTS
    prediction = PredictionParameters(
        width=frame.width,
        gather_shift=gather_shift,
        spread_shift=spread_shift,
        origin=frame.origin,
        first_activity=round(float(f.activity[0, 0]) / LOG_UNIT),
        distance_weights=tuple(frame.distance_weights.tolist()),
        distance_offset=frame.distance_offset,
        own=frame.own,
        offsets=bounded_array(frame.offsets),
        shifts=bounded_array(w["shift"] * (ONE / BIAS_UNIT)),
        spread_bias=none,
        zero_bias=none,
        zero_of_mean=none,
        gather=gather,
        spread=loadings[:, :rank],
    )
    head = HeadParameters(
        unit_shift=0,
        output_shifts=(0,) * OUTPUTS,
        west=loadings[:, rank : 2 * rank],
        north=loadings[:, 2 * rank :],
        traits=np.stack([_trait(w["spread_bias"]), _trait(w["zero_bias"])], 1),
        units=np.zeros((UNITS, inputs), np.int64),
        unit_bias=np.zeros(UNITS, np.int64),
        of_units=np.zeros((OUTPUTS, UNITS), np.int64),
        of_inputs=np.zeros((OUTPUTS, inputs), np.int64),
        output_bias=np.zeros(OUTPUTS, np.int64),
        table_of=np.zeros(MEAN_STEPS * SPREAD_STEPS, np.int64),
    )
    return prediction, head


def _trait(biases: Floats) -> Ints:
    """A channel's place among others, from 0 to 127."""
    relative = (biases - biases.mean()) / (biases.std() + 1e-3)
    trait: Ints = np.clip(np.rint(_MOST / 2 + _TRAIT_SPREAD * relative), 0, _MOST).astype(np.int64)
    return trait


def _hear(
    maps: IntegerMap,
    draft: ContextParameters,
    given: Sequence[IntegerMap],
    positions: Ints,
    indices: NDArray[np.uint8],
    edges: tuple[Floats, Floats],
) -> _Heard:
    inputs, mean_bytes = _core.ContextStatistics(draft.to_bytes()).hear(maps, positions.tobytes(), given)
    means = np.frombuffer(mean_bytes, np.int32)
    count, channels = indices.shape
    flat = indices.reshape(-1)
    low, high = (edge[flat] for edge in edges)
    return _Heard(
        np.frombuffer(inputs, np.uint8).reshape(len(means), -1),
        np.asarray(means / ONE, np.float32),
        np.tile(np.arange(channels), count),
        flat == 0,
        (low, high),
    )


class _Network:
    """A layer of units that are cut at both ends, and outputs that also hear the inputs; Adam on the code length."""

    def __init__(self, frame: Frame, heard: _Heard, linear: Weights) -> None:
        self.frame, self.heard = frame, heard
        some = heard.inputs[:: max(1, len(heard.inputs) // 100000)].astype(np.float32)
        self.middle, self.spread = some.mean(0), some.std(0) + 1
        random = np.random.default_rng(2)
        inputs = heard.inputs.shape[1]
        of_inputs = np.zeros((OUTPUTS, inputs))
        of_log, of_mean, of_activity = linear["spread"]
        of_inputs[1, [_LOG, _ACTIVITY]] = 2 * LOG_UNIT * of_log, 2 * LOG_UNIT * of_activity
        of_inputs[1, _MEAN] = 2 * of_mean / ONE
        of_inputs[2, [_LOG, _ACTIVITY]] = LOG_UNIT * linear["zero"][0], LOG_UNIT * linear["zero"][1]
        of_inputs[2, _PRESENT : _PRESENT + 4] = linear["zero"][3:] / ONE / 2
        weights = {
            "units": random.normal(0, (2 / inputs) ** 0.5, (UNITS, inputs)),
            "unit_bias": np.zeros(UNITS),
            "of_units": random.normal(0, 0.1 * UNITS**-0.5, (OUTPUTS, UNITS)),
            "of_inputs": of_inputs * self.spread,
            "output_bias": of_inputs @ self.middle,
            "spread_bias": linear["spread_bias"],
            "zero_bias": linear["zero_bias"],
            "zero_of_mean": linear["zero_of_mean"],
        }
        # The mean of zero's place is not an input of its own: it is where means are counted from.
        weights["output_bias"][1] -= of_inputs[1, _MEAN] * frame.origin / 2
        self.weights: Weights = {name: np.asarray(w, np.float32) for name, w in weights.items()}
        self.first: Weights = {}
        self.second: Weights = {}

    def run(self) -> None:
        random = np.random.default_rng(3)
        count = len(self.heard.means)
        steps = int(np.clip(count // _VALUES_OF_A_STEP, _LEAST_STEPS, _STEPS))
        rates = dict.fromkeys(self.weights, _RATE) | {"spread_bias": _BIAS_RATE, "zero_bias": _BIAS_RATE}
        rates["zero_of_mean"] = 0.0
        for step in range(1, steps + 1):
            gradients = self._gradients(random.integers(0, count, min(_BATCH, count)))
            decay = min(1, step / 20) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
            for name, gradient in gradients.items():
                self._move(name, gradient, rates[name] * decay, step)

    def sums(self, some: Ints) -> tuple[Floats, ...]:
        """Inputs, units before and after they are cut, mean, spread and logit of zero."""
        w, channel = self.weights, self.heard.channels[some]
        x = (self.heard.inputs[some] - self.middle) / self.spread
        before = x @ w["units"].T + w["unit_bias"]
        units = np.clip(before, 0, _TOP)
        out = (units @ w["of_units"].T + x @ w["of_inputs"].T + w["output_bias"]) * _OUTPUT_UNITS
        means = self.heard.means[some]
        spreads = np.clip(w["spread_bias"][channel] + out[:, 1], -3, 6)
        zeros = w["zero_bias"][channel] + w["zero_of_mean"][channel] * means + out[:, 2]
        return x, before, units, means + out[:, 0], spreads, zeros

    def _gradients(self, some: Ints) -> Weights:
        w, heard = self.weights, self.heard
        x, before, units, means, spreads, zeros = self.sums(some)
        zero = heard.zero[some]
        edges = heard.edges[0][some], heard.edges[1][some]
        mean_slope, spread_slope = density_slopes(self.frame, edges, means, spreads)
        slopes = np.stack([mean_slope * ~zero, spread_slope * ~zero, sigmoid(zeros) - zero], 1) / len(some)
        channel, channels = heard.channels[some], len(self.frame.own)
        by_channel = [np.bincount(channel, slopes[:, i], channels).astype(np.float32) for i in (1, 2)]
        slopes = np.asarray(slopes * _OUTPUT_UNITS, np.float32)
        back = (slopes @ w["of_units"]) * ((before > 0) & (before < _TOP))
        return {
            "units": back.T @ x,
            "unit_bias": back.sum(0),
            "of_units": slopes.T @ units,
            "of_inputs": slopes.T @ x,
            "output_bias": slopes.sum(0),
            "spread_bias": by_channel[0],
            "zero_bias": by_channel[1],
        }

    def _move(self, name: str, gradient: Floats, rate: float, step: int) -> None:
        first = self.first[name] = 0.9 * self.first.get(name, np.float32(0)) + 0.1 * gradient
        second = self.second[name] = 0.99 * self.second.get(name, np.float32(0)) + 0.01 * gradient**2
        moved = rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        self.weights[name] = (self.weights[name] - moved).astype(np.float32)

    def integers(
        self, prediction: PredictionParameters, head: HeadParameters
    ) -> tuple[PredictionParameters, HeadParameters]:
        """Prediction and head with what was learned."""
        w = self.weights
        count = len(self.heard.means)
        spreads = self.sums(np.arange(0, count, max(1, count // 100000)))[4]
        low, high = np.quantile(spreads, [0.001, 0.999])
        spread_one = SPREAD_STEPS * _SPREAD_UNIT / max(float(high - low), 0.1)
        zero_one = 256 / CLASS_UNIT
        units, unit_bias, unit_shift = _layer(
            _UNIT_ONE * w["units"] / self.spread,
            _UNIT_ONE * (w["unit_bias"] - w["units"] @ (self.middle / self.spread)),
        )
        of_units, of_inputs, output_bias, shifts = [], [], [], []
        for q, one in enumerate((ONE, spread_one, zero_one)):
            scale = one * _OUTPUT_UNITS[q]
            direct = w["of_inputs"][q] / self.spread
            both = np.concatenate([w["of_units"][q] / _UNIT_ONE, direct])[None] * scale
            bias = scale * (w["output_bias"][q] - direct @ self.middle)
            weights, biases, shift = _layer(both, np.array([bias]), OUTPUT_BIAS)
            of_units.append(weights[0, :UNITS])
            of_inputs.append(weights[0, UNITS:])
            output_bias.append(biases[0])
            shifts.append(shift)
        return (
            replace(
                prediction,
                spread_bias=bounded_array((w["spread_bias"] - low) * (spread_one / BIAS_UNIT)),
                zero_bias=bounded_array((w["zero_bias"] * zero_one + 256 * CLASS_MIDDLE) / BIAS_UNIT),
                zero_of_mean=bounded_array(w["zero_of_mean"] * (zero_one / 2)),
            ),
            replace(
                head,
                unit_shift=unit_shift,
                output_shifts=tuple(shifts),
                units=units,
                unit_bias=unit_bias,
                of_units=np.array(of_units),
                of_inputs=np.array(of_inputs),
                output_bias=np.array(output_bias),
            ),
        )


def _layer(weights: NDArray[Any], biases: NDArray[Any], bias_unit: int = UNIT_BIAS) -> tuple[Ints, Ints, int]:
    """Weights as 8 bits and biases as 16, of sums that a shift brings back to scale; half of a unit rounds them."""
    largest = max(float(np.abs(weights).max()), 1e-9)
    shift = int(np.clip(np.floor(np.log2(_MOST / largest)), 0, _LARGEST_SHIFT))
    scaled = np.clip(np.rint(weights * 2.0**shift), -_MOST, _MOST).astype(np.int64)
    return scaled, bounded_array((biases + 0.5) * 2.0**shift / bias_unit), shift


def _fit_tables(
    maps: IntegerMap, draft: ContextParameters, given: Sequence[IntegerMap], *, signed: bool
) -> ContextParameters:
    symbols = np.frombuffer(_core.ContextStatistics(draft.to_bytes()).count_head(maps, given), np.int64)
    counts = symbols.reshape(MEAN_STEPS * SPREAD_STEPS, -1)[:, 1:]
    most = int(np.clip(counts.sum() // _VALUES_OF_A_TABLE, _LEAST_TABLES, MAX_HEAD_TABLES))
    assigned, token_tables = fit_tables(counts, most, signed=signed)
    assert draft.head is not None
    return replace(
        draft,
        head=replace(draft.head, table_of=fill_unseen(assigned, SPREAD_STEPS)),
        raw_bits=token_tables.raw_bits,
        log_frequencies=token_tables.log_frequencies,
    )
