"""The planner: a budget in, the best plan out. Needs the extra ``torch``."""

from __future__ import annotations

from fmapzip.planner.budget import Budget
from fmapzip.planner.planner import make_plan
from fmapzip.planner.result import Planned

__all__ = ["Budget", "Planned", "make_plan"]
