"""Give the golden files of before version 1 the present version of the format, and renew what depends on it.

    python tests/compat/restamp.py

For the one step that keeps no reader of what was before, from version 0 to 1. Contents stay: only versions, plans'
hashes in frames, and checksums that held before are written anew. What is of the present version stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable
from pathlib import Path

from fmapzip import _core

TESTS = Path(__file__).parent.parent
VERSION = _core.FORMAT_VERSION
PLAN_FLAG, OWN_ID = 4, 0
FRAME_RECORD, PLAN_RECORD, FOOTER = 2, 3, 16
Hashes = dict[bytes, bytes]


def frame(data: bytes, plans: Hashes) -> bytes:
    """A frame of the present version; `plans` has new hashes for old ones."""
    if data[:4] != b"FMAP" or data[4] > VERSION:
        return data
    after = next((n for n in (0, 1) if _holds(data[: len(data) - n])), None)  # one golden error has a byte behind it
    end = len(data) - (after or 0)
    body = bytearray(data[: end - 4])
    body[4] = VERSION
    for old, new in plans.items():
        if body[6] & PLAN_FLAG and old in body[:128]:
            at = body.index(old)
            body[at : at + 8] = new
    checksum = data[end - 4 : end] if after is None else _core.crc32c(bytes(body)).to_bytes(4, "little")
    return bytes(body) + checksum + data[end:]


def _holds(data: bytes) -> bool:
    return _core.crc32c(data[:-4]).to_bytes(4, "little") == data[-4:]


def plan(data: bytes) -> bytes:
    """A plan file of the present version."""
    _, _, rest = data.partition(b"\n")
    return b"fmapzip-plan %d\n" % VERSION + rest


def archive(data: bytes) -> bytes:
    """An archive of the present version, its plan and frames too; no record changes its length."""
    records, plans = list(_records(data)), {}
    for kind, body in records:
        if kind == PLAN_RECORD:
            plans[_hash8(body)] = _hash8(plan(body))
    out = bytearray(b"FMZA" + bytes([VERSION, 0, 0, 0]))
    for kind, body in records:
        changed = plan(body) if kind == PLAN_RECORD else body
        if kind == FRAME_RECORD:
            changed = body[:8] + frame(body[8:], plans)
        record = struct.pack("<BI", kind, len(changed)) + changed
        out += record + _core.crc32c(record).to_bytes(4, "little")
    return bytes(out) + data[-FOOTER:]


def _records(data: bytes) -> Iterable[tuple[int, bytes]]:
    at = 8
    while at < len(data) - FOOTER:
        kind, length = struct.unpack_from("<BI", data, at)
        yield kind, data[at + 5 : at + 5 + length]
        at += 9 + length


def _hash8(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:8]


def files() -> dict[Path, bytes]:
    """Every golden file, as it has to be."""
    features = TESTS / "golden" / "features"
    golden_plan = features / "plan.fmzp"
    plans = {_hash8(golden_plan.read_bytes()): _hash8(plan(golden_plan.read_bytes()))}
    frames = [*TESTS.glob("golden/*.fmap"), *features.glob("*.fmap"), *TESTS.glob("golden_errors/*.fmap")]
    found = {path: frame(path.read_bytes(), plans) for path in frames}
    found[golden_plan] = plan(golden_plan.read_bytes())
    for path in (TESTS / "archive" / "golden_v0.fmz", TESTS / "compat" / "maps.fmz"):
        found[path] = archive(path.read_bytes())
    found[features / "manifest.json"] = _manifest(features / "manifest.json", found)
    return found


def _manifest(path: Path, found: dict[Path, bytes]) -> bytes:
    text = path.read_text("utf-8")
    listed = json.loads(text)
    hashes = {listed["plan_sha256"]: found[path.parent / listed["plan"]]}
    hashes |= {entry["sha256"]: found[path.parent / entry["file"]] for entry in listed["frames"]}
    for old, data in hashes.items():
        text = text.replace(old, hashlib.sha256(data).hexdigest())
    return text.encode()


def main() -> None:
    """Write them."""
    for path, data in files().items():
        path.write_bytes(data)


if __name__ == "__main__":
    main()
