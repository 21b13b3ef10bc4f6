"""The network of the paper whole: every method on all its maps, plans that keep a cosine, and what they do to its task.

    python benchmarks/paper.py path/to/sscd.onnx path/to/imagenet200 --gallery path/to/imagenet600 \
        --size 224 288 --work runs --json benchmarks/results/paper.json

The network gives embeddings of length 1, so that the mean cosine to those of the network as shipped follows from the
SQNR of the output: 1 - 1 / (2 SNR). Rows 0, 5, 10, ... calibrate, as in the standard protocol; `--rows` cuts the data
before that. Recall@1: distorted copies of reported images, through the network with its maps stored, among the
embeddings of all images of both folders by the network as shipped. What is done stays in the folder `--work`: a run
that was stopped goes on from there. Reports are written after each size.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import FIGURES, write_result
from paper_recall import Copies, Embeddings, judged

import fmapzip
from fmapzip.bench.network import NetworkSource
from fmapzip.bench.run import bench
from fmapzip.bench.specs import choose
from fmapzip.cli.progress import progress
from fmapzip.eval.codec_spec import parse_codec
from fmapzip.eval.data import load_data
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.distortions import distortions
from fmapzip.eval.input_options import InputOptions
from fmapzip.eval.loading import Batches
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.request import Request, load
from fmapzip.eval.run import run
from fmapzip.measurements import MeasurementCache
from fmapzip.planner import Budget, make_plan
from fmapzip.torch.outputs import output_tensor

METHODS = ("all", "dct-cm:path=mask", "dct-cm:path=mask,mask_step=2", "dct-cm:path=mask,mask_step=4")
COSINES = (0.98, 0.995)
PLANNED = ("context-rans", "context-rans:level=max", "dct-cm:coding=bitmap")
KEPT = ("label", "layout", "ours", "lossless", "status", "bytes", "side_bytes", "total_bytes", "other_layout_bytes")

FILE_NAME = str.maketrans({":": "_", "=": "-", ",": "_"})

Values = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is measured at one size of the images."""

    request: Request
    gallery: str
    arena_images: int
    images: int
    queries: int
    time_limit: float | None
    codecs: Sequence[str]
    cosines: Sequence[float]
    calibration: int | None
    on_copies: bool
    work: Path
    cache: MeasurementCache

    def remembered(self, name: str, measure: Callable[[], Values]) -> Values:
        """What `measure` returned when it was first asked for."""
        found: Values = self.cache.get(name, measure)
        print(name, {key: value for key, value in found.items() if isinstance(value, int | float)}, flush=True)
        return found


def arena(job: Job) -> Values:
    """Every method on the same maps."""
    request = replace(job.request, images=job.arena_images)
    with progress() as advance:
        source = NetworkSource(request, advance)
        try:
            found = bench(source, choose(METHODS), 1, 1, advance, job.work / "arena.json")
        finally:
            source.close()
    return {
        "images": found["source"]["images"],
        "calibration_images": found["source"]["calibration_images"],
        "taps": len(found["taps"]),
        **found["totals"],
        "methods": [_method(entry) for entry in found["codecs"]],
    }


def _method(entry: Values) -> Values:
    kept = {key: entry[key] for key in KEPT if key in entry}
    lost = (entry.get("distortion") or {}).get("output_sqnr_db")
    return {**kept, "output_sqnr_db": lost}


def planned(job: Job, codec: str, cosine: float, target: Path) -> Values:
    """Make the plan of a cosine; only calibration images are looked at."""
    inputs = load(job.request)
    images = inputs.parts.calibration
    images = images.select(range(len(images))[: job.calibration])
    calibration = Batches(_one_copy_each(images, inputs.preprocessing) if job.on_copies else images, inputs.batch)
    with progress() as advance:
        found = make_plan(
            inputs.model,
            calibration,
            Budget("sqnr", sqnr_of(cosine)),
            codecs=[parse_codec(codec) if ":" in codec else codec],
            time_limit=job.time_limit,
            state=job.work / "state",
            progress=advance,
        )
    found.plan.save(target)
    return {
        "calibration_images": found.calibration_images,
        "met": found.met,
        "back_offs": found.back_offs,
        "planning_seconds": found.seconds,
    }


def measured(job: Job, plan: Path) -> Values:
    """Run a plan on images that did not calibrate."""
    with progress() as advance:
        found = run(replace(job.request, images=job.images), [fmapzip.Plan.load(plan)], advance)
    return {"images": found["images"], **{key: found["codecs"][0][key] for key in FIGURES}}


def recall(job: Job, gallery: Embeddings, names: Sequence[str], name: str, plan: fmapzip.Plan | None) -> Values:
    """Which copies find the image that they are of, and how near their embeddings stay."""
    inputs = load(job.request)
    assert inputs.preprocessing is not None
    images = inputs.parts.images.select(range(len(inputs.parts.images))[: job.queries])
    copies = Copies(inputs.model, images, inputs.preprocessing, job.work / "copies")
    places = {name: i for i, name in enumerate(names)}
    shipped = copies.embeddings("shipped", None)
    return judged(copies.embeddings(name, plan), gallery, [places[name] for name in images.names], shipped)


def _one_copy_each(data: Dataset, preprocessing: Preprocessing | None) -> Dataset:
    """A copy of each image by the next of the hard and harder distortions."""
    assert preprocessing is not None
    wanted = (distortion for copies in ("hard", "harder") for distortion in distortions(copies).values())
    ways = [replace(preprocessing, distortion=distortion) for distortion in wanted]
    return replace(data, read=lambda i: _read(data, ways[i % len(ways)], i))


def _read(data: Dataset, way: Preprocessing, i: int) -> Pixels:
    assert data.read_by is not None
    return data.read_by(i, way)


def shipped(job: Job) -> tuple[Embeddings, list[str]]:
    """The embeddings of all images by the network as shipped, kept in a file, and the images' names."""
    inputs, file = load(job.request), job.work / "gallery.npy"
    data = [load_data(spec, inputs.preprocessing) for spec in (job.request.data, job.gallery)]
    names = [*data[0].names, *(f"{job.gallery}/{name}" for name in data[1].names)]
    if not file.exists():
        np.save(file, np.concatenate([embeddings(inputs.model, part, inputs.batch) for part in data]))
    return np.load(file), names


def embeddings(net: torch.nn.Module, data: Dataset, batch: int) -> Embeddings:
    """What a network makes of images, at length 1."""
    with torch.inference_mode():
        found = np.concatenate([output_tensor(net(images)).numpy() for images, _ in Batches(data, batch)])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def sqnr_of(cosine: float) -> float:
    """dB of vectors of length 1 that differ so that their mean cosine is this."""
    return -10 * math.log10(2 * (1 - cosine))


def measure(job: Job) -> Iterator[Values]:
    """All stages of one size, in the order of what they are worth; what is known after each."""
    result: Values = {"size": job.request.input.size, "plans": []}
    if job.arena_images:
        result["arena"] = job.remembered("arena", partial(arena, job))
        yield result
    found: dict[str, fmapzip.Plan] = {}
    for cosine in job.cosines:
        for codec in job.codecs:
            name = f"{codec.translate(FILE_NAME)}_{cosine:g}"
            target = job.work / f"{name}.fmzp"
            made = job.remembered(f"plan {name}", partial(planned, job, codec, cosine, target))
            figures = job.remembered(f"figures {name}", partial(measured, job, target))
            result["plans"].append({"codec": codec, "cosine": cosine, "on_copies": job.on_copies, **made, **figures})
            yield result
            found[name] = fmapzip.Plan.load(target)
            if job.queries:
                known = shipped(job)
                same = next(other for other, plan in found.items() if same_values(plan, found[name]))
                judge = partial(recall, job, *known)
                result["shipped"] = job.remembered("recall shipped", partial(judge, "shipped", None))
                result["plans"][-1]["recall"] = job.remembered(f"recall {same}", partial(judge, same, found[same]))
                yield result


def same_values(one: fmapzip.Plan, other: fmapzip.Plan) -> bool:
    """Whether plans differ in bytes alone: by what stands for their codecs while they are planned."""
    return all(
        (a.name, a.quantizer, a.codec.draft()) == (b.name, b.quantizer, b.codec.draft())
        for a, b in zip(one, other, strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--gallery", required=True, help="a folder of images that only stand in the gallery")
    parser.add_argument("--size", nargs="+", default=["224"])
    parser.add_argument("--rows", type=int, help="use the first rows of the data only, to calibrate too")
    parser.add_argument("--calibration", type=int, help="how many images that calibrate plans are made on")
    parser.add_argument("--arena-images", type=int, default=8, help="that all methods run on; 0: plans alone")
    parser.add_argument(
        "--codec", action="append", help="that plans choose from, as `fmapzip plan` takes it; repeatable"
    )
    parser.add_argument("--cosine", type=float, nargs="+", default=COSINES, help="that plans keep")
    parser.add_argument("--on-copies", action="store_true", help="plans are made on distorted copies of their images")
    parser.add_argument("--images", type=int, help="how many images plans are measured on; all by default")
    parser.add_argument("--queries", type=int, default=160, help="images whose copies are looked for; 0: none")
    parser.add_argument("--time-limit", type=float, help="seconds after which plans measure with less care")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is done")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    results: list[Values] = []
    for size in arguments.size:
        request = Request(
            arguments.model,
            arguments.data,
            preprocess="imagenet",
            input=InputOptions(size=size, range="255"),
            limit=arguments.rows,
            torch_threads=1,
            metrics="output",
        )
        work = arguments.work / size
        work.mkdir(parents=True, exist_ok=True)
        settings = (arguments.gallery, arguments.arena_images, arguments.images, arguments.queries)
        made_on = (arguments.calibration, arguments.on_copies)
        conditions = [arguments.model, arguments.data, arguments.rows, *made_on, *settings]
        cache = MeasurementCache(work / "measurements", "paper", conditions)
        asked = (arguments.codec or PLANNED, arguments.cosine, *made_on)
        job = Job(request, *settings, arguments.time_limit, *asked, work, cache)
        results.append({})
        for found in measure(job):
            results[-1] = found
            write_result(arguments.json, "paper", {"model": Path(arguments.model).name, "sizes": results})


if __name__ == "__main__":
    main()
