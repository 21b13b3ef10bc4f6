"""ONNX files as PyTorch modules, and with stored feature maps."""

from __future__ import annotations

from fmapzip.errors import MissingExtra

try:
    import onnx as _onnx  # noqa: F401
    import onnxruntime as _onnxruntime  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtra(f"ONNX files need {error.name}: pip install 'fmapzip[onnx]'") from error

from fmapzip.onnx.export import export_stored
from fmapzip.onnx.load import load_onnx
from fmapzip.onnx.runtime import session

__all__ = ["export_stored", "load_onnx", "session"]
