"""Choosing a codec's settings by calibration: the fewest bytes that do little harm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

import fmapzip
from fmapzip import registry
from fmapzip.codecs.base import Codec
from fmapzip.plan import Plan
from fmapzip.torch.actions import Store
from fmapzip.torch.batches import Batches, Progress
from fmapzip.torch.calibrate import Calibration, running
from fmapzip.torch.capture import Captured
from fmapzip.torch.inputs import Inputs, batch_size, call
from fmapzip.torch.metrics import OutputFigures, Scores
from fmapzip.torch.outputs import ONLY, judged_outputs, output_tensor
from fmapzip.torch.slot import Action


@dataclass(frozen=True)
class DistortionLimit:
    """What a default setting may do to the network's output on the calibration images.

    Parameters
    ----------
    kl : float
        Largest mean KL(float || coded) in nats, for class scores.
    sqnr_db : float
        Smallest signal-to-noise ratio of other outputs, against those of the 8-bit network: on deep networks the
        8-bit quantizers alone can stay below any limit worth stating against float, and they are not the codec's.
    """

    kl: float = 0.05
    sqnr_db: float = 25.0


DEFAULT_LIMIT = DistortionLimit()


@dataclass(frozen=True)
class Choice:
    """The chosen settings and their plan; `notes` say where no candidate kept to the limit."""

    codec: Codec
    plan: Plan
    notes: tuple[str, ...] = ()


def choose(
    captured: Captured,
    batches: Batches,
    calibration: Calibration,
    codec: Codec,
    class_scores: bool,
    limit: DistortionLimit,
    progress: Progress,
) -> Choice:
    """Return the candidate of `codec` with the fewest calibrated bytes whose calibration distortion is within `limit`.

    Bytes are counted on the training maps; then candidates run on the calibration images, the smallest first, until
    one keeps to the limit. If none does, it is the one that distorts least.
    """
    candidates = list(codec.candidates())
    if len(candidates) == 1:
        return Choice(candidates[0], calibration.plan(candidates[0], progress))
    sized = []
    for i, candidate in enumerate(candidates):
        plan = calibration.plan(candidate)
        sized.append((_calibrated_bytes(calibration, plan), i, plan))
        progress(f"sizing {codec.id}", i + 1, len(candidates))
    reference = {} if class_scores else _coded(calibration, calibration.plan(registry.make("raw")))
    outputs = _ReferenceOutputs(captured, batches, reference, class_scores)
    least: tuple[float, Choice] | None = None
    for _, i, plan in sorted(sized, key=lambda entry: entry[:2]):
        excess, found = _excess(captured, outputs, calibration, plan, class_scores, limit, progress)
        if excess <= 0:
            return Choice(candidates[i], plan)
        if least is None or excess < least[0]:
            note = f"no setting keeps calibration distortion within the limit; the least has {found}"
            least = excess, Choice(candidates[i], plan, (note,))
    assert least is not None
    return least[1]


def _coded(calibration: Calibration, plan: Plan) -> dict[str, Action]:
    return {tap.name: Store(tap, plan) for tap in calibration.taps}


class _ReferenceOutputs:
    """Calibration batches with the outputs that distortion is measured against, kept as long as they are small."""

    _KEPT_BYTES = 1 << 26

    def __init__(self, captured: Captured, batches: Batches, actions: dict[str, Action], class_scores: bool) -> None:
        self._captured, self._batches, self._actions = captured, batches, actions
        self._class_scores = class_scores
        self._kept: list[dict[str, Tensor]] = []
        self._room = self._KEPT_BYTES

    def __iter__(self) -> Iterator[tuple[Inputs, dict[str, Tensor]]]:
        for i, (inputs, _) in enumerate(self._batches):
            if i < len(self._kept):
                yield inputs, self._kept[i]
                continue
            with running(self._captured, self._actions):
                wanted = self.of(call(self._captured.module, inputs), inputs)
            self._room -= sum(output.nbytes for output in wanted.values())
            if self._room >= 0 and i == len(self._kept):
                self._kept.append(wanted)
            yield inputs, wanted

    def of(self, output: Any, inputs: Inputs) -> dict[str, Tensor]:
        """What of an output is compared: the class scores, or all that the total is over."""
        return {ONLY: output_tensor(output)} if self._class_scores else judged_outputs(output, batch_size(inputs))


def _calibrated_bytes(calibration: Calibration, plan: Plan) -> int:
    coded = sum(
        len(frame)
        for i in range(len(calibration.taps))
        for frame in fmapzip.encode_batch(calibration.maps(i), plan=plan, tap=i)
    )
    return coded + len(plan.to_bytes())


def _excess(
    captured: Captured,
    outputs: _ReferenceOutputs,
    calibration: Calibration,
    plan: Plan,
    class_scores: bool,
    limit: DistortionLimit,
    progress: Progress,
) -> tuple[float, str]:
    """Return by how much `plan` exceeds the limit on the calibration images, and its distortion in words.

    Divergences only add up: once they are hopeless for all images, the rest is not run.
    """
    figures = OutputFigures()
    done = 0
    for inputs, wanted in outputs:
        with running(captured, _coded(calibration, plan)):
            got = outputs.of(call(captured.module, inputs), inputs)
        done += batch_size(inputs)
        progress("measuring distortion", done, calibration.images)
        if not class_scores:
            figures.add_outputs(wanted, got, wanted)
            continue
        scores = Scores(got[ONLY])
        figures.add_scores(scores, None)
        figures.compare("float", Scores(wanted[ONLY]), scores)
        if (figures.divergence("float") or 0.0) * done > limit.kl * calibration.images:
            break
    if class_scores:
        divergence = figures.divergence("float") or 0.0
        return divergence - limit.kl, f"KL {divergence:.3f} nats"
    sqnr = figures.sqnr_db
    return (-1.0, "no noise") if sqnr is None else (limit.sqnr_db - sqnr, f"{sqnr:.1f} dB")
