"""Images together with distorted copies of them, where a metric asks for those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import Dataset, load_data
from fmapzip.eval.distortions import distortions
from fmapzip.eval.loading import Batches
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.request import Inputs
from fmapzip.torch.tasks import Metric


def reported(inputs: Inputs, tasks: Sequence[Metric]) -> Inputs:
    """The inputs with what metrics ask for beside the reported images: copies of them, and a larger gallery.

    Raises
    ------
    InvalidInput
        A metric that asks for copies does not stand alone, or the images are not those of files.
    """
    task = _asking(inputs, tasks)
    if task is None:
        return inputs
    images = with_copies(inputs.parts.images, task[1], str(task[0].copies), task[0].gallery)
    return replace(inputs, parts=replace(inputs.parts, images=images), images=Batches(images, inputs.batch))


def calibrating(inputs: Inputs, task: Metric) -> Batches:
    """The images that calibrate, with copies beside them where a budget's metric asks for those."""
    asking = _asking(inputs, [task])
    if asking is None:
        return inputs.calibration
    return Batches(with_copies(inputs.parts.calibration, asking[1], str(task.copies)), inputs.batch)


def with_copies(data: Dataset, preprocessing: Preprocessing, which: str, gallery: str | None = None) -> Dataset:
    """Each image followed by its copies, then the images of a directory that only fill the gallery.

    Parameters
    ----------
    data
        Images of files.
    preprocessing
        What happens to an image and to a copy.
    which
        As `fmapzip.eval.distortions.distortions` takes it.
    gallery
        A directory as `load_data` takes it.

    Returns
    -------
    Dataset
        Its targets say which image a row is of, and whether it is a copy.
    """
    if data.read_by is None:
        raise InvalidInput(f"data {data.spec!r}: copies are made of images in files")
    ways: dict[str | None, Preprocessing] = {None: preprocessing}
    for name, distortion in distortions(which).items():
        ways[name] = replace(preprocessing, distortion=distortion)
    rows: list[tuple[str, str | None, Callable[[], Pixels]]] = [
        (image, name, partial(data.read_by, i, way)) for i, image in enumerate(data.names) for name, way in ways.items()
    ]
    if gallery is not None:
        others = load_data(gallery, preprocessing)
        rows += [(f"{gallery}/{image}", None, partial(others.read, i)) for i, image in enumerate(others.names)]
    names = tuple(image if copy is None else f"{image} ({copy})" for image, copy, _ in rows)

    def target(i: int) -> dict[str, Any]:
        return {"image": rows[i][0], "copy": rows[i][1]}

    return Dataset(data.spec, names, None, "images and distorted copies of them", lambda i: rows[i][2](), target)


def _asking(inputs: Inputs, tasks: Sequence[Metric]) -> tuple[Metric, Preprocessing] | None:
    """The metric that asks for copies, and what they go through."""
    asking = [task for task in tasks if task.copies is not None]
    if not asking:
        return None
    if len(tasks) > 1 or inputs.preprocessing is None:
        raise InvalidInput(f"--metric {asking[0].name} sees copies of the images: it stands alone, on data of files")
    return asking[0], inputs.preprocessing
