"""Whether a plan fits a network."""

from __future__ import annotations

from itertools import zip_longest

from torch import nn

from fmapzip.errors import PlanMismatch
from fmapzip.plan import Plan, TapPlan
from fmapzip.torch.capture import Captured, Tap
from fmapzip.torch.network_hash import network_hash


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


def weights_notes(plan: Plan, model: nn.Module) -> tuple[str, ...]:
    """Say so where a plan was tuned together with weights that a network does not have."""
    tuned = plan.metadata.get("weights")
    if tuned is None or tuned == network_hash(model):
        return ()
    return ("the plan was tuned together with other weights than the network has here: they belong to one another",)


def _say(tap: TapPlan | Tap | None) -> str:
    return "missing" if tap is None else f"{tap.name!r} {list(tap.shape)}"
