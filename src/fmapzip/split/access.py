"""Who may ask a server, and how much: tokens, and limits for each client."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from fmapzip.errors import InvalidInput

SHORTEST_TOKEN = 16


class Tokens:
    """Bearer tokens, of which only hashes are kept.

    Examples
    --------
    >>> tokens = Tokens({"camera 1": "a-long-random-token"})
    >>> tokens.name("Bearer a-long-random-token"), tokens.name("Bearer guess")
    ('camera 1', None)
    """

    def __init__(self, tokens: dict[str, str]) -> None:
        self._hashes = {name: _digest(token) for name, token in tokens.items()}

    def name(self, authorization: str) -> str | None:
        """Whose token an ``authorization`` header holds; None where it is nobody's."""
        scheme, _, token = authorization.partition(" ")
        given = _digest(token)
        found = [name for name, known in self._hashes.items() if hmac.compare_digest(known, given)]
        return found[0] if found and scheme.lower() == "bearer" else None


def read_tokens(file: Path) -> Tokens:
    """The tokens of a file of lines ``NAME TOKEN``; empty lines and those that begin with ``#`` say nothing.

    Raises
    ------
    InvalidInput
        The file is missing, a line is no such line, a token is short, or there is none.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: {error}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, token = line.rpartition(" ")
        if not name.strip() or len(token) < SHORTEST_TOKEN:
            raise InvalidInput(f"{file}:{number}: expected NAME TOKEN, a token of at least {SHORTEST_TOKEN} characters")
        found[name.strip()] = token
    if not found:
        raise InvalidInput(f"{file}: there is no token")
    return Tokens(found)


@dataclass(frozen=True)
class ClientLimits:
    """What one client may use.

    Attributes
    ----------
    streams
        At once.
    window
        Images under way at once in a stream.
    images_per_second, bytes_per_second
        In the mean; over it, what the client sends is read later. None: no limit.
    """

    streams: int = 64
    window: int = 16
    images_per_second: float | None = None
    bytes_per_second: float | None = None


class Clients:
    """The clients of a server, by name, each held to the limits."""

    def __init__(self, limits: ClientLimits) -> None:
        self.limits = limits
        self._streams: Counter[str] = Counter()
        self._paces: dict[str, tuple[Pace, Pace]] = {}

    @contextmanager
    def stream(self, name: str) -> Iterator[bool]:
        """A stream of a client, while the block runs; False where it has too many."""
        if self._streams[name] >= self.limits.streams:
            yield False
            return
        self._streams[name] += 1
        limits = self.limits
        self._paces.setdefault(name, (Pace(limits.images_per_second), Pace(limits.bytes_per_second)))
        try:
            yield True
        finally:
            self._streams[name] -= 1
            if not self._streams[name]:
                del self._streams[name]
                for known in [known for known in self._paces if known not in self._streams and self._rested(known)]:
                    del self._paces[known]

    async def pace(self, name: str, size: int) -> None:
        """Wait until a client may send another image of `size` bytes."""
        images, volume = self._paces[name]
        delay = max(images.take(1), volume.take(size))
        if delay > 0:
            await asyncio.sleep(delay)

    def _rested(self, name: str) -> bool:
        return all(pace.rested for pace in self._paces[name])


class Pace:
    """A mean rate, with a second's worth at once."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._free_at = rate, 0.0

    def take(self, amount: float) -> float:
        """Take `amount`, and give the seconds to wait first."""
        if self._rate is None:
            return 0.0
        now = monotonic()
        self._free_at = max(self._free_at, now - 1.0) + amount / self._rate
        return max(0.0, self._free_at - now)

    @property
    def rested(self) -> bool:
        """Whether nothing is owed, so that it can be forgotten."""
        return self._free_at <= monotonic() - 1.0


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
