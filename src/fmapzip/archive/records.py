"""The records an archive is made of, as docs/FORMAT.md (archives) lays them down."""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fmapzip._core import FORMAT_VERSION, crc32c
from fmapzip.archive.positional import PositionalFile
from fmapzip.errors import CorruptArchive, InvalidInput, InvalidType

VERSION = FORMAT_VERSION
HEADER = b"FMZA" + bytes([VERSION, 0, 0, 0])
PREFIX = struct.Struct("<BI")
"""Kind and body length; the body and a CRC32C of all of it follow."""
CRC = struct.Struct("<I")
FRAME_KEY = struct.Struct("<II")
"""Name number and sample: how the body of a frame record begins."""
FOOTER = struct.Struct("<QI4s")
"""Offset of the index record, CRC32C of that offset's bytes, end magic."""
END_MAGIC = b"FMZE"
ENTRY = np.dtype([("name", "<u4"), ("sample", "<u4"), ("offset", "<u8"), ("length", "<u4")])
"""One frame in the index: its key, its record's offset, its frame's length."""
INDEX_HEAD = struct.Struct("<QQII")
"""Offsets of the plan and metadata records (0: none), number of names, number of entries."""
MAX_BODY = 2**32 - 1
MAX_NAME = 1024


class Kind(IntEnum):
    """What a record holds."""

    NAME = 1
    FRAME = 2
    PLAN = 3
    METADATA = 4
    INDEX = 5


@dataclass(frozen=True)
class Index:
    """What the index record holds: where everything is."""

    plan: int
    metadata: int
    names: tuple[str, ...]
    entries: NDArray[np.void]


def pack(kind: Kind, body: bytes) -> bytes:
    """One whole record."""
    if len(body) > MAX_BODY:
        raise InvalidInput(f"an archive record holds at most {MAX_BODY} bytes, not {len(body)}")
    record = PREFIX.pack(kind, len(body)) + body
    return record + CRC.pack(crc32c(record))


def record_bytes(body: int) -> int:
    """The length of a record whose body has ``body`` bytes."""
    return PREFIX.size + body + CRC.size


def read_record(file: PositionalFile, offset: int) -> tuple[Kind, bytes, int]:
    """The record at ``offset``: kind, body, where the next begins.

    Raises
    ------
    CorruptArchive
        It does not lie wholly in the file, its kind is unknown, or its checksum is wrong. Nothing longer
        than the file is ever allocated.
    """
    size = file.size
    if not len(HEADER) <= offset <= size - record_bytes(0):
        raise CorruptArchive(f"no room for a record at byte {offset} of {size}")
    prefix = file.read(offset, PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise CorruptArchive(f"record at byte {offset}: the file became shorter")
    kind, length = PREFIX.unpack(prefix)
    end = offset + record_bytes(length)
    if end > size:
        raise CorruptArchive(f"record at byte {offset} runs past the end of the file, byte {size}")
    if kind not in Kind._value2member_map_:
        raise CorruptArchive(f"record at byte {offset}: unknown kind {kind}")
    rest = file.read(offset + PREFIX.size, length + CRC.size)
    if len(rest) < length + CRC.size:
        raise CorruptArchive(f"record at byte {offset}: the file became shorter")
    body = rest[:length]
    if CRC.unpack(rest[length:])[0] != crc32c(prefix + body):
        raise CorruptArchive(f"record at byte {offset}: its checksum does not match")
    return Kind(kind), body, end


def pack_footer(index_offset: int) -> bytes:
    """The file's last bytes, which say where the index is."""
    crc = crc32c(struct.pack("<Q", index_offset))
    return FOOTER.pack(index_offset, crc, END_MAGIC)


def unpack_footer(data: bytes) -> int | None:
    """Where the index is, or None: the bytes are no footer."""
    if len(data) != FOOTER.size:
        return None
    offset, crc, magic = FOOTER.unpack(data)
    if magic != END_MAGIC or crc != crc32c(struct.pack("<Q", offset)):
        return None
    return int(offset)


def check_name(name: str) -> str:
    """``name`` itself if an archive may hold it.

    Raises
    ------
    InvalidType
        It is no text.
    InvalidInput
        It is empty, longer than 1024 bytes in UTF-8, or has control or format characters or lone surrogates.
    """
    if not isinstance(name, str):
        raise InvalidType(f"a map's name is text, not {type(name).__name__}")
    if not name or any(unicodedata.category(x) in ("Cc", "Cf", "Cs") for x in name):
        raise InvalidInput(f"{name!r} is no name for a map: it is empty or has control characters or lone surrogates")
    if len(name.encode()) > MAX_NAME:
        raise InvalidInput(f"the name {name[:40]!r}... is longer than {MAX_NAME} bytes")
    return name


def unpack_name(body: bytes) -> str:
    """The text of a name, checked as by `check_name`."""
    try:
        return check_name(body.decode())
    except (UnicodeDecodeError, InvalidInput) as error:
        raise CorruptArchive(f"a name of the archive is not valid: {error}") from error


def pack_index(index: Index) -> bytes:
    """The body of the index record; entries are written in order of name number, then sample."""
    names = [name.encode() for name in index.names]
    head = INDEX_HEAD.pack(index.plan, index.metadata, len(names), len(index.entries))
    lengths = np.array([len(x) for x in names], "<u2").tobytes()
    return head + lengths + b"".join(names) + index.entries.tobytes()


def unpack_index(body: bytes, offset: int) -> Index:
    """The index in ``body``, whose record begins at ``offset``.

    Raises
    ------
    CorruptArchive
        Its parts do not fill it exactly, a name is not valid or twice there, entries are out of order, or what
        they point to is not records that lie between the header and the index without overlapping.
    """
    if len(body) < INDEX_HEAD.size:
        raise CorruptArchive("the index is too short")
    plan, metadata, n_names, n_entries = INDEX_HEAD.unpack_from(body)
    at = INDEX_HEAD.size
    if n_names > (len(body) - at) // 2:
        raise CorruptArchive(f"the index claims {n_names} names")
    lengths = np.frombuffer(body, "<u2", n_names, at).astype(np.int64)
    at += 2 * n_names
    ends = at + np.cumsum(lengths)
    start_of_entries = int(ends[-1]) if n_names else at
    if start_of_entries + n_entries * ENTRY.itemsize != len(body):
        raise CorruptArchive(f"the index's parts do not fill its {len(body)} bytes")
    names = tuple(unpack_name(body[e - n : e]) for e, n in zip(ends.tolist(), lengths.tolist(), strict=True))
    index = Index(plan, metadata, names, np.frombuffer(body, ENTRY, n_entries, start_of_entries))
    _check_keys(index)
    _check_places(index, offset)
    return index


def _check_keys(index: Index) -> None:
    entries = index.entries
    keys = entries["name"].astype(np.uint64) << np.uint64(32) | entries["sample"]
    if len(set(index.names)) != len(index.names):
        raise CorruptArchive("the index has a name twice")
    if (keys[1:] <= keys[:-1]).any():
        raise CorruptArchive("the index's entries are not in order")
    if len(entries) and int(entries["name"][-1]) >= len(index.names):
        raise CorruptArchive("the index has an entry without a name")


def _check_places(index: Index, end: int) -> None:
    """Hold the records that the index points to against the room from the header to ``end``, where it begins."""
    room = np.uint64(max(0, end - len(HEADER)))
    offsets = np.concatenate([index.entries["offset"], np.array([x for x in (index.plan, index.metadata) if x], "<u8")])
    sizes = np.full(len(offsets), record_bytes(0), np.uint64)
    sizes[: len(index.entries)] += index.entries["length"].astype(np.uint64) + np.uint64(FRAME_KEY.size)
    if (offsets < len(HEADER)).any() or (offsets > end).any() or (sizes > room).any():
        raise CorruptArchive("the index points outside the archive's records")
    order = np.argsort(offsets)
    starts, ends = offsets[order], (offsets + sizes)[order]
    if (ends[:-1] > starts[1:]).any():
        raise CorruptArchive("the index has records that overlap")
    if len(ends) and int(ends[-1]) > end:
        raise CorruptArchive("the index points outside the archive's records")
