"""Finding out what an archive holds from its records alone."""

from __future__ import annotations

import numpy as np

from fmapzip.archive.positional import PositionalFile
from fmapzip.archive.records import ENTRY, FRAME_KEY, HEADER, Index, Kind, read_record, unpack_name
from fmapzip.errors import CorruptArchive


def walk(file: PositionalFile) -> tuple[Index, int]:
    """The index that the records tell, and where they end: at the first that is not whole, or is the index.

    Raises
    ------
    CorruptArchive
        A record is whole and breaks a rule: a name twice or not valid, a frame without a name or twice, a second plan.
    """
    names: dict[str, int] = {}
    found: dict[tuple[int, int], tuple[int, int]] = {}
    plan = metadata = 0
    offset = len(HEADER)
    while True:
        try:
            kind, body, end = read_record(file, offset)
        except CorruptArchive:
            break
        if kind is Kind.NAME:
            name = unpack_name(body)
            if name in names:
                raise CorruptArchive(f"the archive names {name!r} twice")
            names[name] = len(names)
        elif kind is Kind.FRAME:
            key = _frame_key(body, len(names), offset)
            if key in found:
                raise CorruptArchive(f"record at byte {offset}: its name and sample are there already")
            found[key] = offset, len(body) - FRAME_KEY.size
        elif kind is Kind.PLAN:
            if plan:
                raise CorruptArchive(f"record at byte {offset}: a second plan")
            plan = offset
        elif kind is Kind.METADATA:
            metadata = offset
        else:
            break
        offset = end
    rows = [(*key, *place) for key, place in sorted(found.items())]
    return Index(plan, metadata, tuple(names), np.array(rows, ENTRY)), offset


def _frame_key(body: bytes, names: int, offset: int) -> tuple[int, int]:
    """Name number and sample of a frame record."""
    if len(body) < FRAME_KEY.size:
        raise CorruptArchive(f"record at byte {offset}: too short for a frame")
    number, sample = FRAME_KEY.unpack_from(body)
    if number >= names:
        raise CorruptArchive(f"record at byte {offset}: a frame of map {number}, which has no name before it")
    return number, sample
