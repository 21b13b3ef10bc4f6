"""Prediction across channels for `context-rans`: a factor model of the residuals that neighbours leave.

Channels of one position share causes, so the residuals of channels already decoded say something about the others.
A factor model (Bartholomew, "Latent Variable Models and Factor Analysis", 1987; fitted by EM after Rubin and Thayer,
1982) finds a few such causes; each span's loadings are then fitted to the integer sums that a decoder will have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmapzip.codecs.context_rans_parameters import WEIGHT_ONE, FactorParameters, Ints

_ROUNDS = 40
_LEAST_NOISE = 0.02  # share of a channel's variance that stays its own
_SHRINK = 1e-3
_GATHER_SPREAD = 4.0  # root mean square of the integer loadings: about four bits each
_SPREAD_SPREAD = 4.0
_MOST = 127
_SUM_LIMIT = 1 << 15

Floats = NDArray[np.float64]


def fit_factors(residuals: NDArray[np.int8], rank: int, width: int, origin: int) -> FactorParameters:
    """Loadings for residuals [positions, C], coded in spans of `width` channels."""
    samples = residuals.astype(np.float64)
    loadings, noise = _factor_model(samples.T @ samples / len(samples), rank)
    gather = _quantized(loadings / noise[:, None], _GATHER_SPREAD)
    gather_shift = _gather_shift(samples @ gather)
    spread = _fit_spread(samples, gather, gather_shift, width)
    spread_shift = 0
    used = np.sqrt(np.mean(spread**2)) or 1.0
    while used * 2.0 ** (spread_shift + 1) <= 1.5 * _SPREAD_SPREAD and spread_shift < 24:
        spread_shift += 1
    scaled = np.clip(np.rint(spread * 2.0**spread_shift), -_MOST, _MOST).astype(np.int64)
    return FactorParameters(width, origin, gather_shift, spread_shift, gather, scaled)


def _factor_model(covariance: Floats, rank: int) -> tuple[Floats, Floats]:
    """Loadings [C, rank] and the channels' own variances."""
    variance = np.diag(covariance) + 1e-6
    deviation = np.sqrt(variance)
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    loadings = deviation[:, None] * vectors * np.sqrt(np.maximum(values - 0.5, 0.05))
    noise = np.maximum(variance - (loadings**2).sum(1), _LEAST_NOISE * variance)
    for _ in range(_ROUNDS):
        weighted = loadings / noise[:, None]
        posterior = np.linalg.inv(np.eye(rank) + loadings.T @ weighted)
        crossed = covariance @ weighted @ posterior
        second = posterior + posterior @ weighted.T @ crossed
        loadings = crossed @ np.linalg.inv(second)
        noise = np.maximum(variance - (loadings * crossed).sum(1), _LEAST_NOISE * variance)
    return loadings, noise


def _quantized(loadings: Floats, spread: float) -> Ints:
    """Each factor in integers of a given root mean square; its scale is made good by what it is spread with."""
    scale = spread / np.sqrt(np.mean(loadings**2, axis=0) + 1e-12)
    rounded: Ints = np.clip(np.rint(loadings * scale), -_MOST, _MOST).astype(np.int64)
    return rounded


def _gather_shift(sums: Floats) -> int:
    """How far sums must be shifted to fit 16 bits."""
    largest = int(np.abs(sums).max(initial=1.0))
    return max(largest.bit_length() - _SUM_LIMIT.bit_length() + 1, 0)


def _fit_spread(samples: Floats, gather: Ints, gather_shift: int, width: int) -> Floats:
    """For each span, least squares of its residuals on the sums of the spans before, in units of the mean."""
    channels, rank = gather.shape
    spread = np.zeros((channels, rank))
    sums = np.zeros((len(samples), rank))
    for first in range(width, channels, width):
        before = slice(first - width, first)
        sums += samples[:, before] @ gather[before]
        known = np.floor(sums / 2**gather_shift)
        gram = known.T @ known
        gram += np.eye(rank) * (_SHRINK * np.trace(gram) / rank + 1.0)
        span = slice(first, min(first + width, channels))
        spread[span] = WEIGHT_ONE * np.linalg.solve(gram, known.T @ samples[:, span]).T
    return spread
