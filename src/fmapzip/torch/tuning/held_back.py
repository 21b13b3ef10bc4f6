"""What a network does while it is tuned, measured on the images that are held back."""

from __future__ import annotations

import hashlib
import math

import torch

from fmapzip.plan import Plan
from fmapzip.torch.tuning.images import Rows, TuningImages
from fmapzip.torch.tuning.results import Losses, Point
from fmapzip.torch.tuning.tap import TapBits
from fmapzip.torch.tuning.tasks import TaskLoss, distortion
from fmapzip.torch.tuning.teacher import Teacher
from fmapzip.torch.tuning.trainee import Trainee
from fmapzip.torch.tuning.tunable import measuring

_REFRESHED_ON = 32  # images that tables are trained on, from epoch to epoch
_MEASURED_ON = 32  # held-back images whose frames are counted


class HeldBack:
    """Measures a network: losses on all images that are held back, bytes on some of them.

    Parameters
    ----------
    images : TuningImages
    batch : int
    teacher : Teacher
    task : callable
        As `fmapzip.torch.tune` takes it.
    device : torch.device
    """

    def __init__(
        self, images: TuningImages, batch: int, teacher: Teacher, task: TaskLoss, device: torch.device
    ) -> None:
        rows, held = images.parts()
        self.images = Rows(images, held, batch)
        self._total = len(images)
        self._count, self._teacher, self._task, self._device = len(held), teacher, task, device
        step = max(1, len(rows) // _REFRESHED_ON)
        self.tables = Rows(images, rows[::step][:_REFRESHED_ON], batch)  # of images that train
        self._measured = Rows(images, held[:_MEASURED_ON], batch)

    @property
    def seen(self) -> str:
        """What tells the images from others: how many there are, and a hash of some that train and are held back."""
        digest = hashlib.sha256()
        for each in (self.tables, self._measured):
            for images, labels in each:
                digest.update(f"{images.dtype} {list(images.shape)}".encode())
                digest.update(images.contiguous().reshape(-1).view(torch.uint8).numpy().data)
                digest.update(b"" if labels is None else labels.numpy().data)
        return f"{self._total} {digest.hexdigest()}"

    def refresh(self, trainee: Trainee) -> Plan:
        """Fit tables to the maps as they are now, and return the plan they make."""
        return trainee.model.refresh(self.tables)

    def compare(self, trainee: Trainee, plan: Plan) -> list[TapBits]:
        """Return each map's bits, as training counts them and of real frames."""
        return trainee.model.compare(self._measured, plan)

    def losses(self, trainee: Trainee, plan: Plan) -> Losses:
        """Return the losses of a network whose tables are fitted, and its bits a value."""
        task, off = self._task_and_distortion(trainee)
        taps = self.compare(trainee, plan)
        values = sum(tap.values for tap in taps)
        return Losses(task, off, sum(tap.expected for tap in taps) / values, sum(tap.real for tap in taps) / values)

    def coarsened(self, trainee: Trainee, factor: float) -> Point:
        """The network as it is, its maps on coarser grids; it is left as it was, but for its tables."""
        kept = trainee.snapshot()
        with torch.no_grad():
            for tap in trainee.model.taps:
                tap.log_scale.add_(math.log(factor))
        found = self.losses(trainee, self.refresh(trainee))
        trainee.restore(kept)
        return Point(factor, found.distortion, found.real_bits)

    def _task_and_distortion(self, trainee: Trainee) -> tuple[float, float]:
        task = off = 0.0
        with measuring(trainee.model):
            for images, labels in self.images:
                x = images.to(self._device)
                outputs, wanted = trainee.model(x), self._teacher(x)
                share = len(images) / self._count
                task += share * float(self._task(outputs, wanted, None if labels is None else labels.to(self._device)))
                off += share * float(distortion(outputs, wanted, self._teacher.classes))
        return task, off
