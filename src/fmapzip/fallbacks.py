"""What is told where maps are stored by a lighter codec than was asked for."""

from __future__ import annotations

from collections import Counter

from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan

_MAPS = "the maps that it is made from"


def fallbacks_of(plan: Plan) -> tuple[str, ...]:
    """For each codec of a plan, how many of its maps the plan stores by a lighter one, and why.

    Examples
    --------
    >>> import numpy as np, fmapzip
    >>> maps = np.random.default_rng(0).integers(0, 9, (2, 16, 8, 8)).astype(np.uint8)
    >>> fallbacks_of(fmapzip.fit(maps, "context-rans", level="max"))
    ('context-rans, level=max: 1 of 1 maps has level=default: a plan may take 1 % of the maps that it is made from',)
    """
    counts: dict[Codec, Counter[Codec]] = {}
    for tap in plan:
        counts.setdefault(tap.codec, Counter())[tap.codec.made_of(tap.parameters)] += 1
    notes = []
    for codec, made in counts.items():
        fallen = [(other, count) for other, count in made.items() if other != codec]
        if not fallen:
            continue
        words = ", ".join(f"{n} of {made.total()} maps {_has(n)} {_settings(other, codec)}" for other, n in fallen)
        why = "" if codec.plan_share is None else f": a plan may take {100 * codec.plan_share:g} % of {_MAPS}"
        notes.append(f"{codec.id}, {_settings(codec, fallen[0][0])}: {words}{why}")
    return tuple(notes)


def without_plan(codec: Codec) -> tuple[str, ...]:
    """What is told of a codec whose frames have no plan.

    Examples
    --------
    >>> from fmapzip import registry
    >>> without_plan(registry.make("context-rans", level="ultra"))
    ('context-rans, level=ultra: without a plan maps have level=default',)
    """
    made = codec.made_of(b"")
    if made == codec:
        return ()
    return (f"{codec.id}, {_settings(codec, made)}: without a plan maps have {_settings(made, codec)}",)


def _has(count: int) -> str:
    return "has" if count == 1 else "have"


def _settings(codec: Codec, other: Codec) -> str:
    """The settings of a codec that another one has too, but with other values."""
    theirs = other.config()
    return ", ".join(f"{key}={value}" for key, value in codec.config().items() if theirs.get(key, value) != value)
