"""One run of ``fmapzip tune``: from what was typed to the tuned network, its plan and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from fmapzip.errors import InvalidInput
from fmapzip.eval.data import load_data
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.environment import environment
from fmapzip.eval.loading import with_totals
from fmapzip.eval.request import Inputs, Progress, Request, load, only_batch
from fmapzip.eval.user_code import first_line, user_function
from fmapzip.torch.tuning.loop import tune
from fmapzip.torch.tuning.results import Epoch, Tuned
from fmapzip.torch.tuning.tasks import TaskLoss
from fmapzip.tune.asked import Asked
from fmapzip.tune.replan import plan_at_ratio
from fmapzip.tune.schema import to_json
from fmapzip.tune_settings import TuneSettings


def run(
    request: Request,
    asked: Asked,
    settings: TuneSettings,
    state: Path,
    progress: Progress,
    told: Callable[[Epoch], None],
) -> tuple[Tuned, dict[str, Any]]:
    """Tune a network, and give the report.

    Parameters
    ----------
    request
        The model, the images, and how to load them.
    asked, settings
        How to tune.
    state
        A file for checkpoints.
    progress
        Told how far each stage has come.
    told
        Gets each epoch as it ends.

    Returns
    -------
    Tuned, dict
        The result, and its report of schema 1.

    Raises
    ------
    FmapzipError
        What was asked for does not exist or does not fit together.
    """
    stored, device = asked.stored, _device(asked.device)
    inputs = load(request)
    only = only_batch(inputs.model)
    if only is not None and settings.batch != only:
        raise InvalidInput(f"model {request.model!r} takes batches of {only} only: tune it with --batch {only}")
    images = _images(request, asked, inputs)
    found = tune(
        inputs.model,
        images,
        stored,
        inputs.calibration,
        settings=settings,
        task=None if asked.loss is None else _loss(asked.loss),
        taps=request.taps,
        quantizer=request.quantizer,
        rate=asked.rate,
        batch_norms=asked.batch_norms,
        planner=plan_at_ratio,
        state=state,
        device=device,
        progress=with_totals(progress, inputs.parts),
        report=told,
    )
    protocol = {**asdict(request), **asked.to_json(), **settings.to_json(), "input": inputs.described}
    counts = (len(images), len(inputs.parts.calibration))
    return found, to_json(found, request, asked.tune_on or request.data, counts, protocol, environment(1))


def save_weights(model: nn.Module, file: Path) -> None:
    """Write a network's weights as a safetensors file, whole or not at all."""
    from safetensors.torch import save

    from fmapzip.atomic import write_atomically

    write_atomically(file, save({name: value.detach().cpu().clone() for name, value in model.state_dict().items()}))


class Samples:
    """A data set by row: an image, and its label where there is one."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, row: int) -> tuple[Tensor, int | None]:
        image = torch.from_numpy(np.array(self._data.read(row)))
        return image, None if self._data.labels is None else int(self._data.labels[row])


def _images(request: Request, asked: Asked, inputs: Inputs) -> Samples:
    if asked.tune_on is None:
        return Samples(inputs.parts.calibration)
    return Samples(load_data(asked.tune_on, inputs.preprocessing, request.frames))


def _loss(spec: str) -> TaskLoss:
    """A function of the user's, whose errors are told by its name."""
    function = cast("TaskLoss", user_function(spec, "--loss"))

    @wraps(function)
    def loss(outputs: Any, wanted: Any, labels: Tensor | None) -> Tensor:
        try:
            return function(outputs, wanted, labels)
        except Exception as error:
            raise InvalidInput(f"--loss {spec!r}: {first_line(error)}") from error

    return loss


def _device(name: str) -> torch.device:
    """The device, if it can be used."""
    try:
        found = torch.device(name)
        float(torch.zeros(1, device=found))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InvalidInput(f"--device {name}: {first_line(error)}") from error
    return found
