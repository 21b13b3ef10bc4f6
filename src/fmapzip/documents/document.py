"""What a JSON document is: a declaration that is held against what is written and what is read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from fmapzip.errors import InvalidInput

Values = dict[str, Any]


def says(text: str) -> msgspec.Meta:
    """What a key means, for its page."""
    return msgspec.Meta(description=text)


class Part(msgspec.Struct):
    """An object of a document. Its docstring's first line is its title in the page, the rest stands below."""


class Environment(Part):
    """The machine and versions."""

    cpu: str
    cores: int | None
    os: str
    python: str
    packages: dict[str, str]
    simd: str
    codec_threads: int
    torch_threads: int | None
    others_cpu: Annotated[
        float | None, says("share of all cores that other programs used meanwhile: their use makes times too long")
    ] = None


class Input(Part):
    """How an image becomes what the network reads.

    In the order in which it happens; `null` where a step is left out, or where a function does it all.
    """

    name: Annotated[str, says("whose protocol it is: of the model, or as it was asked for")]
    words: Annotated[str, says("all of it, to read")]
    channels: str | None
    resize: Annotated[int | list[int] | None, says("the shorter side, or height and width")]
    crop: Annotated[list[int] | None, says("height and width of the centre")]
    letterbox: Annotated[
        list[int] | None, says("height and width that it is fitted into, padded at the right and the bottom")
    ]
    interpolation: str | None
    range: Annotated[list[float] | None, says("what the pixels 0 and 255 become")]
    mean: Annotated[list[float] | None, says("subtracted, then divided by `std`; one a channel")]
    std: list[float] | None


@dataclass(frozen=True)
class Document:
    """A kind of JSON document.

    Attributes
    ----------
    title, command
        Of its page, and how it is written.
    root
        The declaration of its object.
    others
        Declarations that the page describes too.
    closing
        Markdown at the page's end.
    written
        How it is written, where that is not by ``--json FILE``.
    """

    title: str
    command: str
    root: type[Part]
    others: tuple[type[Part], ...] = ()
    closing: str = ""
    written: str = ""

    def checked(self, report: Values) -> Values:
        """The document as it is written: every declared key and no other; what is infinite or no number is None.

        Raises
        ------
        msgspec.ValidationError
            The report is not what the declaration says: a defect of the program.
        """
        found = msgspec.convert(_finite(report), self.root)
        written: Values = json.loads(msgspec.json.encode(found))
        return written

    def read(self, file: Path) -> Values:
        """The document in a file, with whatever keys it has beside the declared ones.

        Raises
        ------
        InvalidInput
            The file is missing or no such document; the message says where it differs.
        """
        try:
            found: Values = msgspec.json.decode(file.read_bytes())
            msgspec.convert(found, self.root)
        except OSError as error:
            raise InvalidInput(f"{file}: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"{file}: not a report of {self.command}: {error}") from error
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
