"""Whether a plan fits a network."""

from __future__ import annotations

from itertools import zip_longest

from fmapzip.errors import PlanMismatch
from fmapzip.plan import Plan, TapPlan
from fmapzip.torch.capture import Captured, Tap


def fitted_taps(plan: Plan, captured: Captured) -> tuple[Tap, ...]:
    """Return the network's taps that `plan` covers: all but those that its metadata lists as ``skipped``.

    Raises
    ------
    PlanMismatch
        Names, order or shapes differ; the error names the first tap that does.
    """
    skipped = plan.metadata.get("skipped", [])
    ours = [tap for tap in captured.taps if tap.name not in skipped]
    for i, (planned, tap) in enumerate(zip_longest(plan.taps, ours)):
        if planned is None or tap is None or (planned.name, planned.shape) != (tap.name, tap.shape):
            raise PlanMismatch(
                f"the plan does not fit the network: tap {i} is {_say(planned)} in the plan, {_say(tap)} here"
            )
    return tuple(ours)


def _say(tap: TapPlan | Tap | None) -> str:
    return "missing" if tap is None else f"{tap.name!r} {list(tap.shape)}"
