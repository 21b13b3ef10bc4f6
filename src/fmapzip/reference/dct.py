"""Integer N-point DCT-II of docs/format/dct-cm.md, "Transform path".

``forward`` computes ``U_N = sqrt(N) * DCT-II`` (orthonormal DCT-II) of integers scaled by ``128 / N``,
``inverse`` applies the transpose and scales back. Both follow the recursive even-odd factorisation of
Plonka and Tasche (2005): ``U_N`` is a butterfly, ``U_{N/2}`` on the sums and ``V_{N/2}`` (``sqrt(N/2)`` times the
DCT-IV) on the differences; ``V_M`` is M/2 rotations and two ``U_{M/2}``. Arithmetic is two's complement, 32 bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]

FRACTION = 13
SQRT2 = round(math.sqrt(2) * (1 << FRACTION))


def _scaled(products: Int32) -> Int32:
    """Round a sum of products with constants back to the scale of its inputs."""
    return (products + np.int32(1 << (FRACTION - 1))) >> FRACTION


def rotation(length: int, j: int) -> tuple[int, int]:
    """Cosine and sine constants of rotation ``j`` of ``V_length``."""
    gain = math.sqrt(2) if length == 2 else 1.0
    angle = (2 * j + 1) * math.pi / (4 * length)
    return tuple(round(gain * f(angle) * (1 << FRACTION)) for f in (math.cos, math.sin))  # type: ignore[return-value]


def _u(x: list[Int32]) -> list[Int32]:
    n = len(x)
    if n == 1:
        return x
    half = n // 2
    sums = [x[j] + x[n - 1 - j] for j in range(half)]
    differences = [x[j] - x[n - 1 - j] for j in range(half)]
    out = [x[0]] * n
    out[0::2] = _u(sums)
    out[1::2] = _v(differences)
    return out


def _v(d: list[Int32]) -> list[Int32]:
    m = len(d)
    if m == 1:
        return d
    half = m // 2
    u, w = [], []
    for j in range(half):
        c, s = (np.int32(k) for k in rotation(m, j))
        u.append(_scaled(d[j] * c + d[m - 1 - j] * s))
        v = _scaled(d[m - 1 - j] * c - d[j] * s)
        w.append(-v if j % 2 else v)
    if m == 2:
        return [u[0], -w[0]]
    a, b = _u(u), _u(w)
    out = [a[0]] * m
    out[0] = _scaled(a[0] * np.int32(SQRT2))
    out[m - 1] = -_scaled(b[0] * np.int32(SQRT2))
    for k in range(1, half):
        out[2 * k] = a[k] + b[half - k]
        out[2 * k - 1] = a[k] - b[half - k]
    return out


def _u_transposed(y: list[Int32]) -> list[Int32]:
    n = len(y)
    if n == 1:
        return y
    s, d = _u_transposed(y[0::2]), _v_transposed(y[1::2])
    return [p + q for p, q in zip(s, d, strict=True)] + [p - q for p, q in zip(s[::-1], d[::-1], strict=True)]


def _v_transposed(y: list[Int32]) -> list[Int32]:
    m = len(y)
    if m == 1:
        return y
    half = m // 2
    if m == 2:
        u, w = [y[0]], [-y[1]]
    else:
        a, b = [y[0]] * half, [y[0]] * half
        a[0] = _scaled(y[0] * np.int32(SQRT2))
        b[0] = -_scaled(y[m - 1] * np.int32(SQRT2))
        for k in range(1, half):
            a[k] = y[2 * k] + y[2 * k - 1]
            b[half - k] = y[2 * k] - y[2 * k - 1]
        u, w = _u_transposed(a), _u_transposed(b)
    out = [y[0]] * m
    for j in range(half):
        c, s = (np.int32(k) for k in rotation(m, j))
        v = -w[j] if j % 2 else w[j]
        out[j] = _scaled(u[j] * c - v * s)
        out[m - 1 - j] = _scaled(u[j] * s + v * c)
    return out


def forward(x: Int32) -> Int32:
    """Scaled DCT-II over axis 0 of ``x`` (int32 [N, ...], N in 4, 8, 16, 32, |x| <= 255)."""
    return np.stack(_u([row << np.int32(7 - (len(x)).bit_length() + 1) for row in x]))


def inverse(y: Int32) -> Int32:
    """Integers whose scaled DCT-II over axis 0 is nearest to ``y`` (int32 [N, ...])."""
    return (np.stack(_u_transposed(list(y))) + np.int32(64)) >> 7
