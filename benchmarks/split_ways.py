"""The ways to run a network of which `split_links.py` takes the times, prepared: splits, pictures, what each loses."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstd_codec  # noqa: F401
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.data import load_data
from fmapzip.eval.preprocess import Preprocessing
from fmapzip.eval.request import Inputs, Request
from fmapzip.eval.split import split as parted
from fmapzip.measurements import MeasurementCache
from fmapzip.split import Split, cut, save_split
from fmapzip.split import load as read
from fmapzip.torch.metrics import Scores

OURS = ("context-rans", "context-rans:step=2", "context-rans:step=4")
OTHERS = ("raw", "bench-zstd")
QUALITIES = (20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 98)

Picture = NDArray[np.uint8]
Encode = Callable[[Picture], bytes]


@dataclass(frozen=True)
class Prepared:
    """A network, its images, and its splits.

    Attributes
    ----------
    inputs, pictures
        The network and its images; the same images before they were normalised.
    preprocessing
        From such a picture to an input.
    splits
        With our ladder, and with that of the others.
    program
        The whole network as a file.
    classes
        Whether its output is class scores.
    """

    inputs: Inputs
    pictures: list[Picture]
    preprocessing: Preprocessing
    splits: dict[str, Split]
    folders: dict[str, Path]
    program: Path
    classes: bool

    def input(self, picture: Picture) -> Tensor:
        """A picture as the network reads it, a batch of one."""
        return torch.from_numpy(self.preprocessing.of_array(picture, "the image"))[None]


def prepare(request: Request, inputs: Inputs, at: Sequence[str], classes: bool, work: Path) -> Prepared:
    """Cut the network, and write what servers read into a folder; what is there already stays."""
    folders = {"ours": work / "ours", "others": work / "others"}
    image, _ = next(iter(inputs.calibration))
    for (name, folder), codecs in zip(folders.items(), (OURS, OTHERS), strict=True):
        if not folder.exists():
            chosen = [parse_codec(spec) for spec in codecs]
            save_split(cut(inputs.model, image[:1], at), folder, inputs.calibration, chosen, model=name)
    program = work / "whole.pt2"
    if not program.exists():
        torch.export.save(torch.export.export(inputs.model, (image[:1],)), program)
    given = inputs.preprocessing
    assert given is not None
    read_on = replace(given, resize=None, crop=None, letterbox=None)
    (work / "declared.json").write_text(json.dumps(asdict(read_on)))
    splits = {name: read(folder) for name, folder in folders.items()}
    return Prepared(inputs, pictures(request, given), read_on, splits, folders, program, classes)


def pictures(request: Request, given: Preprocessing) -> list[Picture]:
    """The reported images, scaled and cropped, in 8 bits."""
    shown = replace(given, channels="rgb", range=(0.0, 255.0), mean=None, std=None)
    data = load_data(request.data, shown)
    images = parted(data.select(range(len(data))[: request.limit]), request.calib, shown).images
    pixels = (images.read(i) for i in range(len(images)))
    return [np.ascontiguousarray(np.rint(image).astype(np.uint8).transpose(1, 2, 0)) for image in pixels]


def pillow(kind: str, **options: int) -> Encode:
    def encode(picture: Picture) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind, **options)
        return file.getvalue()

    return encode


def accuracy(prepared: Prepared, cache: MeasurementCache) -> dict[str, Any]:
    """What each rung and each quality of JPEG takes and loses, over all reported images."""

    def ours(name: str, rung: int) -> dict[str, Any]:
        split = prepared.splits[name]
        found, sizes = [], 0
        with torch.inference_mode():
            for picture in prepared.pictures:
                message = split.codec.encode(split.head(prepared.input(picture)), rung)[0]
                sizes += sum(map(len, message))
                found.append(split.tail(*split.codec.decode([message], rung)))
        return {"bytes": sizes / len(found), **figures(prepared, wanted(), torch.cat(found))}

    def sent(encode: Encode) -> dict[str, Any]:
        data = [encode(picture) for picture in prepared.pictures]
        outputs = run(prepared, [np.asarray(Image.open(io.BytesIO(each))) for each in data])
        return {"bytes": sum(map(len, data)) / len(data), **figures(prepared, wanted(), outputs)}

    known: list[Tensor] = []

    def wanted() -> Tensor:
        if not known:
            known.append(run(prepared, prepared.pictures))
        return known[0]

    found = {"float": cache.get("float", lambda: figures(prepared, wanted(), wanted()))}
    for name, codecs in (("ours", OURS), ("others", OTHERS)):
        for rung, codec in enumerate(codecs):
            found[codec] = cache.get(codec, partial(ours, name, rung))
    found["PNG"] = cache.get("PNG", lambda: sent(pillow("PNG")))
    for quality in QUALITIES:
        found[f"JPEG {quality}"] = cache.get(f"JPEG {quality}", partial(sent, pillow("JPEG", quality=quality)))
    return found


def run(prepared: Prepared, images: Sequence[Picture]) -> Tensor:
    with torch.inference_mode():
        return torch.cat([prepared.inputs.model(prepared.input(image)) for image in images])


def figures(prepared: Prepared, wanted: Tensor, got: Tensor) -> dict[str, Any]:
    """Of outputs against the float network's: KL, hits and changes, or noise over energy."""
    if not prepared.classes:
        exact = wanted.double()
        return {"distortion": float((got.double() - exact).square().sum() / exact.square().sum())}
    labels = torch.as_tensor(prepared.inputs.parts.images.labels[: len(got)])
    ours, theirs = Scores(wanted), Scores(got)
    return {
        "distortion": float(ours.divergence_to(theirs).mean()),
        "hits": int((theirs.predictions == labels).sum()),
        "changed": int((theirs.predictions != ours.predictions).sum()),
    }


def fair_qualities(found: dict[str, Any], classes: bool) -> list[int]:
    """The qualities of JPEG that are as good as our splits: for each rung, the lowest that loses no more.

    For class scores also the lowest from which on none has fewer hits than our lossless rung. PNG stands for what no
    quality reaches.
    """
    kept: set[int] = set()
    for codec in OURS:
        near = [
            quality for quality in QUALITIES if found[f"JPEG {quality}"]["distortion"] <= found[codec]["distortion"]
        ]
        kept |= set(near[:1])
    if classes:
        few = [quality for quality in QUALITIES if found[f"JPEG {quality}"]["hits"] < found[OURS[0]]["hits"]]
        kept |= set([quality for quality in QUALITIES if quality > max(few, default=0)][:1])
    return sorted(kept)
