"""What an evaluation counts, apart from the networks: the figures of a run, or of shards that are merged.

Every sum is of integers, or exact, so that the figures are the same for any division of the images into shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.documents.shard import Calibrated, CodecSums, NetworkSums, Sums
from fmapzip.errors import InvalidInput
from fmapzip.histogram import ValueHistogram
from fmapzip.plan import Plan
from fmapzip.sums import ExactSum
from fmapzip.torch.metrics import ClassEvidence, OutputFigures
from fmapzip.torch.pictures import Pictures
from fmapzip.torch.results import Baseline, CodecResult, Evaluation, MapsOfTap, TaskResult
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tasks.judge import Judge

_FP32_BYTES = 4


class NetworkTally:
    """Counts of one network's outputs."""

    def __init__(self) -> None:
        self.figures = OutputFigures()
        self.seconds = ExactSum()

    def sums(self) -> NetworkSums:
        """Return what was counted of the outputs."""
        return self.figures.sums(self.seconds)

    def merge(self, sums: NetworkSums) -> None:
        """Add what was counted elsewhere, on the images that follow."""
        self.figures.merge(sums)
        self.seconds.merge(ExactSum.of_text(sums.seconds))


class FloatTally(NetworkTally):
    """Counts of the network as it is."""

    def baseline(self, classes: bool) -> Baseline:
        """Return the accuracy."""
        top1, top5 = (self.figures.top1, self.figures.top5) if classes else (None, None)
        return Baseline(top1, top5, None, None, None, self.seconds.value)


class Int8Tally(NetworkTally):
    """Counts of the 8-bit network, and of its maps.

    Parameters
    ----------
    taps : sequence of Calibrated
    """

    def __init__(self, taps: Sequence[Calibrated]) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.histograms = [ValueHistogram(tap.dtype, tap.zero_point) for tap in taps]

    def baseline(self, classes: bool) -> Baseline:
        """Return the figures of an 8-bit network."""
        figures = self.figures
        return Baseline(
            top1=figures.top1 if classes else None,
            top5=figures.top5 if classes else None,
            changed_vs_float=figures.changed("float") if classes else None,
            kl_vs_float=figures.divergence("float") if classes else None,
            output_sqnr_db=figures.sqnr_db,
            seconds=self.seconds.value,
            outputs=figures.outputs(classes),
        )

    def maps(self) -> tuple[MapsOfTap, ...]:
        """Return what the integers of each tap are like."""
        found = zip(self.taps, self.histograms, strict=True)
        return tuple(
            MapsOfTap(tap.name, tuple(tap.shape), tap.dtype, seen.total // prod(tap.shape), seen) for tap, seen in found
        )


class CodedTally(NetworkTally):
    """Counts of a network with its maps stored.

    Parameters
    ----------
    plan : Plan
    statistics : sequence of TapStatistics
        Of the taps.
    notes : sequence of str
        For the result.
    """

    def __init__(self, plan: Plan, statistics: Sequence[TapStatistics], notes: Sequence[str]) -> None:
        super().__init__()
        self.plan, self.statistics, self.notes = plan, tuple(statistics), tuple(notes)

    @property
    def codec(self) -> str:
        """The codec's id, ``plan`` where there are several."""
        return _only_codec(self.plan)[0]

    def result(self, classes: bool) -> CodecResult:
        """Return the figures of a codec."""
        figures, taps = self.figures, tuple(each.result() for each in self.statistics)
        raw, plan_bytes = sum(tap.raw_bytes for tap in taps), len(self.plan.to_bytes())
        total = sum(tap.total_bytes for tap in taps) + plan_bytes
        codec, config = _only_codec(self.plan)
        return CodecResult(
            codec=codec,
            config=config,
            plan=self.plan,
            ratio_payload=raw / sum(tap.payload_bytes for tap in taps),
            ratio_total=raw / total,
            ratio_vs_fp32=_FP32_BYTES * raw / total,
            bits_per_value=8 * total / raw,
            plan_bytes=plan_bytes,
            top1=figures.top1 if classes else None,
            top5=figures.top5 if classes else None,
            changed_vs_int8=figures.changed("int8") if classes else None,
            changed_vs_float=figures.changed("float") if classes else None,
            kl_vs_float=figures.divergence("float") if classes else None,
            kl_vs_int8=figures.divergence("int8") if classes else None,
            output_sqnr_db=figures.sqnr_db,
            encode_mb_per_s=_rate(raw, sum(tap.encode_seconds for tap in taps)),
            decode_mb_per_s=_rate(raw, sum(tap.decode_seconds for tap in taps)),
            seconds=self.seconds.value,
            taps=taps,
            notes=self.notes,
            outputs=figures.outputs(classes),
        )


class Tally:
    """All that an evaluation counts.

    Parameters
    ----------
    exact, int8, coded
        Of the networks.
    classes : bool or None
        Whether outputs are class scores; None where the images are to decide.
    judge : Judge

    Attributes
    ----------
    pictures : Pictures or None
        Of the first image, where they were asked for.
    """

    def __init__(
        self,
        exact: FloatTally,
        int8: Int8Tally,
        coded: Sequence[CodedTally],
        classes: bool | None,
        judge: Judge,
    ) -> None:
        self.exact, self.int8, self.coded, self.judge = exact, int8, tuple(coded), judge
        self.evidence, self.images, self.classes = ClassEvidence(), 0, classes
        self.pictures: Pictures | None = None

    def sums(self) -> Sums:
        """Return what was counted, without the pictures."""
        return Sums(
            images=self.images,
            evidence=self.evidence.sums(),
            float_=self.exact.sums(),
            int8=self.int8.sums(),
            maps=[seen.counts.tolist() for seen in self.int8.histograms],
            codecs=[CodecSums(one.sums(), [each.sums() for each in one.statistics]) for one in self.coded],
            kept=self.judge.sums(),
        )

    def merge(self, sums: Sums) -> None:
        """Add what was counted elsewhere, on the images that follow.

        Raises
        ------
        InvalidInput
            The sums are of other taps, codecs or metrics, or contradict each other.
        """
        if len(sums.maps) != len(self.int8.histograms) or [len(one.taps) for one in sums.codecs] != [
            len(one.statistics) for one in self.coded
        ]:
            raise InvalidInput("the sums are of other taps or codecs")
        self.images += sums.images
        self.evidence.merge(sums.evidence)
        self.exact.merge(sums.float_)
        self.int8.merge(sums.int8)
        for seen, counts in zip(self.int8.histograms, sums.maps, strict=True):
            seen.counts += counts
        for one, other in zip(self.coded, sums.codecs, strict=True):
            one.merge(other.network)
            for statistics, found in zip(one.statistics, other.taps, strict=True):
                statistics.merge(found)
        self.judge.merge(sums.kept, sums.images)

    def evaluation(
        self, calibrator: str, calibration_images: int, method: str, notes: Sequence[str], skipped: Sequence[str]
    ) -> Evaluation:
        """Return all figures, with what is said of the run beside them."""
        classes = self.evidence.class_scores if self.classes is None else self.classes
        judged: Sequence[tuple[TaskResult, ...]] = self.judge.results()
        coded = (replace(one.result(classes), tasks=found) for one, found in zip(self.coded, judged[2:], strict=True))
        return Evaluation(
            images=self.images,
            calibration_images=calibration_images,
            quantizer=calibrator,
            metrics="classes" if classes else "output",
            capture=method,
            notes=tuple(notes),
            skipped=tuple(skipped),
            float_baseline=replace(self.exact.baseline(classes), tasks=judged[0]),
            int8_baseline=replace(self.int8.baseline(classes), tasks=judged[1]),
            taps=self.int8.maps(),
            codecs=tuple(coded),
            pictures=self.pictures,
        )


def _only_codec(plan: Plan) -> tuple[str, dict[str, Any]]:
    codecs: list[Codec] = []
    for tap in plan:
        if tap.codec not in codecs:
            codecs.append(tap.codec)
    return (codecs[0].id, codecs[0].config()) if len(codecs) == 1 else ("plan", {})


def _rate(size: int, seconds: float) -> float | None:
    return size / seconds / 1e6 if seconds > 0 else None
