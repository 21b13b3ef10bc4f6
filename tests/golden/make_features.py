"""Write golden frames that show each feature of the format, and their manifest. Files that exist are kept as they are.

    python tests/golden/make_features.py

Frames come from the reference with trained parameters; the core must decode them to the same map before one is kept.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import fmapzip
from fmapzip import Plan, QuantParams, TapPlan, registry
from fmapzip.codecs import context_rans_training as training
from fmapzip.codecs.context_rans import PLAN_SIZE
from fmapzip.codecs.context_rans_reference import Earlier
from fmapzip.reference import decode, encode
from strategies import make_map

FEATURES = HERE / "features"
MANIFEST = FEATURES / "manifest.json"
PLAN = "plan.fmzp"
TYPES = ("uint8", "int8")
LIMITS = {"uint8": (0, 255), "int8": (-127, 127)}


@dataclass(frozen=True)
class Feature:
    """One golden frame to be: a map, how it is coded, and what it is there to show."""

    name: str
    shows: str
    q: NDArray[Any]
    codec: str = "zvc"
    parameters: bytes = b""
    scales: tuple[float, ...] = ()
    rows: int | None = None
    tap: int | None = None
    zero_point: int = 0
    reference: tuple[str, NDArray[Any]] | None = None  # the feature that shows it, and the map


def smooth(shape: tuple[int, ...], dtype: str, seed: int, zeros: float = 0.4, size: float = 30) -> NDArray[Any]:
    """A map whose neighbours and channels are alike, with zeros."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, size, shape)
    for axis in range(1, len(shape)):
        values = (values + np.roll(values, 1, axis)) / 1.4
    values = (values + np.roll(values, 1, 0)) / 1.4
    if dtype == "uint8":
        values = np.maximum(values - np.quantile(values, zeros), 0)
    else:
        values[np.abs(values) < np.quantile(np.abs(values), zeros)] = 0
    return np.clip(np.rint(values), *LIMITS[dtype]).astype(dtype)


def features(dtype: str) -> list[Feature]:
    """What is shown for maps of one type."""
    make = registry.make
    q = smooth((20, 14, 15), dtype, 1)
    more = np.stack([smooth((20, 14, 15), dtype, seed) for seed in range(8)])
    wide = np.stack([smooth((40, 20, 20), dtype, seed, zeros=0.6, size=15 + 3 * seed) for seed in range(20)])
    sparse = make_map((64, 32, 32), "zero", dtype, 0)
    places = np.random.default_rng(3).choice(sparse.size, 900, replace=False)
    sparse.reshape(-1)[places] = np.random.default_rng(4).integers(1, 90, len(places))
    half = q.copy()
    half[:, 3:6] = make_map((20, 3, 15), "noise", dtype, 5)

    zero_point = 37 if dtype == "uint8" else -90  # both ranges are of no type

    def pointed(maps: NDArray[Any]) -> NDArray[Any]:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        signs = np.where(np.arange(maps.size).reshape(maps.shape) % 5 == 0, -1, 1)
        return np.clip(maps.astype(int) * signs + zero_point, low, high).astype(dtype)

    def with_zero_point(name: str, shows: str, codec: str = "zvc", rows: int | None = None, **settings: Any) -> Feature:
        trained = make(codec, **settings).train(pointed(more), zero_point)
        shows = f"a zero point: {shows}"
        return Feature(f"zero-point-{name}", shows, pointed(q), codec, trained, (0.25,), rows, zero_point=zero_point)

    def planned(codec: str, maps: NDArray[Any], **settings: Any) -> bytes:
        return make(codec, **settings).train(maps)

    dense = smooth((20, 14, 15), dtype, 6, zeros=0.02, size=60)
    level = np.full_like(dense, 100 if dtype == "int8" else 200)
    level[:, 5, 3:9] -= np.asarray(9, dtype)
    holed = level.copy()
    holed[:, 7:9, 2:13] = 0
    transform = {"path": "transform", "group": 16, "step": 6.0, "zero_mask": True, "order": "correlation"}
    mask_points = {"path": "mask", "mask_step": 3.0, "coding": "rans"}
    rans = {"path": "transform", "group": 4, "step": 0.25, "coding": "rans", "order": "natural"}
    return [
        Feature("vector", "one dimension", q[:, 0, 0]),
        Feature("sequence", "two dimensions", q[:, 0]),
        Feature("volume", "four dimensions", smooth((6, 3, 4, 5), dtype, 7)),
        Feature("one-value", "the smallest map", q[:1, :1, :1]),
        Feature("tiles", "several tiles, the last one shorter", q, rows=4),
        Feature("stored-tile", "a stored tile among coded ones", half, rows=3),
        Feature("scale", "a scale", q, scales=(0.5,)),
        Feature(
            "scales",
            "a scale a channel, the least and the largest among them",
            q[:3],
            scales=(2.0**-126, 0.1, 2.0**120),
        ),
        Feature("stored", "the codec raw, two tiles", q[:4], "raw", rows=5),
        Feature("rans-fast", "contexts from channels", q, "context-rans", planned("context-rans", more, level="fast")),
        Feature("rans-offsets", "neighbours and offsets", q, "context-rans", planned("context-rans", more)),
        Feature("rans-channel-weights", "weights and biases of channels", q, "context-rans", channel_weights(more)),
        Feature("rans-predicted", "channels predict channels, K = 64", wide[0], "context-rans", most_tables(wide)),
        Feature(
            "rans-head",
            "channels predict channels, with a head",
            wide[0],
            "context-rans",
            planned("context-rans", wide, level="ultra"),
        ),
        Feature(
            "rans-references",
            "coded with the map of rans-head, 3x3 positions of all channels",
            told_by(wide)[0],
            "context-rans",
            referring(told_by(wide), wide),
            reference=("rans-head", wide[0]),
        ),
        Feature(
            "rans-tiles",
            "a tile's lanes and first row are its own",
            q,
            "context-rans",
            planned("context-rans", more),
            rows=2,
        ),
        Feature(
            "rans-points",
            "requantized, with stored points",
            q,
            "context-rans",
            planned("context-rans", more, step="5/2"),
        ),
        Feature(
            "rans-centred",
            "requantized, with points that are not stored",
            q,
            "context-rans",
            make("context-rans", step=3).parameters(q),
        ),
        Feature(
            "rans-predicted-points",
            "channels predict channels of a requantized map",
            wide[1],
            "context-rans",
            planned("context-rans", wide, level="max", step=2),
        ),
        Feature("rans-64-lanes", "64 lanes", sparse, "context-rans", make("context-rans").parameters(sparse)),
        Feature(
            "rans-fast-64-lanes",
            "64 lanes without neighbours",
            sparse,
            "context-rans",
            make("context-rans", level="fast").parameters(sparse),
        ),
        Feature(
            "rans-volume",
            "four dimensions in contexts",
            smooth((6, 5, 8, 9), dtype, 7, zeros=0.7),
            "context-rans",
            make("context-rans", level="fast").parameters(smooth((6, 5, 8, 9), dtype, 7, zeros=0.7)),
        ),
        Feature("mask", "mask path, all points", q, "dct-cm", planned("dct-cm", more, path="mask")),
        Feature(
            "mask-points",
            "mask path, stored points, two tiles",
            q,
            "dct-cm",
            planned("dct-cm", more, path="mask", mask_step=3.0),
            rows=7,
        ),
        Feature(
            "mask-rans",
            "mask path by rANS",
            q,
            "dct-cm",
            planned("dct-cm", more, path="mask", mask_step=2.0, coding="rans"),
        ),
        Feature(
            "transform-16",
            "N = 16 and a last group of 4, zero mask, channel order",
            dense,
            "dct-cm",
            planned("dct-cm", more, **transform),
        ),
        Feature(
            "transform-32",
            "N = 32 and frequencies that are not kept",
            wide[2],
            "dct-cm",
            planned("dct-cm", wide, path="transform", group=32, keep=20, step=6.0, order="natural"),
        ),
        Feature(
            "transform-rans",
            "rANS with large coefficients, e > 0",
            level,
            "dct-cm",
            planned("dct-cm", level[None], **rans),
        ),
        Feature(
            "transform-rans-mask",
            "rANS with a zero mask and a channel order",
            wide[3],
            "dct-cm",
            planned("dct-cm", wide, path="transform", group=8, step=6.0, zero_mask=True, coding="rans"),
        ),
        Feature(
            "transform-rans-full",
            "rANS, large coefficients, zero mask and channel order",
            holed,
            "dct-cm",
            planned("dct-cm", holed[None], **{**rans, "zero_mask": True, "order": "correlation"}),
        ),
        with_zero_point("zvc", "the bitmap, two tiles", rows=7),
        with_zero_point("rans", "contexts", "context-rans"),
        Feature(
            "zero-point-rans-predicted",
            "a zero point: channels predict channels",
            pointed(wide[0]),
            "context-rans",
            make("context-rans", level="max").train(pointed(wide), zero_point),
            zero_point=zero_point,
        ),
        with_zero_point("rans-points", "requantized, with stored points", "context-rans", step="5/2"),
        with_zero_point("mask", "the mask path", "dct-cm", path="mask"),
        with_zero_point("mask-points", "points of the mask path by rANS", "dct-cm", **mask_points),
        with_zero_point("transform", "the transform path and its zero mask", "dct-cm", **{**transform, "step": 2.0}),
    ]


def channel_weights(maps: NDArray[Any]) -> bytes:
    """Parameters in which channels have weights and biases of their own, whether they pay or not."""
    requantizer = training.Requantizer(128 if maps.dtype == np.int8 else 0, Fraction(1))
    return training.train_channel_weights(maps, requantizer, PLAN_SIZE).to_bytes()


def most_tables(maps: NDArray[Any]) -> bytes:
    """Parameters with a prediction and all of 64 token tables, the last of which is used."""
    size = training.ModelSize(levels=21, spread_levels=6, tables=64)
    requantizer = training.Requantizer(128 if maps.dtype == np.int8 else 0, Fraction(1))
    trained = training.train_prediction(maps, requantizer, size)
    last = len(trained.raw_bits) - 1
    added = 63 - last
    return replace(
        trained,
        raw_bits=np.concatenate([trained.raw_bits, np.repeat(trained.raw_bits[-1:], added, 0)]),
        log_frequencies=np.concatenate([trained.log_frequencies, np.repeat(trained.log_frequencies[-1:], added, 0)]),
        table_of=np.where(trained.table_of == last, 63, trained.table_of),
    ).to_bytes()


def examples() -> list[Feature]:
    """The frames that the pages of the format explain byte by byte."""
    q = np.zeros((2, 2, 3), np.uint8)
    q[0, 0, 2], q[1, 0, 1], q[1, 1, 2] = 7, 9, 1
    blocks = np.zeros((1, 4, 8), np.int8)
    blocks[0, 1, 2:6], blocks[0, 2, 3] = [3, -1, 1, 20], -2
    rows = np.zeros((2, 16, 16), np.uint8)
    rows[0, 4, 5], rows[0, 9, 1], rows[1, 2, 2:5] = 3, 40, [1, 2, 1]
    ours = registry.make("context-rans", level="fast")
    return [
        Feature("example-frame", "explained in FORMAT.md", q, scales=(0.5,)),
        Feature(
            "example-dct-cm",
            "explained in dct-cm.md",
            blocks,
            "dct-cm",
            registry.make("dct-cm", path="mask").parameters(blocks),
        ),
        Feature("example-context-rans", "explained in context-rans.md", rows, "context-rans", ours.parameters(rows)),
    ]


def plan_of(listed: list[Feature]) -> tuple[Plan, list[Feature]]:
    """A plan with a tap for each built-in codec and type, and the features that refer to it."""
    taken = [
        f
        for f in listed
        if f.name
        in ("tiles-uint8", "rans-offsets-uint8", "rans-predicted-int8", "transform-16-uint8", "mask-rans-int8")
    ]
    settings = {"zvc": {}, "context-rans": {}, "dct-cm": {}}
    taps, planned = [], []
    for index, f in enumerate(taken):
        scale = (0.25,) if index % 2 else tuple(0.01 * (c + 1) for c in range(len(f.q)))
        codec = registry.make(f.codec, **settings[f.codec])
        taps.append(TapPlan(f.name, f.q.shape, QuantParams(str(f.q.dtype), scale), codec, f.parameters))
        planned.append(replace(f, name=f"planned-{f.name}", shows=f"a plan; {f.shows}", tap=index, rows=None))
    scaled = replace(
        planned[0], name="planned-scales", shows="a plan, and scales that win over the plan's", scales=(2.0,)
    )
    return Plan(tuple(taps), {"note": "golden"}), [*planned, scaled]


def main() -> None:
    FEATURES.mkdir(exist_ok=True)
    listed = [typed(f, dtype) for dtype in TYPES for f in features(dtype)]
    path = FEATURES / PLAN
    plan, planned = plan_of(listed)
    if path.exists():
        plan = Plan.load(path)
    plan.save(path)
    known = {entry["file"]: entry for entry in json.loads(MANIFEST.read_text())["frames"]} if MANIFEST.exists() else {}
    for f in [*listed, *planned, *examples()]:
        file = f"{f.name}.fmap"
        if file not in known:
            known[file] = {"file": file, "shows": f.shows, **keep(f, plan, FEATURES / file)}
    lines = ",\n  ".join(json.dumps(entry) for entry in known.values())
    head = {"plan": PLAN, "plan_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    MANIFEST.write_text(json.dumps(head)[:-1] + ',\n "frames": [\n  ' + lines + "]}\n")


def typed(f: Feature, dtype: str) -> Feature:
    """A feature's frame for one type."""
    reference = None if f.reference is None else (f"{f.reference[0]}-{dtype}", f.reference[1])
    return replace(f, name=f"{f.name}-{dtype}", reference=reference)


def told_by(maps: NDArray[Any]) -> NDArray[Any]:
    """Maps that are known where others are, but for what is lost below zero."""
    mixed = (maps.astype(np.int64) - np.roll(maps, 3, 1)) // 2
    return np.maximum(mixed, 0).astype(maps.dtype)


def referring(maps: NDArray[Any], others: NDArray[Any]) -> bytes:
    """Parameters for maps that are coded with others."""
    earlier = Earlier(others)
    heard = ((earlier.reference(same_channel=False, wide=True, halved=False), earlier),)
    below = 128 if maps.dtype == np.int8 else 0
    return training.train_head(maps, training.Requantizer(below, Fraction(1)), heard).to_bytes()


def keep(f: Feature, plan: Plan, path: Path) -> dict[str, Any]:
    """Write one frame, and say what the manifest has of it."""
    named = None if f.tap is None else (plan.hash8, f.tap)
    parameters = f.parameters if f.tap is None else plan[f.tap].parameters
    code = registry.make(f.codec).number
    references = [] if f.reference is None else [f.reference[1]]
    options = {"scales": f.scales, "plan": named, "rows": f.rows, "zero_point": f.zero_point, "references": references}
    frame = encode(f.q, code, parameters, **options)
    decoded = decode(frame, parameters, references)
    if not np.array_equal(fmapzip.decode(frame, plan=plan, reference=references or None), decoded):
        raise SystemExit(f"{f.name}: core and reference disagree")
    info = fmapzip.inspect(frame, plan)
    if (info.stored_tiles == len(info.tile_bytes)) != ("stored-u" in f.name or "stored-i" in f.name or f.q.size == 1):
        raise SystemExit(f"{f.name}: {info}")
    path.write_bytes(frame)
    names = {} if f.reference is None else {"references": [f"{f.reference[0]}.fmap"]}
    return {
        **names,
        "codec": f.codec,
        "dtype": str(f.q.dtype),
        "shape": list(f.q.shape),
        "tap": f.tap,
        "bytes": len(frame),
        "sha256": hashlib.sha256(frame).hexdigest(),
        "decoded_sha256": hashlib.sha256(decoded.tobytes()).hexdigest(),
    }


if __name__ == "__main__":
    main()
