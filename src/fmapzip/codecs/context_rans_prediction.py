"""Fits how channels predict channels: to code length, by gradients through a parametric density.

A value is zero with a probability of its own, and else lies where a logistic distribution of trained mean and
logarithmic spread puts it, both cut to the values that are not zero. Token tables, which are counted afterwards in
the integers that a decoder will have, take the place of that distribution; it only says which sums separate values
best. Weights of a channel's own neighbours are least squares; what is gathered from other channels starts from a
factor model (Bartholomew, 1987), and everything but the own weights then follows Adam (Kingma and Ba, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_factors import factor_model
from fmapzip.codecs.context_rans_parameters import Ints, PredictionParameters
from fmapzip.codecs.context_rans_samples import DISTANCES, NEIGHBOURS, Axis, Samples

ONE = 64  # of a mean
BIAS_UNIT = 8
_PAIR_LIMIT = 128
_LOG_STEPS = 128
LOG_UNIT = np.log(2) / 32  # of a step's logarithm
_LOGS = np.array([(int(i + 1) ** 32).bit_length() - 1 for i in range(_LOG_STEPS)])
CLASS_UNIT = 0.22  # of a zero class, in the logit
CLASS_MIDDLE = 32.0
_RESIDUALS = (-64, 63)
_PRESENT = 8
_BELOW_ZERO = 48  # how far below zero means are told apart: there, zeros from surer zeros
_TOP_SPREAD = 63 * 256

_SHRINK = 2000.0  # positions' worth of all channels' weights in each channel's own
_GATHER_SPREAD = 6.0  # root mean square of integer loadings
_SPREAD_SPREAD = 9.0
_FACTOR_SPREAD = 18.0  # of factors, which are -64 to 63
_LOGISTIC = 0.72  # spread of a logistic density over its mean distance from the mean
_BATCH = 128
_LEAST_STEPS = 300
_RATES = {
    "shift": 0.1,
    "spread_bias": 0.01,
    "zero_bias": 0.03,
    "zero_of_mean": 0.002,
    "spread": np.array([0.01, 0.01, 0.02]),
    "zero": np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]),
}
_LOADING_RATE = 0.05  # of the mean magnitude of loadings

Floats = NDArray[np.float32]
Weights = dict[str, Floats]


@dataclass
class Features:
    """What samples say before other channels are heard, all [positions, C] but activity, [positions, spans]."""

    means: Floats
    residuals: Floats
    logs: Floats
    present: list[NDArray[np.bool_]]
    activity: Floats
    zero: NDArray[np.bool_]
    low: Floats
    high: Floats
    around: Around | None = None


@dataclass
class Around:
    """Residuals of the positions to the left and above, [positions, C], 0 outside; `reach` is the maps' width."""

    west: Floats
    north: Floats
    reach: int


@dataclass(frozen=True)
class Frame:
    """What does not follow gradients: integers as they will be stored."""

    width: int
    zero: int  # companded
    edges: tuple[float, float]  # of what is coded as zero, companded
    own: Ints
    offsets: Ints
    distance_weights: Ints
    distance_offset: int
    estimate: Ints | None = None  # weights of estimates from reference maps

    @property
    def origin(self) -> int:
        """Where a mean of zero lies on the axis of its steps."""
        return max(_BELOW_ZERO - self.zero, 0)

    @property
    def signed(self) -> bool:
        """Whether there are values on both sides of zero."""
        return self.zero != 0

    @property
    def spans(self) -> list[slice]:
        """The channels of each span."""
        channels = len(self.own)
        return [slice(c, min(c + self.width, channels)) for c in range(0, channels, self.width)]


def fit_prediction(
    samples: Samples, axis: Axis, edges: tuple[Floats, Floats], width: int, rank: int, epochs: int
) -> PredictionParameters:
    """Prediction of values from their neighbours and from the channels before.

    `edges` are, of each index as a byte, where its companded interval begins and ends.
    """
    frame = find_frame(samples, axis, edges, width)
    features = find_features(frame, samples, edges)
    weights = first_weights(frame, features, rank)
    Trainer(frame, features, weights).run(epochs)
    return _integers(frame, features, weights)


# What a channel's own neighbours say.


def find_frame(samples: Samples, axis: Axis, edges: tuple[Floats, Floats], width: int) -> Frame:
    """What does not follow gradients, from samples."""
    own, offsets, estimate = _own_weights(samples)
    residuals = np.abs(samples.companded - _own_means(samples, own, offsets, estimate) / ONE)
    distance_weights, distance_offset = _distance_weights(samples, residuals)
    zero_edges = (float(edges[0][0]), float(edges[1][0]))
    return Frame(width, axis.zero, zero_edges, own, offsets, distance_weights, distance_offset, estimate)


def _own_weights(samples: Samples) -> tuple[Ints, Ints, Ints | None]:
    """Least squares of each channel, drawn towards that of all channels, in integers.

    Weights [C, 7], offsets, and weights of the estimates, where there are.
    """
    count, channels = samples.companded.shape
    known = NEIGHBOURS + (samples.estimates is not None)
    inputs = known + 2  # and one, and the value
    moments = np.zeros((channels, inputs, inputs))
    for first in range(0, count, 512):
        some = slice(first, first + 512)
        ones = np.ones_like(samples.companded[some])
        estimates = [] if samples.estimates is None else [samples.estimates[some] / ONE]
        rows = np.stack([*(x[some] for x in samples.neighbours), *estimates, ones, samples.companded[some]], -1)
        rows = rows.transpose(1, 0, 2).astype(np.float64)
        moments += rows.transpose(0, 2, 1) @ rows
    means = moments[:, known] / count
    centred = moments - count * means[:, :, None] * means[:, None, :]
    gram, target = centred[:, :known, :known], centred[:, :known, -1]
    ridge = np.eye(known)
    total = gram.sum(0)
    total += ridge * (1e-3 * np.trace(total) / known + 1e-3)
    shared = np.linalg.solve(total, target.sum(0))
    prior = total * (known / np.trace(total))
    pull = _SHRINK * np.maximum(np.trace(gram, axis1=1, axis2=2) / known / count, 1.0)[:, None, None]
    weights = np.linalg.solve(
        gram + pull * prior + 1e-3 * ridge, (target + (pull * (prior @ shared)[:, None])[:, :, 0])[:, :, None]
    )
    integer = np.rint(ONE * weights[:, :, 0]).astype(np.int64)
    own = _pairs_within(integer[:, :NEIGHBOURS])
    offsets = ONE * means[:, -1] - (own * means[:, :NEIGHBOURS]).sum(1)
    if samples.estimates is None:
        return own, np.rint(offsets / BIAS_UNIT).astype(np.int64), None
    estimate: Ints = np.clip(integer[:, NEIGHBOURS], -127, 127)
    offsets -= estimate * means[:, NEIGHBOURS]
    return own, np.rint(offsets / BIAS_UNIT).astype(np.int64), estimate


def _pairs_within(weights: Ints) -> Ints:
    """Weights whose products with bytes sum to 16 bits in each pair."""
    bounded = np.clip(weights, -_PAIR_LIMIT + 1, _PAIR_LIMIT - 1)
    for i in range(0, bounded.shape[-1] - 1, 2):
        pair = bounded[..., i : i + 2]
        size = np.abs(pair).sum(-1, keepdims=True)
        pair[...] = np.where(size > _PAIR_LIMIT, np.trunc(pair * (_PAIR_LIMIT / np.maximum(size, 1))), pair)
    return bounded


def _own_means(samples: Samples, own: Ints, offsets: Ints, estimate: Ints | None) -> Floats:
    """In 1/64, as a decoder has them."""
    means = np.broadcast_to(BIAS_UNIT * offsets.astype(np.float32), samples.companded.shape).copy()
    for i, neighbour in enumerate(samples.neighbours):
        means += neighbour * own[:, i].astype(np.float32)
    if samples.estimates is not None and estimate is not None:
        means += samples.estimates * estimate >> 6
    return means


def _distance_weights(samples: Samples, residuals: Floats) -> tuple[Ints, int]:
    """Least squares, not negative, of the residual's magnitude on distances between neighbours; scaled to 128 steps."""
    count = len(DISTANCES)
    moments = np.zeros((count + 2, count + 2))
    for first in range(0, len(residuals), 512):
        some = slice(first, first + 512)
        rows = [_distance(samples, pair, some).ravel() for pair in DISTANCES]
        rows += [np.ones(residuals[some].size, np.float32), residuals[some].ravel()]
        stacked = np.stack(rows).astype(np.float64)
        moments += stacked @ stacked.T
    gram, target = moments[:-1, :-1], moments[:-1, -1]
    gram[range(count), range(count)] += 1e-3 * np.trace(gram) / count + 1e-3
    kept = list(range(count + 1))
    solution = np.zeros(count + 1)
    while kept:
        found = np.linalg.solve(gram[np.ix_(kept, kept)], target[kept])
        if (found > 0).all():
            solution[kept] = found
            break
        kept = [k for k, x in zip(kept, found, strict=True) if x > 0]
    offset = max(float(solution[-1]), 0.5)
    largest = max(solution[i] + solution[i + 1] for i in range(0, count, 2))
    typical = offset + float(solution[:count] @ moments[:count, count]) / moments[count, count]
    # Ten times the typical spread is the last of the steps.
    scale = min(_LOG_STEPS * 256 / (10 * typical), _PAIR_LIMIT / max(largest, 1e-9))
    weights = _pairs_within(np.rint(scale * solution[:count]).astype(np.int64))
    return weights, int(min(round(scale * offset), (1 << 15) - 1))


def _distance(samples: Samples, pair: tuple[int, int], some: slice) -> Floats:
    a, b = (samples.neighbours[i][some].astype(np.int16) for i in pair)
    distance: Floats = np.abs(a - b).astype(np.float32)
    return distance


def find_features(frame: Frame, samples: Samples, edges: tuple[Floats, Floats]) -> Features:
    """What samples say before other channels are heard."""
    means = _own_means(samples, frame.own, frame.offsets, frame.estimate)
    residuals = _residuals(samples, means)
    distance = np.full(means.shape, frame.distance_offset, np.float32)
    for pair, weight in zip(DISTANCES, frame.distance_weights, strict=True):
        if weight:
            distance += np.float32(weight) * _distance(samples, pair, slice(None))
    steps = np.clip(np.floor(distance / 256), 0, _LOG_STEPS - 1).astype(np.int64)
    logs = (_LOGS * LOG_UNIT).astype(np.float32)[steps]
    present = [neighbour != frame.zero for neighbour in samples.neighbours[:4]]
    zero = samples.indices == 0
    low, high = (edge[samples.indices] for edge in edges)
    return Features(means / np.float32(ONE), residuals, logs, present, _activity(frame, residuals), zero, low, high)


def own_residuals(frame: Frame, samples: Samples) -> Floats:
    """What values differ by from what their own neighbours predict."""
    return _residuals(samples, _own_means(samples, frame.own, frame.offsets, frame.estimate))


def _residuals(samples: Samples, means: Floats) -> Floats:
    return np.clip(samples.companded - np.floor((means + ONE // 2) / ONE), *_RESIDUALS).astype(np.float32)


def _activity(frame: Frame, residuals: Floats) -> Floats:
    """Of each span, the logarithm of the mean magnitude of the residuals before it, as a decoder has it."""
    activity = np.zeros((len(residuals), len(frame.spans)), np.int64)
    total = np.zeros(len(residuals), np.int64)
    for s, span in enumerate(frame.spans[:-1], 1):
        total += np.abs(residuals[:, span]).sum(1).astype(np.int64)
        activity[:, s] = _LOGS[np.minimum(4 * total // span.stop, _LOG_STEPS - 1)]
    activity[:, 0] = _first_activity(activity)
    logarithms: Floats = (activity * LOG_UNIT).astype(np.float32)
    return logarithms


def _first_activity(activity: Ints) -> int:
    return round(float(activity[:, 1:].mean())) if activity.shape[1] > 1 else 0


# What other channels say.


def first_weights(frame: Frame, features: Features, rank: int) -> Weights:
    """Where gradients start: least squares and a factor model."""
    channels = len(frame.own)
    rate = features.zero.mean(0) * 0.98 + 0.01
    slope = -0.1
    zero_bias = np.log(rate / (1 - rate)) - slope * features.means.mean(0)
    weights = {
        "shift": np.zeros(channels),
        "spread_bias": np.log(np.abs(features.residuals).mean(0) * _LOGISTIC + 0.5) - features.logs.mean(0),
        "zero_bias": zero_bias,
        "zero_of_mean": np.full(channels, slope),
        "spread": np.array([1.0, 0.0, 0.0]),  # of logarithm, mean / 64, activity
        "zero": np.zeros(7),  # of logarithm, activity, the mean's fold, and present W, N, NW, NE
    }
    weights |= _first_loadings(frame, features, rank)
    return {name: weight.astype(np.float32) for name, weight in weights.items()}


def _first_loadings(frame: Frame, features: Features, rank: int) -> dict[str, NDArray[np.float64]]:
    channels, spans = len(frame.own), frame.spans
    if rank == 0 or len(spans) == 1:
        return {"gather": np.zeros((channels, 0)), "loadings": np.zeros((channels, 0))}
    residuals = features.residuals.astype(np.float64)
    loadings, noise = factor_model(residuals.T @ residuals / len(residuals), min(rank, channels - 1))
    gather = np.zeros((channels, rank))
    gather[:, : loadings.shape[1]] = loadings / noise[:, None]
    gather /= np.std(residuals @ gather, axis=0) + 1e-9
    spread, sums = np.zeros((channels, rank)), np.zeros((len(residuals), rank))
    for before, span in pairwise(spans):
        sums += residuals[:, before] @ gather[before]
        gram = sums.T @ sums
        gram += np.eye(rank) * (1e-2 * np.trace(gram) / rank + 1)
        spread[span] = np.linalg.solve(gram, sums.T @ residuals[:, span]).T
    return {"gather": gather, "loadings": spread}


@dataclass
class Trainer:
    """Adam on the code length of batches of positions."""

    frame: Frame
    features: Features
    weights: Weights
    first: Weights = field(default_factory=dict)
    second: Weights = field(default_factory=dict)

    def run(self, epochs: int) -> None:
        """So many passes over the samples, and at least 300 batches."""
        count = len(self.features.residuals)
        batch = min(_BATCH, count)
        epochs = max(epochs, -(-_LEAST_STEPS // (count // batch)))
        total = epochs * (count // batch)
        rates = {
            **_RATES,
            **{
                k: _LOADING_RATE * float(np.abs(self.weights[k]).mean())
                for k in ("gather", "loadings")
                if self.weights[k].size
            },
        }
        rates |= {k: rates["loadings"] for k in ("west", "north") if k in self.weights and "loadings" in rates}
        random = np.random.default_rng(1)
        step = 0
        for _ in range(epochs):
            order = random.permutation(count)
            for i in range(count // batch):
                step += 1
                gradients = self._gradients(np.sort(order[i * batch : (i + 1) * batch]))
                decay = min(1, step / 20) * (0.5 + 0.5 * np.cos(np.pi * step / total))
                for name, rate in rates.items():
                    self._move(name, gradients[name], rate * decay, step)

    def _move(self, name: str, gradient: Floats, rate: float | NDArray[np.float64], step: int) -> None:
        first = self.first[name] = 0.9 * self.first.get(name, np.float32(0)) + 0.1 * gradient
        second = self.second[name] = 0.98 * self.second.get(name, np.float32(0)) + 0.02 * gradient**2
        moved = rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.98**step)) + 1e-8)
        self.weights[name] = (self.weights[name] - moved).astype(np.float32)

    def _gradients(self, some: Ints) -> Weights:
        f, w = self.features, self.weights
        sums = predicted(self.frame, f, w, some)
        mean_slope, spread_slope = density_slopes(self.frame, (f.low[some], f.high[some]), sums.means, sums.spreads)
        zero = f.zero[some]
        present = ~zero
        mean_slope *= present
        spread_slope *= present
        zero_slope = sigmoid(sums.zero) - zero
        of_zero = [(zero_slope * x).sum() for x in (f.logs[some], sums.activity, sums.fold)]
        of_zero += [(zero_slope * p[some]).sum() for p in f.present]
        of_spread = [(spread_slope * x).sum() for x in (f.logs[some], sums.means / 64, sums.activity)]
        gradients = {
            "zero_bias": zero_slope.sum(0),
            "zero_of_mean": (zero_slope * sums.means).sum(0),
            "spread_bias": spread_slope.sum(0),
        }
        mean_slope += zero_slope * (w["zero_of_mean"] + w["zero"][2] * np.sign(sums.fold_side))
        mean_slope += spread_slope * (w["spread"][1] / 64)
        gradients["shift"] = mean_slope.sum(0)
        gradients |= self._loading_gradients(some, mean_slope, sums.factors)
        size, channels = zero.size, zero.shape[1]
        for name in gradients:
            gradients[name] = gradients[name] * (channels / size)
        gradients["zero"], gradients["spread"] = np.array(of_zero) / size, np.array(of_spread) / size
        return {name: np.asarray(g, np.float32) for name, g in gradients.items()}

    def _loading_gradients(self, some: Ints, slope: Floats, factors: list[Floats]) -> Weights:
        residuals, spans = self.features.residuals[some], self.frame.spans
        gather, loadings = np.zeros_like(self.weights["gather"]), np.zeros_like(self.weights["loadings"])
        if not factors:
            return {"gather": gather, "loadings": loadings}
        back = np.zeros_like(factors[0])
        for s in range(len(spans) - 1, 0, -1):
            loadings[spans[s]] = slope[:, spans[s]].T @ factors[s - 1]
            back += slope[:, spans[s]] @ self.weights["loadings"][spans[s]]
            gather[spans[s - 1]] = residuals[:, spans[s - 1]].T @ back
        found = {"gather": gather, "loadings": loadings}
        return found if self.features.around is None else self._around_gradients(some, slope, found)

    def _around_gradients(self, some: Ints, slope: Floats, found: Weights) -> Weights:
        around, spans, w = self.features.around, self.frame.spans, self.weights
        assert around is not None
        for name, residuals, ahead in _sides(around, some):
            sums = _sums_until(spans, residuals, w["gather"])
            found[name] = np.zeros_like(w[name])
            back = [np.zeros_like(sums[0]) for _ in spans]
            for s, span in enumerate(spans):
                until = min(s + ahead, len(spans) - 1)
                found[name][span] = slope[:, span].T @ sums[until]
                back[until] += slope[:, span] @ w[name][span]
            for s in range(len(spans) - 1, -1, -1):
                back[s - 1] += back[s] if s else 0
                found["gather"][spans[s]] += residuals[:, spans[s]].T @ back[s]
        return found


def _sides(around: Around, some: Ints) -> tuple[tuple[str, Floats, int], ...]:
    """Of what is around: its loadings' name, its residuals, and how many spans ahead it is known."""
    return ("west", around.west[some], 0), ("north", around.north[some], around.reach - 1)


def _sums_until(spans: list[slice], residuals: Floats, gather: Floats) -> list[Floats]:
    """Factors after each span."""
    sums: list[Floats] = []
    for span in spans:
        here = residuals[:, span] @ gather[span]
        sums.append(sums[-1] + here if sums else here)
    return sums


@dataclass
class Sums:
    """What is predicted of some positions, [positions, C]; factors of each span but the first."""

    means: Floats
    spreads: Floats
    zero: Floats
    activity: Floats
    fold: Floats
    fold_side: Floats
    factors: list[Floats]


def predicted(frame: Frame, f: Features, w: Weights, some: Ints) -> Sums:
    """Means, logarithms of spreads and logits of zero."""
    means = f.means[some] + w["shift"]
    residuals, factors = f.residuals[some], []
    if w["gather"].size:
        sums: Floats = np.zeros((len(residuals), w["gather"].shape[1]), np.float32)
        for before, span in pairwise(frame.spans):
            sums = sums + residuals[:, before] @ w["gather"][before]
            means[:, span] += sums @ w["loadings"][span].T
            factors.append(sums)
        for name, around, ahead in _sides(f.around, some) if f.around is not None else ():
            known = _sums_until(frame.spans, around, w["gather"])
            for s, span in enumerate(frame.spans):
                means[:, span] += known[min(s + ahead, len(known) - 1)] @ w[name][span].T
    activity = np.repeat(f.activity[some], frame.width, axis=1)[:, : means.shape[1]]
    side = means - np.float32(frame.zero) if frame.signed else np.zeros_like(means)
    fold = np.abs(side)
    of_log, of_mean, of_activity = w["spread"]
    spreads = w["spread_bias"] + of_log * f.logs[some] + (of_mean / 64) * means + of_activity * activity
    of_zero = w["zero"]
    zero = w["zero_bias"] + w["zero_of_mean"] * means + of_zero[0] * f.logs[some] + of_zero[1] * activity
    zero += of_zero[2] * fold
    for weight, present in zip(of_zero[3:], f.present, strict=True):
        zero += weight * present[some]
    return Sums(means, np.clip(spreads, -2, 6), zero, activity, fold, side, factors)


def density_slopes(frame: Frame, edges: tuple[Floats, Floats], means: Floats, spreads: Floats) -> tuple[Floats, Floats]:
    """Of the code length of what is not zero and lies between `edges`, by mean and by logarithmic spread."""
    inverse = np.exp(-spreads)

    def side(edge: Floats | float) -> tuple[Floats, Floats, Floats]:
        scaled = (edge - means) * inverse
        share = sigmoid(scaled)
        return scaled, share, share * (1 - share)

    low, low_share, low_slope = side(edges[0])
    high, high_share, high_slope = side(edges[1])
    inside = np.maximum(high_share - low_share, 1e-6)
    by_mean = (high_slope - low_slope) / inside
    by_spread = (high * high_slope - low * low_slope) / inside
    first, first_share, first_slope = side(frame.edges[1])
    taken, taken_mean, taken_spread = first_share, first_slope, first * first_slope
    if frame.signed:
        last, last_share, last_slope = side(frame.edges[0])
        taken, taken_mean = taken - last_share, taken_mean - last_slope
        taken_spread = taken_spread - last * last_slope
    left = np.maximum(1 - taken, 1e-6)
    of_mean: Floats = np.clip((by_mean + taken_mean / left) * inverse, -1, 1)
    of_spread: Floats = np.clip(by_spread + taken_spread / left, -4, 4)
    return of_mean, of_spread


def sigmoid(x: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -40, 40))), np.float32)


# Integers.


def _integers(frame: Frame, f: Features, w: Weights) -> PredictionParameters:
    gather, loadings, gather_shift, spread_shift = integer_loadings(frame, f, w)
    some = np.arange(0, len(f.residuals), max(1, len(f.residuals) // 512))
    spreads = predicted(frame, f, w, some).spreads
    low, high = np.quantile(spreads, [0.0005, 0.9995])
    spread_unit = _TOP_SPREAD / max(float(high - low), 0.1)  # of the logarithm
    zero_unit = 256 / CLASS_UNIT
    of_log, of_mean, of_activity = (float(x) for x in w["spread"])
    of_zero = [float(x) for x in w["zero"]]
    return PredictionParameters(
        width=frame.width,
        gather_shift=gather_shift,
        spread_shift=spread_shift,
        origin=frame.origin,
        first_activity=round(float(f.activity[0, 0]) / LOG_UNIT),
        distance_weights=tuple(frame.distance_weights.tolist()),
        zero_of_present=tuple(_bounded(x * zero_unit / _PRESENT, 8) for x in of_zero[3:]),
        zero_of_fold=_bounded(of_zero[2] * zero_unit / 2 / BIAS_UNIT, 8),
        distance_offset=frame.distance_offset,
        spread_of_log=_bounded(of_log * spread_unit * LOG_UNIT, 16),
        spread_of_mean=_bounded(of_mean / 64 * spread_unit / 2, 16),
        spread_of_activity=_bounded(of_activity * spread_unit * LOG_UNIT, 16),
        zero_of_log=_bounded(of_zero[0] * zero_unit * LOG_UNIT, 16),
        zero_of_activity=_bounded(of_zero[1] * zero_unit * LOG_UNIT, 16),
        fold_origin=2 * frame.zero,
        own=frame.own,
        offsets=bounded_array(frame.offsets),
        shifts=bounded_array(w["shift"] * (ONE / BIAS_UNIT)),
        spread_bias=bounded_array((w["spread_bias"] - low) * (spread_unit / BIAS_UNIT)),
        zero_bias=bounded_array((w["zero_bias"] * zero_unit + 256 * CLASS_MIDDLE) / BIAS_UNIT),
        zero_of_mean=bounded_array(w["zero_of_mean"] * (zero_unit / 2)),
        gather=gather,
        spread=loadings,
    )


def integer_loadings(frame: Frame, f: Features, w: Weights) -> tuple[Ints, Ints, int, int]:
    """Loadings that give all factors the same spread, and shifts that make good for it.

    Those that spread factors may be several matrices side by side.
    """
    gather, loadings = w["gather"].astype(np.float64), w["loadings"].astype(np.float64)
    if not gather.size:
        return gather.astype(np.int64), loadings.astype(np.int64), 0, 0
    last = frame.spans[-1].start
    sums = f.residuals[:, :last] @ w["gather"][:last]
    deviation = np.sqrt(np.mean(sums.astype(np.float64) ** 2, axis=0)) + 1e-9
    relative = gather / deviation
    common = _GATHER_SPREAD / (np.sqrt(np.mean(relative**2)) + 1e-12)  # of a factor's integer sums
    shift = min(max(round(np.log2(common / _FACTOR_SPREAD)), 0), 24)
    integer = np.clip(np.rint(relative * common), -127, 127).astype(np.int64)
    # A factor of one in integers, in units of the trained one.
    unit = 2.0**shift / common * deviation
    scaled = loadings * np.tile(unit, loadings.shape[1] // len(unit)) * ONE
    spread_shift = round(np.log2(_SPREAD_SPREAD / (np.sqrt(np.mean(scaled**2)) + 1e-12)))
    spread_shift = min(max(spread_shift, 0), 24)
    return integer, np.clip(np.rint(scaled * 2.0**spread_shift), -127, 127).astype(np.int64), shift, spread_shift


def _bounded(x: float, bits: int) -> int:
    limit = (1 << (bits - 1)) - 1
    return min(max(round(x), -limit), limit)


def bounded_array(x: NDArray[Any]) -> Ints:
    """Rounded, to 16 bits."""
    limit = (1 << 15) - 1
    bounded: Ints = np.clip(np.rint(x), -limit, limit).astype(np.int64)
    return bounded
