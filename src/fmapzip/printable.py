"""Text of strangers, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""``text`` with escapes in the place of all that is not printed as itself.

    Control characters (a terminal obeys them), characters that turn the direction of the text around them, lone
    surrogates (they cannot be encoded) and blanks other than a space.

    Examples
    --------
    >>> printable("conv\x1b[2J"), printable("a\u202eb"), printable("größe 1")
    ('conv\\x1b[2J', 'a\\u202eb', 'größe 1')
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
