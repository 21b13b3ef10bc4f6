"""What a release wrote, frozen: frames, plans, archives of every codec, level, type and layout; and a table of sizes.

    python tests/compat/make.py

makes ``tests/compat/VERSION/`` for the present version of the format if it is not there, never writes into one that
is, and makes ``sizes.json`` anew: what the present encoders make of the same maps. All maps are from ``maps.fmz``,
taken once from the demo network; only where that is missing are its packages needed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import battery
import fmapzip
from fmapzip import Archive, ArchiveWriter, Plan, QuantParams, TapPlan, _core
from fmapzip.codecs.base import Codec

IntegerMap = NDArray[Any]
MAPS, SIZES = HERE / "maps.fmz", HERE / "sizes.json"
TAPS = ("stages.0.conv2", "stages.1.conv2", "stages.2.conv2", "classifier")
SAMPLES = 4
SMALL = "stages.2.conv2"
FRAMES, PLANNED, PLAN, MANIFEST = "frames.fmz", "planned.fmz", "plan.fmzp", "manifest.json"
REFERRING = "references.fmz"
TRAINED_FOR_LONG = fmapzip.registry.make("context-rans", level="ultra")
"""Not among the battery's, whose every check would train it."""


def name_of(codec: Codec) -> str:
    """A codec as it is written on a command line, with what is not its default."""
    usual = fmapzip.registry.make(codec.id).config()
    given = [f"{key}={value}" for key, value in codec.config().items() if value != usual.get(key)]
    return codec.id + (":" + ",".join(given) if given else "")


def codecs() -> dict[str, Codec]:
    """Every codec and level, by name."""
    return {name_of(codec): codec for codec in (*battery.SUBJECTS, TRAINED_FOR_LONG)}


def maps() -> dict[str, IntegerMap]:
    """Maps of the demo network, all samples of a tap in one array."""
    with Archive(MAPS) as archive:
        return {name: archive.read_all(name) for name in archive.names}


def layouts() -> dict[str, tuple[IntegerMap, QuantParams]]:
    """A map of each layout and type, with its quantizer; made of one tap's maps."""
    first, second = maps()[SMALL][:2, :32]
    signed = (first.astype(int) - second).clip(-127, 127).astype(np.int8)
    found: dict[str, tuple[IntegerMap, QuantParams]] = {}
    for q in (first, signed):
        dtype = str(q.dtype)
        one, each = QuantParams(dtype, (0.25,)), QuantParams(dtype, tuple((1 + np.arange(32)) / 64))
        found[f"CHW/{dtype}"] = q, one
        found[f"CL/{dtype}"] = q[:, 3], one
        found[f"F/{dtype}"] = q[:, 3, 4], one
        found[f"CDHW/{dtype}"] = q.reshape(32, 2, 4, 8), one
        found[f"CHW/{dtype}/scales"] = q, each
    offset = QuantParams("uint8", (0.25,), zero_point=100)
    found["CHW/uint8/zero point"] = (signed.astype(int) + 100).clip(0, 255).astype(np.uint8), offset
    return found


def chain() -> dict[str, IntegerMap]:
    """Maps of each type that follow from the one before, or from both, as a network's do; samples in one array."""
    q = maps()[SMALL][:, :16]
    signed = (q.astype(int) - np.roll(q, 1, axis=0)).clip(-127, 127).astype(np.int8)
    found: dict[str, IntegerMap] = {}
    for first in (q, signed):
        second = ((3 * first.astype(int) + 2 * np.roll(first, 1, axis=1)) // 4).clip(-127, 127).astype(first.dtype)
        third = (first.astype(int) + np.roll(second, 2, axis=1)).clip(-127, 127).astype(first.dtype)
        found |= {f"{name}/{first.dtype}": each for name, each in zip("abc", (first, second, third), strict=True)}
    return found


def write_maps() -> None:
    """Capture `MAPS` from the demo network."""
    from fmapzip.cli.app import run

    with TemporaryDirectory() as folder:
        whole = Path(folder, "maps.fmz")
        if run(["capture", "demo", "demo", "--limit", str(SAMPLES + 1), "-o", str(whole)]):
            raise SystemExit("the demo's maps could not be captured")
        with Archive(whole) as archive, ArchiveWriter(MAPS, metadata={"made by": "tests/compat/make.py"}) as out:
            for name in TAPS:
                for sample, q in enumerate(archive.read_all(name)):
                    out.add(name, sample, fmapzip.encode(q, "zvc"))


def write_release(folder: Path) -> None:
    """Write what this version's encoders and writers make, and a manifest of what it has to be read as."""
    listed: list[dict[str, Any]] = []
    taps: list[TapPlan] = []
    chosen = [
        (f"{name}/{layout}", codec, *each) for name, codec in codecs().items() for layout, each in layouts().items()
    ]
    folder.mkdir()
    with ArchiveWriter(folder / FRAMES, metadata={"fmapzip": fmapzip.__version__}) as out:
        for name, codec, q, quantizer in chosen:
            frame = fmapzip.encode(q, codec, quantizer=quantizer)
            out.add(name, 0, frame)
            decoded = fmapzip.decode(frame)
            listed.append({"name": name, "dtype": str(q.dtype), "shape": list(q.shape)})
            listed[-1] |= {"frame": sha256(frame), "decoded": sha256(decoded.tobytes())}
            taps.append(TapPlan(name, q.shape, quantizer, codec, codec.train_for(q[None], quantizer)))
    plan = Plan(tuple(taps), {"note": "tests/compat"})
    plan.save(folder / PLAN)
    with ArchiveWriter(folder / PLANNED, plan=plan, metadata={"fmapzip": fmapzip.__version__}) as out:
        for entry, (name, _, q, _) in zip(listed, chosen, strict=True):
            frame = fmapzip.encode(q, plan=plan, tap=name)
            out.add(name, 7, frame)
            entry["planned decoded"] = sha256(fmapzip.decode(frame, plan=plan).tobytes())
    write_chain(folder / REFERRING)
    files = {name: sha256((folder / name).read_bytes()) for name in (FRAMES, PLANNED, PLAN, REFERRING)}
    lines = ",\n  ".join(json.dumps(entry) for entry in listed)
    decoded = json.dumps({name: sha256(batch.tobytes()) for name, batch in chain().items()})
    (folder / MANIFEST).write_text(
        f'{{"files": {json.dumps(files)},\n "references": {decoded},\n "frames": [\n  {lines}]}}\n', "utf-8"
    )


def write_chain(path: Path) -> None:
    """Write an archive whose maps are coded with one another."""
    batches = chain()
    plan = fmapzip.fit(batches, "context-rans", level="ultra", references=2, plan_bytes=1.0)
    with ArchiveWriter(path, plan=plan, metadata={"fmapzip": fmapzip.__version__}) as out:
        for tap in plan:
            for sample, q in enumerate(batches[tap.name]):
                given = [batches[plan[i].name][sample] for i in tap.references] or None
                out.add(tap.name, sample, fmapzip.encode(q, plan=plan, tap=tap.name, reference=given))


def sizes() -> dict[str, Any]:
    """Bytes of the demo's maps by each codec."""
    values = sum(batch.size for batch in maps().values())
    return {"values": values, "codecs": {name: sizes_of(codec) for name, codec in codecs().items()}}


def sizes_of(codec: Codec) -> dict[str, Any]:
    """Bytes of the demo's maps: in frames that stand alone, in frames of a plan that they share, and of that plan."""
    found = maps()
    if codec.plan_share is not None:  # so few maps would not pay for the level's parameters
        codec = replace(codec, plan_bytes=1.0)
    plan = fmapzip.fit(found, codec)
    alone = {name: sum(len(fmapzip.encode(q, codec)) for q in batch) for name, batch in found.items()}
    planned = {name: sum(map(len, frames)) for name, frames in fmapzip.encode_many(found, plan).items()}
    return {"alone": alone, "planned": planned, "plan": len(plan.to_bytes())}


def sha256(data: bytes) -> str:
    """Of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Make what is missing, and the table of sizes."""
    if not MAPS.exists():
        write_maps()
    folder = HERE / str(_core.FORMAT_VERSION)
    if not folder.exists():
        write_release(folder)
    SIZES.write_text(json.dumps(sizes(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
