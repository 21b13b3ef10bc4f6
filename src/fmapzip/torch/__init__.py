"""PyTorch: find a network's feature maps, run it with them stored compressed, and say what that costs and saves.

Needs the extra ``torch``.
"""

from __future__ import annotations

from fmapzip.errors import MissingExtra

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtra("fmapzip.torch needs PyTorch: pip install 'fmapzip[torch]'") from error

from fmapzip.torch.capture import Captured, Tap, capture, taps
from fmapzip.torch.choose import DistortionLimit
from fmapzip.torch.compress import CompressedModel, compress_model
from fmapzip.torch.evaluate import evaluate
from fmapzip.torch.feature_store import FeatureStore
from fmapzip.torch.image_list import TakesImageList
from fmapzip.torch.operators import register_plan, tap_handle
from fmapzip.torch.report import Report
from fmapzip.torch.results import Baseline, CodecResult, Evaluation, ImageCodec, ImageResult, TapResult
from fmapzip.torch.tuning.loop import tune
from fmapzip.torch.tuning.results import Epoch, Tuned
from fmapzip.torch.tuning.tap import TapBits
from fmapzip.torch.tuning.tunable import TunableModel, rate_loss, tunable
from fmapzip.tune_settings import TuneSettings

__all__ = [
    "Baseline",
    "Captured",
    "CodecResult",
    "CompressedModel",
    "DistortionLimit",
    "Epoch",
    "Evaluation",
    "FeatureStore",
    "ImageCodec",
    "ImageResult",
    "Report",
    "TakesImageList",
    "Tap",
    "TapBits",
    "TapResult",
    "TunableModel",
    "TuneSettings",
    "Tuned",
    "capture",
    "compress_model",
    "evaluate",
    "rate_loss",
    "register_plan",
    "tap_handle",
    "taps",
    "tunable",
    "tune",
]
