"""The runs of values that the tokens of a table stand for, fitted to how often the values occur.

All in integers, so that the same counts give the same runs on every machine.
"""

from __future__ import annotations

import numpy as np

from fmapzip.codecs.context_rans_parameters import MAX_RAW_BITS, TOKEN_BITS, TOKENS, Ints

_VALUES = 255  # all bytes but zero
_LOG_ONE = 1 << 16
_MANTISSA_BITS = 12
_LOGS = np.rint(_LOG_ONE * np.log2(np.maximum(np.arange(1 << _MANTISSA_BITS), 1))).astype(np.int64)
_TOTAL_BITS = 40  # counts below 2^40 times logarithms below 2^21 fit 64 bits
_FAR = np.int64(1) << 62


def log2(n: Ints) -> Ints:
    """Logarithms of positive integers in 1/65536, from their 12 leading bits."""
    shift = np.maximum(np.frexp(n.astype(np.float64))[1] - _MANTISSA_BITS, 0).astype(np.int64)
    logs: Ints = _LOGS[n >> shift] + shift * _LOG_ONE
    return logs


def fit_runs(counts: Ints) -> tuple[Ints, Ints]:
    """Split the bytes 1 to 255 into 16 runs of powers of two so that their code is shortest.

    Parameters
    ----------
    counts
        [tables, 255] positive weights of the bytes 1 to 255.

    Returns
    -------
    raw_bits, sums
        [tables, 16] logarithms of the runs' lengths, and the weights of the runs. The last run may go on beyond 255.

    Notes
    -----
    Dynamic programming over (bytes covered, tokens used); a run of weight n and 2^r bytes costs n (log2(N / n) + r).
    """
    excess = max(int(counts.sum(1).max()).bit_length() - _TOTAL_BITS, 0)
    weights = np.maximum(counts >> excess, 1)
    costs = _run_costs(weights)
    tables = len(weights)
    best = np.full((tables, _VALUES + 1), _FAR)
    best[:, 0] = 0
    origins = []
    for _ in range(TOKENS):
        best, origin = _one_more_run(best, costs)
        origins.append(origin)
    raw_bits, sums = np.zeros((tables, TOKENS), np.int64), np.zeros((tables, TOKENS), np.int64)
    below = np.concatenate([np.zeros((tables, 1), np.int64), np.cumsum(counts, 1)], 1)
    end, each = np.full(tables, _VALUES), np.arange(tables)
    for t in reversed(range(TOKENS)):
        packed = origins[t][each, end]
        begin, raw_bits[:, t] = packed >> 3, packed & MAX_RAW_BITS
        sums[:, t] = below[each, end] - below[each, begin]
        end = begin
    return raw_bits, sums


def _run_costs(weights: Ints) -> list[Ints]:
    """For each number of raw bits, what a run costs that begins behind so many bytes: [tables, 255]."""
    below = np.concatenate([np.zeros((len(weights), 1), np.int64), np.cumsum(weights, 1)], 1)
    total = below[:, -1:]
    rarest = np.maximum(total >> TOKEN_BITS, 1)  # no frequency is below one in 2^8
    begins = np.arange(_VALUES)
    costs = []
    for raw_bits in range(MAX_RAW_BITS + 1):
        n = below[:, np.minimum(begins + (1 << raw_bits), _VALUES)] - below[:, begins]
        costs.append(n * (log2(total) - log2(np.maximum(n, rarest)) + raw_bits * _LOG_ONE))
    return costs


def _one_more_run(best: Ints, costs: list[Ints]) -> tuple[Ints, Ints]:
    """Least costs with one more token, and for each end where its run begins (times 8) and its raw bits."""
    extended, origin = np.full_like(best, _FAR), np.zeros_like(best)
    begins = 8 * np.arange(_VALUES)
    for raw_bits, cost in enumerate(costs):
        reached = best[:, :_VALUES] + cost
        inside = _VALUES - (1 << raw_bits)  # runs from here on end with the last byte or beyond it
        ends = slice(1 << raw_bits, _VALUES)
        better = reached[:, :inside] < extended[:, ends]
        extended[:, ends][better] = reached[:, :inside][better]
        origin[:, ends][better] = np.broadcast_to(begins[:inside] + raw_bits, better.shape)[better]
        last = inside + reached[:, inside:].argmin(1)
        least = np.take_along_axis(reached, last[:, None], 1)[:, 0]
        better = least < extended[:, _VALUES]
        extended[better, _VALUES] = least[better]
        origin[better, _VALUES] = 8 * last[better] + raw_bits
    return np.minimum(extended, _FAR), origin
