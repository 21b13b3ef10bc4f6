"""ONNX files as PyTorch modules."""

from __future__ import annotations

from fmapzip.errors import MissingExtra

try:
    import onnx as _onnx  # noqa: F401
    import onnxruntime as _onnxruntime  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtra(f"ONNX files need {error.name}: pip install 'fmapzip[onnx]'") from error

from fmapzip.onnx.load import load_onnx

__all__ = ["load_onnx"]
