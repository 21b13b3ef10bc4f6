"""What a network is for, as figures: accuracy, overlap, detections, fidelity, retrieval, or the user's own."""

from __future__ import annotations

from fmapzip.torch.tasks.metric import Metric, OfFunction, whole_set
from fmapzip.torch.tasks.ready import OF_FIGURE, READY, ready

__all__ = ["OF_FIGURE", "READY", "Metric", "OfFunction", "ready", "whole_set"]
