"""What a command was asked to run on, and the loading of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.data import DEMO_PARTS, load_data
from fmapzip.eval.input_options import UNCHANGED, InputOptions, named
from fmapzip.eval.split import STANDARD, Split, split
from fmapzip.quantize import DEFAULT_CALIBRATOR

if TYPE_CHECKING:
    from torch import nn

    from fmapzip.eval.loading import Batches
    from fmapzip.eval.preprocess import Preprocessing

BATCH_VALUES, MAX_BATCH = 640_000, 64
"""Input values in a batch, and images, where the user does not choose: four images of 3 x 224 x 224. Larger batches
of large maps were slower, since the system hands out and clears their memory anew for each."""

Metrics = Literal["auto", "classes", "output"]

Progress = Callable[[str, int, int | None], None]
"""Told the stage of the work, how much of it is done, and how much there is, if that is known."""


@dataclass(frozen=True)
class Request:
    """A model, images, and how to run the one on the other; the defaults are those of the commands.

    Attributes
    ----------
    model, data, calib, quantizer
        As `load_model`, `load_data`, `split` and `fmapzip.quantize.make_observer` take them.
    preprocess
        How images become what the network reads: a protocol's name or ``file.py:function``; None: as the model brings
        it, else ``imagenet``.
    input
        What is changed of that.
    frames
        How many frames of each clip to take, where the data are folders of frames; None: images.
    taps
        Names or globs of the taps to store; None: all.
    limit
        How many rows of the data to use, cut before the split; None: all.
    images
        How many of the images that do not calibrate to report on; None: all.
    batch, threads, torch_threads
        Images in one batch, None: by their size; codec threads; threads of the network, None: PyTorch's own choice.
    weights
        A file for `load_model`, or None.
    metrics
        Whether the output is class scores, as `fmapzip.torch.evaluate` takes it.
    """

    model: str
    data: str
    calib: str = STANDARD
    quantizer: str = DEFAULT_CALIBRATOR
    preprocess: str | None = None
    input: InputOptions = UNCHANGED
    frames: int | None = None
    taps: tuple[str, ...] | None = None
    limit: int | None = None
    images: int | None = None
    batch: int | None = None
    threads: int = 1
    torch_threads: int | None = None
    weights: str | None = None
    metrics: Metrics = "auto"

    @property
    def processors(self) -> int:
        """How many processors a run keeps busy, one where PyTorch chooses its threads."""
        return max(1, self.torch_threads or 1, self.threads)


@dataclass(frozen=True)
class Inputs:
    """The loaded network and images of a request.

    Attributes
    ----------
    model
        In eval mode.
    parts
        The images that calibrate, and those that are reported.
    calibration, images
        The same as batches.
    batch
        Images in one of them.
    preprocessing
        Of the images; None: the demo's own.
    """

    model: nn.Module
    parts: Split
    calibration: Batches
    images: Batches
    batch: int
    preprocessing: Preprocessing | None

    @property
    def described(self) -> dict[str, Any] | None:
        """What reports say of the preprocessing."""
        return None if self.preprocessing is None else self.preprocessing.to_json()


def require_torch() -> None:
    """Refuse to go on without PyTorch.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra("running a network needs PyTorch: pip install 'fmapzip[torch]'") from error


def only_batch(model: nn.Module) -> int | None:
    """The one batch size that an imported network takes, None where it takes any."""
    meta = getattr(model, "meta", None)
    found: int | None = meta.get("batch") if isinstance(meta, dict) else None
    return found


def load(request: Request) -> Inputs:
    """Load what a request names; the images themselves are read when a batch of them is needed.

    Raises
    ------
    MissingExtra
        PyTorch, or what the model or the data need, is not installed.
    FmapzipError
        Something does not exist, cannot be read or does not fit together; the message says what.

    Examples
    --------
    >>> inputs = load(Request("demo", "demo", limit=10))
    >>> len(inputs.parts.calibration), len(inputs.parts.images)
    (2, 8)
    """
    require_torch()
    import torch

    from fmapzip.eval.loading import Batches
    from fmapzip.eval.models import load_model

    if request.torch_threads is not None:
        torch.set_num_threads(request.torch_threads)
    model = load_model(request.model, request.weights)
    preprocessing = _preprocessing(request, model)
    data = load_data(request.data, preprocessing, request.frames)
    parts = split(data.select(range(len(data))[: request.limit]), request.calib, preprocessing, request.frames)
    if request.images is not None:
        parts = replace(parts, images=parts.images.select(range(len(parts.images))[: request.images]))
    batch = request.batch or only_batch(model) or min(MAX_BATCH, max(1, BATCH_VALUES // parts.images.read(0).size))
    return Inputs(model, parts, Batches(parts.calibration, batch), Batches(parts.images, batch), batch, preprocessing)


def _preprocessing(request: Request, model: nn.Module) -> Preprocessing | None:
    from fmapzip.eval.model_input import brought

    if request.data not in DEMO_PARTS:
        base = brought(request.model, model) if request.preprocess is None else named(request.preprocess)
        return request.input.applied(base)
    names = (*(["preprocess"] if request.preprocess is not None else []), *request.input.given)
    if names:
        given = ", ".join(f"--{name}" for name in names)
        raise InvalidInput(f"data {request.data!r} has its own preprocessing: leave {given} out")
    return None
