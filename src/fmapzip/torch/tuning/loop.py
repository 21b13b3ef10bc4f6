"""The training loop: task plus lambda times bits, with checkpoints."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.torch.batches import Progress, ignore_progress
from fmapzip.torch.capture import METHODS
from fmapzip.torch.tuning.checkpoint import Checkpoint, identity_of
from fmapzip.torch.tuning.fit import without_step
from fmapzip.torch.tuning.held_back import HeldBack
from fmapzip.torch.tuning.images import TuningImages, mirrored
from fmapzip.torch.tuning.lambda_search import LambdaSearch
from fmapzip.torch.tuning.results import Epoch, Point, Tuned
from fmapzip.torch.tuning.tap import NotFinite, TapBits
from fmapzip.torch.tuning.tasks import TaskLoss, checked, distillation, distortion, name_of
from fmapzip.torch.tuning.teacher import Teacher
from fmapzip.torch.tuning.trainee import Trainee
from fmapzip.torch.tuning.tunable import rate_loss, tunable
from fmapzip.tune_settings import TuneSettings

_COARSER = (2**0.5, 2.0, 2**1.5)  # grids of the untuned network, from which its curve is drawn

Planner = Callable[[nn.Module, Any, float, Sequence[Codec]], Plan]


def tune(
    model: nn.Module,
    data: Any,
    plan_or_codec: Plan | Codec | str = "context-rans",
    calibration: Any = None,
    *,
    settings: TuneSettings | None = None,
    task: TaskLoss | None = None,
    taps: Sequence[str] | str | None = None,
    quantizer: str = DEFAULT_CALIBRATOR,
    rate: str = "codec",
    batch_norms: bool = False,
    methods: Sequence[str] = METHODS,
    planner: Planner | None = None,
    state: Path | None = None,
    device: str | torch.device = "cpu",
    progress: Progress = ignore_progress,
    report: Callable[[Epoch], None] | None = None,
) -> Tuned:
    """Train a network so that its feature maps take fewer bytes.

    Parameters
    ----------
    model : nn.Module
        Copied; the original is untouched, and is what outputs are held against.
    data : Tensor, pair of tensors, or Dataset
        Images to tune on, with labels or without, the same whenever they are read. Some, evenly spread, are held back:
        they choose the epoch to keep.
    plan_or_codec, taps, quantizer, rate, batch_norms, methods
        As for `fmapzip.torch.tunable`.
    calibration : Tensor, or iterable of batches, optional
        What the tables of the plan are trained on; by default the images that are held back.
    settings : TuneSettings, optional
    task : callable, optional
        Takes the network's outputs, the float network's, and labels or None, and returns what to minimize. By default
        distillation: KL for class scores [N, K], else the relative squared error.
    planner : callable, optional
        Takes the network as it is, images as batches, a ratio and codecs without steps, and returns a plan: what
        `settings.replan` asks for. Its codecs and scales are taken where they lose less than those that were learned.
    state : Path, optional
        A file that keeps what every epoch reached: tuning that was killed goes on from it, with the same result.
    device : str or torch.device
    progress
        As for `fmapzip.torch.evaluate`.
    report : callable, optional
        Gets each epoch as it ends.

    Raises
    ------
    InvalidInput
        No gradient reaches a parameter, `state` is of something else, there is no planner to plan again with, or the
        settings ask for class scores that the network does not give.
    CaptureError, PlanMismatch, UnknownCodec
    """
    settings = settings or TuneSettings()
    if settings.replan and planner is None:
        raise InvalidInput("replan asks for a planner")
    if task is not None and settings.label_weight:
        raise InvalidInput("label_weight is of the task that stands without one of your own: give one of the two")
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"expected a torch.nn.Module, got {type(model).__name__}")
    images, where = TuningImages(data), torch.device(device)
    rows, held = images.parts()
    if settings.label_weight and images.batch(held[:1])[1] is None:
        raise InvalidInput("label_weight asks for labels, and the images have none")
    network = copy.deepcopy(model).cpu().eval().requires_grad_(False)  # images come in CPU memory
    teacher = Teacher(network, where, images, held[0])
    if not teacher.classes and (settings.max_kl is not None or settings.label_weight):
        asked = "label_weight" if settings.max_kl is None else "max_kl"
        raise InvalidInput(f"{asked} asks for class scores, and the network's output is none")
    loss = checked(task or distillation(settings.label_weight, teacher.classes))
    measured = HeldBack(images, settings.batch, teacher, loss, where)
    made = tunable(
        network,
        plan_or_codec,
        measured.images,
        taps,
        quantizer,
        rate=rate,
        batch_norms=batch_norms,
        methods=methods,
        progress=progress,
    ).to(where)
    if calibration is not None:
        made.check(calibration)
    identity = identity_of(network, made.taps, settings, (rate, batch_norms, name_of(task)), measured.seen)
    run = _Run(
        images,
        rows,
        settings,
        teacher,
        where,
        loss,
        measured,
        Trainee(made, settings),
        Checkpoint(state, identity),
        planner,
        report or (lambda epoch: None),
        progress,
    )
    run.resume()
    run.train()
    return run.result(calibration)


@dataclass
class _Run:
    images: TuningImages
    rows: list[int]
    settings: TuneSettings
    teacher: Teacher
    device: torch.device
    task: TaskLoss
    measured: HeldBack
    trainee: Trainee
    checkpoint: Checkpoint
    planner: Planner | None
    report: Callable[[Epoch], None]
    progress: Progress
    epochs: list[Epoch] = field(default_factory=list)
    untuned: list[Point] = field(default_factory=list)
    before: list[TapBits] = field(default_factory=list)
    stopped: str = ""
    seconds: float = 0.0  # of runs before this one
    live: str = ""  # what the last batch took and lost

    def __post_init__(self) -> None:
        self.start = perf_counter()
        self.lambda_ = LambdaSearch(self.settings, math.ceil(len(self.rows) / self.settings.batch))
        self.best = self.trainee.snapshot()

    def resume(self) -> None:
        """Go on from a checkpoint, if there is one."""
        found = self.checkpoint.read()
        if found is None:
            return
        self.best = found["best"]
        self.trainee.restore(found["now"])
        self.trainee.optimizer.load_state_dict(found["optimizer"])
        self.lambda_.value, self.lambda_.smoothed = found["lambda"], found["smoothed"]
        self.lambda_.gap = found.get("gap", 0.0)  # files of before there was one
        self.seconds = found["seconds"]
        self.epochs = [Epoch(**each) for each in found["epochs"]]
        if len(self.epochs) - 1 > self.settings.epochs:
            raise InvalidInput(
                f"{self.checkpoint.file}: {len(self.epochs) - 1} epochs are done, more than the {self.settings.epochs} "
                "that are asked for"
            )
        self.untuned = [Point(**each) for each in found["untuned"]]
        self.before = [TapBits(**each) for each in found["before"]]
        self.measured.refresh(self.trainee)

    def train(self) -> None:
        """Go through epochs until one of the ends is reached."""
        if not self.epochs:
            self.untuned = [self.measured.coarsened(self.trainee, each) for each in _COARSER]
            plan = self.measured.refresh(self.trainee)
            self.before = self.measured.compare(self.trainee, plan)
            found = self._epoch_of(0, plan)
            if not found.finite:
                raise InvalidInput(f"the loss of network {self.trainee.name} is no number before it is tuned")
            self._note(found)
        if self.settings.epochs > 1 and self.settings.epochs >= len(self.epochs):
            self.teacher.remember(self.rows, self.settings.batch, self.settings.mirror)
        while not self.stopped:
            number = len(self.epochs)
            if number > self.settings.epochs:
                self.stopped = "epochs"
            elif self._time_is_up():
                self.stopped = "time"
            elif number - self._kept() > self.settings.patience:
                self.stopped = "patience"
            else:
                trained = self._trained(number)
                if trained is None:
                    self.stopped = "nan"
                else:
                    self._note(self._replanned(trained) if self._plans_again(number) else trained)

    def result(self, calibration: Any) -> Tuned:
        """Return the kept epoch's network, and its plan."""
        self.trainee.restore(self.best)
        model = self.trainee.model
        drafts, plan = model.finish(self.measured.images if calibration is None else calibration)
        after = self.measured.compare(self.trainee, drafts)
        original = model.original.cpu().eval().requires_grad_(False)
        classes = self.teacher.classes
        return Tuned(original, plan, self.epochs, self.untuned, self.before, after, self._kept(), self.stopped, classes)

    def _trained(self, number: int) -> Epoch | None:
        """Train for an epoch and measure it; None where what it came to is no number."""
        if not self._train_epoch(number):
            return None
        try:
            found = self._epoch_of(number, self.measured.refresh(self.trainee))
        except NotFinite:
            return None
        return found if found.finite else None

    def _train_epoch(self, number: int) -> bool:
        """Train on all images once, or until time is up; return whether all stayed finite."""
        random = torch.Generator().manual_seed(self.settings.seed + number)
        rows = [self.rows[i] for i in torch.randperm(len(self.rows), generator=random).tolist()]
        ways = (torch.rand(len(rows), generator=random) < 0.5) & self.settings.mirror
        size = self.settings.batch
        self.trainee.model.train()
        for first in range(0, len(rows), size):
            if self._time_is_up():
                break
            self.trainee.set_rates(self._done(number - 1 + first / len(rows)))
            some, way = rows[first : first + size], ways[first : first + size]
            images, labels = self.images.batch(some)
            images = mirrored(images, way).to(self.device)
            wanted = self.teacher.of_rows(some, way, images)
            if not self._step(images, wanted, None if labels is None else labels.to(self.device), random):
                return False
            self.progress(f"epoch {number}: {self.live}", min(first + size, len(rows)), len(rows))
        return True

    def _step(self, images: Tensor, wanted: Any, labels: Tensor | None, random: torch.Generator) -> bool:
        outputs = self.trainee.model(images)
        loss = self.task(outputs, wanted, labels)
        self.trainee.check_path(loss)
        bits = None
        if self.lambda_.value or self.lambda_.searched:
            bits = rate_loss(self.trainee.model, self.settings.rate_samples, self.settings.rate_bands, random)
            loss = loss + self.lambda_.value * bits
        if not (bool(torch.isfinite(loss)) and self.trainee.step(loss)):
            return False
        off = float(distortion(outputs, wanted, self.teacher.classes).detach())
        self.live = f"distortion {off:.3g}"
        if bits is not None:
            taken = float(bits.detach())
            self.live = f"{taken:.3f} bits, {self.live}"
            self.lambda_.move(taken, off)
        return True

    def _done(self, epochs: float) -> float:
        """The share of training that is done after so many epochs, or in the time until now."""
        limit = self.settings.time_limit
        return max(epochs / self.settings.epochs, 0.0 if limit is None else self._elapsed() / limit)

    def _epoch_of(self, number: int, plan: Plan, replanned: bool = False) -> Epoch:
        found = self.measured.losses(self.trainee, plan)
        return Epoch(number, self.lambda_.value, **asdict(found), seconds=self._elapsed(), replanned=replanned)

    def _note(self, epoch: Epoch) -> None:
        """Take down an epoch, keep the network if it is the best, and write the checkpoint."""
        self.epochs.append(epoch)
        if self._kept() == epoch.number:
            self.best = self.trainee.snapshot()
        self.lambda_.measured(epoch.real_bits, epoch.distortion)
        self.report(epoch)
        self.checkpoint.write(
            {
                "best": self.best,
                "now": self.trainee.snapshot(),
                "optimizer": self.trainee.optimizer.state_dict(),
                "lambda": self.lambda_.value,
                "smoothed": self.lambda_.smoothed,
                "gap": self.lambda_.gap,
                "seconds": self._elapsed(),
                "epochs": [asdict(each) for each in self.epochs],
                "untuned": [asdict(each) for each in self.untuned],
                "before": [asdict(each) for each in self.before],
            }
        )

    def _plans_again(self, number: int) -> bool:
        again = self.settings.replan
        return again > 0 and number % again == 0 and number < self.settings.epochs

    def _replanned(self, found: Epoch) -> Epoch:
        """Let the planner choose codecs' steps and scales for the network as it is; they stay if they lose less."""
        assert self.planner is not None
        kept, model = self.trainee.snapshot(), self.trainee.model
        codecs = list(dict.fromkeys(without_step(tap.meant.draft()) for tap in model.taps))
        network = copy.deepcopy(model.original).cpu().eval()
        ratio = self.settings.target_ratio or 8 / max(found.real_bits, 1e-6)
        self.trainee.take(self.planner(network, self.measured.tables, ratio, codecs), self.measured.tables)
        other = self._epoch_of(found.number, self.measured.refresh(self.trainee), replanned=True)
        if other.loss < found.loss:
            return other
        self.trainee.restore(kept)
        self.measured.refresh(self.trainee)
        return found

    def _kept(self) -> int:
        """The epoch with the least loss; with a target, the last one."""
        if self.lambda_.searched:
            return len(self.epochs) - 1
        return min(self.epochs, key=lambda epoch: (epoch.loss, epoch.number)).number

    def _time_is_up(self) -> bool:
        return self.settings.time_limit is not None and self._elapsed() >= self.settings.time_limit

    def _elapsed(self) -> float:
        return self.seconds + perf_counter() - self.start
