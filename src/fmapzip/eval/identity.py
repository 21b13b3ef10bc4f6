"""What tells a run from others: hashes of the network and of the images, versions and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from fmapzip.codecs.base import Codec
from fmapzip.documents.bench_shard import BenchShard
from fmapzip.documents.shard import Asked, Shard
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.request import Inputs, Request
from fmapzip.plan import Plan
from fmapzip.torch.network_hash import network_hash

_PACKAGES = ("fmapzip", "torch", "numpy")
_WORDS = {
    "versions": "other versions",
    "model": "another network",
    "images": "other images",
    "calibration": "other calibration images",
    "count": "another number of images",
    "codecs": "other codecs or plans",
    "metrics": "other metrics",
    "settings": "other settings",
}


def asked(request: Request, inputs: Inputs, codecs: Sequence[Codec | Plan], metrics: Sequence[str]) -> Asked:
    """What was asked for, without the paths of this machine.

    Parameters
    ----------
    request, inputs
        What was typed, and what was loaded.
    codecs
        What is evaluated.
    metrics
        Of the tasks, as typed.
    """
    return Asked(
        versions={name: version(name) for name in _PACKAGES},
        model=network_hash(inputs.model),
        images=images_hash(inputs.parts.images),
        calibration=images_hash(inputs.parts.calibration),
        count=len(inputs.parts.images),
        codecs=[{"plan": x.hash.hex()} if isinstance(x, Plan) else _plain(x.config()) for x in codecs],
        metrics=list(metrics),
        settings=_plain({
            "batch": inputs.batch,
            "quantizer": request.quantizer,
            "taps": request.taps,
            "output": request.metrics,
            "input": inputs.described,
        }),
    )  # fmt: skip


def difference(one: Asked, other: Asked) -> str | None:
    """In words, the first thing in which two differ: what `other` has, then what `one` has; None where nothing."""
    for key, words in _WORDS.items():
        wanted, found = getattr(one, key), getattr(other, key)
        if wanted != found:
            return f"of {words}: {_short(found)}, not {_short(wanted)}"
    return None


def other_shard(wanted: Asked, part: tuple[int, int], known: Shard | BenchShard) -> str | None:
    """In words, why a document is not of the shard ``(i, n)`` that was asked for; None where it is."""
    differs = difference(wanted, known.asked)
    if differs is None and (known.shard, known.shards) != (part[0] + 1, part[1]):
        differs = f"shard {known.shard}/{known.shards}, not {part[0] + 1}/{part[1]}"
    return differs


def other_run(first: Shard | BenchShard, shard: Shard | BenchShard) -> str | None:
    """In words, why two documents are not of shards of the same run, by what was asked for; None where they may be."""
    differs = difference(first.asked, shard.asked)
    if differs is None and shard.shards != first.shards:
        differs = f"one of {shard.shards} shards, not of {first.shards}"
    return differs


def images_hash(images: Dataset) -> str:
    """SHA-256 over the names and classes of images, and the values of the first."""
    found = hashlib.sha256(json.dumps(images.names).encode())
    if images.labels is not None:
        found.update(images.labels.astype("<i8").tobytes())
    if len(images):
        found.update(images.read(0).tobytes())
    return found.hexdigest()


def _plain(value: Any) -> Any:
    """The value as JSON gives it back."""
    return json.loads(msgspec.json.encode(value))


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
