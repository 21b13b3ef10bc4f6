"""The operators, by family; importing this fills the table."""

from __future__ import annotations

from fmapzip.onnx.ops import (  # noqa: F401
    conv,
    elementwise,
    index,
    integer,
    matmul,
    normalisation,
    pool,
    quantize,
    reduce,
    resize,
    rounded,
    shape,
)
