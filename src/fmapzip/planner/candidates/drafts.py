"""Codecs that stand in for slower ones of the same values while a planner measures, and their way back."""

from __future__ import annotations

from collections.abc import Sequence

from fmapzip.codecs.base import Codec


def drafts_of(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Return what is measured in the place of codecs, each once.

    Examples
    --------
    >>> from fmapzip.codecs.context_rans import ContextRans
    >>> drafts_of([ContextRans(), ContextRans(level="max")])
    (ContextRans(level='default', step=1),)
    """
    return tuple(dict.fromkeys(codec.draft() for codec in codecs))


def meant_by(draft: Codec, codecs: Sequence[Codec]) -> list[Codec]:
    """Return the codecs that a chosen draft may stand for, with its settings.

    Examples
    --------
    >>> from fmapzip.codecs.context_rans import ContextRans
    >>> meant = meant_by(ContextRans(step=3), [ContextRans(), ContextRans(level="max")])
    >>> [(codec.level, codec.step) for codec in meant]
    [('default', 3), ('max', 3)]
    """
    meant = [codec.in_place_of(draft) for codec in codecs if type(codec) is type(draft)]
    return list(dict.fromkeys(codec for codec in meant if codec.draft() == draft))
