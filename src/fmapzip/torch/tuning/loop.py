"""The training loop: task plus lambda times bits, with checkpoints."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from fmapzip.atomic import replacing
from fmapzip.codecs.base import Codec
from fmapzip.errors import InvalidInput
from fmapzip.plan import Plan
from fmapzip.quantize import DEFAULT_CALIBRATOR
from fmapzip.torch.batches import Progress, ignore_progress
from fmapzip.torch.capture import METHODS
from fmapzip.torch.network_hash import network_hash
from fmapzip.torch.tuning.fit import without_step
from fmapzip.torch.tuning.images import Rows, TuningImages
from fmapzip.torch.tuning.lambda_search import LambdaSearch
from fmapzip.torch.tuning.results import Epoch, Point, Tuned
from fmapzip.torch.tuning.tap import TapBits
from fmapzip.torch.tuning.tasks import TaskLoss, distillation, distortion, scores_classes
from fmapzip.torch.tuning.tunable import TunableModel, measuring, rate_loss, tunable
from fmapzip.tune_settings import TuneSettings

_REFRESHED_ON = 32  # images that tables are trained on, from epoch to epoch
_MEASURED_ON = 32  # held-back images whose frames are counted
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
        Images to tune on, with labels or without. Some, evenly spread, are held back: they choose the epoch to keep.
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
        No gradient reaches a parameter, `state` is of something else, or there is no planner to plan again with.
    CaptureError, PlanMismatch, UnknownCodec
    """
    settings = settings or TuneSettings()
    if settings.replan and planner is None:
        raise InvalidInput("replan asks for a planner")
    run = _Run.begin(
        TuningImages(data),
        settings,
        model,
        torch.device(device),
        task,
        report or (lambda epoch: None),
        progress,
    )
    run.planner = planner
    run.wrap(plan_or_codec, taps, quantizer, rate, batch_norms, methods)
    run.load(state)
    run.train(state)
    return run.result(calibration)


@dataclass
class _Run:
    images: TuningImages
    settings: TuneSettings
    teacher: nn.Module
    device: torch.device
    classes: bool
    task: TaskLoss
    report: Callable[[Epoch], None]
    progress: Progress
    rows: list[int]
    held: list[int]
    epochs: list[Epoch] = field(default_factory=list)
    untuned: list[Point] = field(default_factory=list)
    before: list[TapBits] = field(default_factory=list)
    stopped: str = ""
    planner: Planner | None = None
    live: str = ""  # what the last batch took and lost

    @staticmethod
    def begin(
        images: TuningImages,
        settings: TuneSettings,
        model: nn.Module,
        device: torch.device,
        task: TaskLoss | None,
        report: Callable[[Epoch], None],
        progress: Progress,
    ) -> _Run:
        teacher = copy.deepcopy(model).eval().requires_grad_(False).to(device)
        rows, held = images.parts()
        with torch.no_grad():
            classes = scores_classes(teacher(images.batch(held[:1])[0].to(device)))
        loss = task or distillation(settings.label_weight, classes)
        if settings.label_weight and images.batch(held[:1])[1] is None:
            raise InvalidInput("label_weight asks for labels, and the images have none")
        return _Run(images, settings, teacher, device, classes, loss, report, progress, rows, held)

    def wrap(
        self,
        plan_or_codec: Plan | Codec | str,
        taps: Sequence[str] | str | None,
        quantizer: str,
        rate: str,
        batch_norms: bool,
        methods: Sequence[str],
    ) -> None:
        """Make the model that trains, its optimizer, and a name for all that the result depends on."""
        calibration = Rows(self.images, self.held, self.settings.batch)
        self.model: TunableModel = tunable(
            self.teacher,
            plan_or_codec,
            calibration,
            taps,
            quantizer,
            rate=rate,
            batch_norms=batch_norms,
            methods=methods,
            progress=self.progress,
        ).to(self.device)
        scales = [tap.log_scale for tap in self.model.taps]
        weights = [each for each in self.model.original.parameters() if each.requires_grad]
        if not weights:
            raise InvalidInput("the network has no parameters to train")
        self.optimizer = torch.optim.Adam(
            [
                {"params": weights, "lr": self.settings.learning_rate},
                {"params": scales, "lr": self.settings.scale_learning_rate},
            ]
        )
        self.bases = [group["lr"] for group in self.optimizer.param_groups]
        self.lambda_ = LambdaSearch(self.settings, math.ceil(len(self.rows) / self.settings.batch))
        self.seconds, self.start = 0.0, perf_counter()
        self.best = self._snapshot()
        digest = hashlib.sha256()
        shown = {**asdict(self.settings), "epochs": 0, "time_limit": None}
        codecs = [[tap.tap.name, tap.codec.config(), tap.quantizer.to_json()] for tap in self.model.taps]
        digest.update(json.dumps([shown, codecs, rate, batch_norms, len(self.images)]).encode())
        digest.update(network_hash(self.teacher).encode())
        self.identity = digest.hexdigest()

    def train(self, state: Path | None) -> None:
        """Go through epochs until one of the ends is reached."""
        if not self.epochs:
            self.untuned = [self._coarsened(each) for each in _COARSER]
            plan = self._refresh()
            self.before = self._compare(plan)
            self._note(self._measured(0, plan))
            self._save(state)
        while not self.stopped:
            number = len(self.epochs)
            if number > self.settings.epochs:
                self.stopped = "epochs"
            elif self._time_is_up():
                self.stopped = "time"
            elif number - self._kept() > self.settings.patience:
                self.stopped = "patience"
            elif not self._epoch(number):
                self.stopped = "nan"
            else:
                found = self._measured(number, self._refresh())
                self._note(self._replanned(found) if self._plans_again(number) else found)
                self._save(state)

    def result(self, calibration: Any) -> Tuned:
        """Return the kept epoch's network, and its plan."""
        self._restore(self.best)
        held = Rows(self.images, self.held, self.settings.batch)
        plan = self.model.refresh(held if calibration is None else calibration)
        after = self._compare(plan)
        original = self.model.original.cpu().eval().requires_grad_(False)
        return Tuned(
            original, plan, self.epochs, self.untuned, self.before, after, self._kept(), self.stopped, self.classes
        )

    def load(self, state: Path | None) -> None:
        """Go on from a checkpoint, if there is one."""
        if state is None or not state.exists():
            return
        try:
            found = torch.load(state, map_location=self.device, weights_only=True)
            identity = found["identity"]
        except Exception as error:
            raise InvalidInput(f"{state}: not a checkpoint of tuning: {error}") from error
        if identity != self.identity:
            raise InvalidInput(f"{state}: a checkpoint of another network, of other images or settings")
        self.best = found["best"]
        self._restore(found["now"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.lambda_.value, self.lambda_.smoothed = found["lambda"], found["smoothed"]
        self.seconds = found["seconds"]
        self.epochs = [Epoch(**each) for each in found["epochs"]]
        self.untuned = [Point(**each) for each in found["untuned"]]
        self.before = [TapBits(**each) for each in found["before"]]
        self._refresh()

    def _save(self, state: Path | None) -> None:
        if state is None:
            return
        content = {
            "identity": self.identity,
            "best": self.best,
            "now": self._snapshot(),
            "optimizer": self.optimizer.state_dict(),
            "lambda": self.lambda_.value,
            "smoothed": self.lambda_.smoothed,
            "seconds": self._elapsed(),
            "epochs": [asdict(each) for each in self.epochs],
            "untuned": [asdict(each) for each in self.untuned],
            "before": [asdict(each) for each in self.before],
        }
        with replacing(state) as file:
            torch.save(content, file)

    def _epoch(self, number: int) -> bool:
        """Train on all images once, or until time is up; return whether the loss stayed finite."""
        random = torch.Generator().manual_seed(self.settings.seed + number)
        rows = [self.rows[i] for i in torch.randperm(len(self.rows), generator=random).tolist()]
        mirrored = (torch.rand(len(rows), generator=random) < 0.5) & self.settings.mirror
        size = self.settings.batch
        self.model.train()
        for first in range(0, len(rows), size):
            if self._time_is_up():
                break
            self._set_rates((number - 1 + first / len(rows)) / self.settings.epochs)
            images, labels = self.images.batch(rows[first : first + size])
            images = _mirrored(images, mirrored[first : first + size])
            if not self._step(images.to(self.device), None if labels is None else labels.to(self.device)):
                return False
            self.progress(f"epoch {number}: {self.live}", min(first + size, len(rows)), len(rows))
        return True

    def _step(self, images: Tensor, labels: Tensor | None) -> bool:
        with torch.no_grad():
            wanted = self.teacher(images)
        outputs = self.model(images)
        loss = self.task(outputs, wanted, labels)
        bits = (
            rate_loss(self.model, self.settings.rate_samples) if self.lambda_.value or self.lambda_.searched else None
        )
        if bits is not None:
            loss = loss + self.lambda_.value * bits
        if not bool(torch.isfinite(loss)):
            return False
        if not loss.requires_grad:
            raise InvalidInput("no gradient reaches the network's parameters: its outputs do not depend on them")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._check_gradients()
        self.optimizer.step()
        off = float(distortion(outputs, wanted, self.classes).detach())
        self.live = (
            f"distortion {off:.3g}" if bits is None else f"{float(bits.detach()):.3f} bits, distortion {off:.3g}"
        )
        if bits is not None:
            self.lambda_.move(float(bits.detach()), off)
        return True

    def _check_gradients(self) -> None:
        if all(each.grad is None for each in self.optimizer.param_groups[0]["params"]):
            raise InvalidInput("no gradient reaches the network's parameters")

    def _set_rates(self, done: float) -> None:
        if self.settings.time_limit is not None:
            done = max(done, self._elapsed() / self.settings.time_limit)
        share = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        for group, base in zip(self.optimizer.param_groups, self.bases, strict=True):
            group["lr"] = base * share

    def _refresh(self) -> Plan:
        return self.model.refresh(self._some_rows())

    def _some_rows(self) -> Rows:
        step = max(1, len(self.rows) // _REFRESHED_ON)
        return Rows(self.images, self.rows[::step][:_REFRESHED_ON], self.settings.batch)

    def _compare(self, plan: Plan) -> list[TapBits]:
        return self.model.compare(Rows(self.images, self.held[:_MEASURED_ON], self.settings.batch), plan)

    def _measured(self, number: int, plan: Plan) -> Epoch:
        """The network as it is on held-back images."""
        task, off = self._losses()
        taps = self._compare(plan)
        values = sum(tap.values for tap in taps)
        bits, real = sum(tap.expected for tap in taps) / values, sum(tap.real for tap in taps) / values
        return Epoch(number, self.lambda_.value, task, off, bits, real, self._elapsed())

    def _note(self, epoch: Epoch) -> None:
        """Take down an epoch, and keep the network if it is the best."""
        self.epochs.append(epoch)
        if self._kept() == epoch.number:
            self.best = self._snapshot()
        self.report(epoch)

    def _plans_again(self, number: int) -> bool:
        again = self.settings.replan
        return again > 0 and number % again == 0 and number < self.settings.epochs

    def _replanned(self, found: Epoch) -> Epoch:
        """Let the planner choose codecs' steps and scales for the network as it is; they stay if they lose less."""
        assert self.planner is not None
        kept = self._snapshot()
        images = self._some_rows()
        codecs = list(dict.fromkeys(without_step(tap.codec) for tap in self.model.taps))
        network = copy.deepcopy(self.model.original).cpu().eval()
        ratio = self.settings.target_ratio or 8 / max(found.real_bits, 1e-6)
        self.model.take(self.planner(network, images, ratio, codecs), images)
        other = self._measured(found.number, self._refresh())
        if other.loss < found.loss:
            self._train_scales()
            return replace(other, replanned=True)
        self._restore(kept)
        self._refresh()
        return found

    def _losses(self) -> tuple[float, float]:
        """The task's loss and the distortion on held-back images."""
        task = off = 0.0
        with measuring(self.model):
            for images, labels in Rows(self.images, self.held, self.settings.batch):
                x = images.to(self.device)
                outputs, wanted = self.model(x), self.teacher(x)
                share = len(images) / len(self.held)
                task += share * float(self.task(outputs, wanted, None if labels is None else labels.to(self.device)))
                off += share * float(distortion(outputs, wanted, self.classes))
        return task, off

    def _coarsened(self, factor: float) -> Point:
        """The network as it is, its maps on coarser grids."""
        kept = self._snapshot()
        with torch.no_grad():
            for tap in self.model.taps:
                tap.log_scale.add_(math.log(factor))
        taps = self._compare(self._refresh())
        off = self._losses()[1]
        self._restore(kept)
        return Point(factor, off, sum(tap.real for tap in taps) / sum(tap.values for tap in taps))

    def _kept(self) -> int:
        """The best epoch, losses compared at the last one's lambda; with a target, the last one."""
        if self.lambda_.searched:
            return len(self.epochs) - 1
        return min(self.epochs, key=lambda epoch: (epoch.loss, epoch.number)).number

    def _snapshot(self) -> dict[str, Any]:
        """Weights, buffers, codecs and scales, copied."""
        weights = {name: value.detach().clone() for name, value in self.model.original.state_dict().items()}
        return {"weights": weights, "taps": [tap.snapshot() for tap in self.model.taps]}

    def _restore(self, kept: dict[str, Any]) -> None:
        self.model.original.load_state_dict(kept["weights"])
        for tap, each in zip(self.model.taps, kept["taps"], strict=True):
            tap.restore(each)
        self._train_scales()

    def _train_scales(self) -> None:
        """Have the optimizer train the scales that there are now."""
        group = self.optimizer.param_groups[1]
        for each in group["params"]:
            if all(each is not tap.log_scale for tap in self.model.taps):
                self.optimizer.state.pop(each, None)
        group["params"] = [tap.log_scale for tap in self.model.taps]

    def _time_is_up(self) -> bool:
        return self.settings.time_limit is not None and self._elapsed() >= self.settings.time_limit

    def _elapsed(self) -> float:
        return self.seconds + perf_counter() - self.start


def _mirrored(images: Tensor, chosen: Tensor) -> Tensor:
    """The images, the chosen ones mirrored left to right."""
    return torch.where(chosen.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images) if chosen.any() else images
