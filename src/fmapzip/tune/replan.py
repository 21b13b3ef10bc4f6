"""The planner, asked again while a network trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan
from fmapzip.planner import Budget, make_plan


def plan_at_ratio(model: nn.Module, images: Any, ratio: float, codecs: Sequence[Codec]) -> Plan:
    """Return the plan that distorts a network least at a ratio; what `fmapzip.torch.tune` takes as its planner."""
    return make_plan(model, images, Budget("ratio", ratio), codecs=codecs).plan
