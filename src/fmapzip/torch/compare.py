"""Sending images through the float network, the 8-bit network and the coded ones, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from fmapzip.torch.batches import EVALUATING, Progress
from fmapzip.torch.capture import Captured
from fmapzip.torch.inputs import Inputs, batch_size
from fmapzip.torch.metrics import Scores, check_classes, has_classes
from fmapzip.torch.outputs import judged_outputs, named_outputs, output_tensor
from fmapzip.torch.passes import CodedPass, FloatPass, Int8Pass
from fmapzip.torch.pictures import Pictures, input_picture, picture, watched
from fmapzip.torch.results import Evaluation, ImageCodec, ImageResult
from fmapzip.torch.tally import Tally
from fmapzip.torch.tasks.judge import Judge
from fmapzip.torch.tasks.metric import Metric


class Comparison:
    """What is compared, and how.

    Parameters
    ----------
    model : nn.Module
        The float network.
    captured : Captured
    int8 : Int8Pass
    coded : sequence of CodedPass
    classes : bool or None
        Whether outputs are class scores; None where the images are to decide.
    calibrator : str
    calibration_images : int
    pictures : bool
        Whether to draw some maps of the first image.
    tasks : sequence of Metric

    Attributes
    ----------
    tally : Tally
        What was counted; before `run` it may be given what an earlier run counted.
    calibrator, calibration_images
        As given.
    """

    def __init__(
        self,
        model: nn.Module,
        captured: Captured,
        int8: Int8Pass,
        coded: Sequence[CodedPass],
        classes: bool | None,
        calibrator: str,
        calibration_images: int,
        pictures: bool = False,
        tasks: Sequence[Metric] = (),
    ) -> None:
        self.captured, self._exact, self._int8, self._coded = captured, FloatPass(model), int8, coded
        self.calibrator, self.calibration_images, self._with_pictures = calibrator, calibration_images, pictures
        judge = Judge(tasks, 2 + len(coded))
        self.tally = Tally(self._exact.tally, int8.tally, [each.tally for each in coded], classes, judge)

    def run(
        self,
        batches: Iterable[tuple[Inputs, Tensor | None, Sequence[Any] | None]],
        progress: Progress,
        per_image: Callable[[ImageResult], None] | None = None,
    ) -> None:
        """Go through `batches` once and count them; when the next one is asked for, the last is counted whole."""
        tally = self.tally
        for inputs, labels, targets in batches:
            count = batch_size(inputs)
            shown = self._watch() if self._with_pictures and not tally.images else None
            wanted, rounded = self._exact.run(inputs), self._int8.run(inputs)
            named, judged = named_outputs(wanted, count), judged_outputs(wanted, count)
            if tally.classes:
                check_classes(output_tensor(wanted), labels)
            outputs = [coded.run(inputs) for coded in self._coded]
            tally.evidence.add(wanted, labels)
            tally.judge.add([wanted, rounded, *outputs], targets, count)
            for one, output in zip((self._int8, *self._coded), (rounded, *outputs), strict=True):
                one.tally.figures.add_outputs(named, named_outputs(output, count), judged)
            results = _Images(tally.images, count, labels, [coded.frame_bytes(count) for coded in self._coded])
            if tally.classes is not False and named and has_classes(output_tensor(wanted)):
                scored = [output_tensor(output) for output in (wanted, rounded, *outputs)]
                self._score(scored[0], scored[1], scored[2:], labels, results)
            if per_image is not None:
                for result in results.finish([coded.tally.codec for coded in self._coded]):
                    per_image(result)
            tally.images += count
            if shown is not None:
                tally.pictures = self._pictures(shown, input_picture(inputs))
            progress(EVALUATING, tally.images, None)

    def evaluation(self) -> Evaluation:
        """Return the figures of what was counted."""
        found = (self.captured.method, self.captured.notes, self._int8.skipped)
        return self.tally.evaluation(self.calibrator, self.calibration_images, *found)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of the taps that are not stored."""
        return self._int8.skipped

    def _score(
        self,
        wanted: Tensor,
        rounded: Tensor,
        outputs: Sequence[Tensor],
        labels: Tensor | None,
        results: _Images,
    ) -> None:
        float_scores, int8_scores = Scores(wanted), Scores(rounded)
        self._exact.tally.figures.add_scores(float_scores, labels)
        self._int8.tally.figures.add_scores(int8_scores, labels)
        self._int8.tally.figures.compare("float", float_scores, int8_scores)
        results.reference(float_scores, int8_scores)
        for coded, output in zip(self._coded, outputs, strict=True):
            scores = Scores(output)
            coded.tally.figures.add_scores(scores, labels)
            to_float = coded.tally.figures.compare("float", float_scores, scores)
            to_int8 = coded.tally.figures.compare("int8", int8_scores, scores)
            results.coded(scores, to_float, to_int8)

    def _watch(self) -> list[int]:
        """Watch the maps that are shown; their places."""
        places = watched(self._int8.taps)
        names = {self._int8.taps[place].name for place in places}
        for one in (self._int8, *self._coded):
            one.watch(names)
        return places

    def _pictures(self, places: Sequence[int], image: str | None) -> Pictures:
        maps = []
        for place in places:
            name = self._int8.taps[place].name
            reference, decoded = self._int8.seen(name), [one.seen(name) for one in self._coded]
            found = [one for one in decoded if one is not None]
            if reference is not None and len(found) == len(decoded):
                maps.append(picture(place, reference, found))
        for one in (self._int8, *self._coded):
            one.watch(())
        return Pictures(image, tuple(maps))


class _Images:
    """Collects the results of a batch, image by image."""

    def __init__(self, first: int, count: int, labels: Tensor | None, frame_bytes: Sequence[Sequence[int]]) -> None:
        self._first, self._count, self._frame_bytes = first, count, frame_bytes
        self._labels: list[int] | list[None] = [None] * count if labels is None else labels.tolist()
        self._references: list[tuple[int, int]] | None = None
        self._coded: list[list[tuple[int, float, float]]] = []

    def reference(self, exact: Scores, int8: Scores) -> None:
        self._references = list(zip(exact.predictions.tolist(), int8.predictions.tolist(), strict=True))

    def coded(self, scores: Scores, to_float: Tensor, to_int8: Tensor) -> None:
        figures = (scores.predictions.tolist(), to_float.tolist(), to_int8.tolist())
        self._coded.append(list(zip(*figures, strict=True)))

    def finish(self, names: Sequence[str]) -> Iterable[ImageResult]:
        for i in range(self._count):
            exact, int8 = self._references[i] if self._references else (None, None)
            codecs = []
            for place, name in enumerate(names):
                prediction, to_float, to_int8 = self._coded[place][i] if self._coded else (None, None, None)
                codecs.append(ImageCodec(name, prediction, to_float, to_int8, self._frame_bytes[place][i]))
            yield ImageResult(self._first + i, self._labels[i], exact, int8, tuple(codecs))
