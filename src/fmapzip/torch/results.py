"""What an evaluation found, as plain values.

Shares and accuracies are fractions of 1; divergences are in nats, means over images; a figure that does not apply, or
that is infinite, is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fmapzip.histogram import ValueHistogram
from fmapzip.plan import Plan
from fmapzip.torch.pictures import Pictures


@dataclass(frozen=True)
class MapsOfTap:
    """The integers of one feature map in the 8-bit network, over all images: what every codec is measured by.

    Parameters
    ----------
    name, shape
        As in `Tap`.
    dtype : {"uint8", "int8"}
    samples : int
    values : ValueHistogram
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    samples: int
    values: ValueHistogram

    def to_json(self) -> dict[str, Any]:
        """What reports say of it: see `fmapzip.documents.maps`."""
        facts = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype, "samples": self.samples}
        return {**facts, **self.values.to_json()}


@dataclass(frozen=True)
class TapResult:
    """One feature map under one codec, over all images.

    Parameters
    ----------
    name, shape, readers
        As in `Tap`.
    zeros : float
        Share of the quantized values that are zero.
    path : str
        Which of the codec's ways the tap takes, or "".
    raw_bytes, payload_bytes, total_bytes : int
        One byte a value; tile bodies; whole frames.
    frame_bytes_max, frame_bytes_p99 : int
        Largest frame, and the size that 99 % of the frames do not exceed, rounded up by at most 1/4096 of the raw size.
    sqnr_db : float or None
        Decoded against the tap's own float input in that pass, signal and noise pooled over images.
    encode_seconds, decode_seconds : float
        Integers to frames, and back.
    sections : dict of str to int
        Bytes of the frames by part, as `fmapzip.inspect` names them; empty where they were not counted.
    """

    name: str
    shape: tuple[int, ...]
    readers: tuple[str, ...]
    zeros: float
    path: str
    raw_bytes: int
    payload_bytes: int
    total_bytes: int
    frame_bytes_max: int
    frame_bytes_p99: int
    sqnr_db: float | None
    encode_seconds: float
    decode_seconds: float
    sections: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Raw bytes over frame bytes; the plan is not counted."""
        return self.raw_bytes / self.total_bytes

    @property
    def bits_per_value(self) -> float:
        """Bits of the frames a value; the plan is not counted."""
        return 8 * self.total_bytes / self.raw_bytes


@dataclass(frozen=True)
class OutputResult:
    """One of several outputs of a network.

    Parameters
    ----------
    name : str
        Its way in the output: ``out``, ``scales.0``.
    judged : bool
        Whether the total is over it.
    kl_vs_float : float or None
        KL(float || this) of its softmax, mean over images, where outputs are class scores and it is [N, K].
    sqnr_db : float or None
        Against the float network's, pooled over images; None where it is infinite, or where shapes differ.
    """

    name: str
    judged: bool
    kl_vs_float: float | None
    sqnr_db: float | None


@dataclass(frozen=True)
class TaskResult:
    """One figure of a metric; more is better, shares are in percent.

    Parameters
    ----------
    metric, figure : str
        Names; a metric may have several figures.
    value : float
    interval : pair of float or None
        95 %, by bootstrap over images.
    loss : float or None
        The float network's value less this one; None for the float network.
    loss_interval : pair of float or None
        95 %, by bootstrap over images that both networks see.
    """

    metric: str
    figure: str
    value: float
    interval: tuple[float, float] | None
    loss: float | None
    loss_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Baseline:
    """A network without compression: the float one, or the 8-bit one (codec ``raw``).

    Parameters
    ----------
    top1, top5 : float or None
        Accuracy, where there are labels and the output is class scores.
    changed_vs_float : int or None
        Predictions that differ from the float network's; None for the float network.
    kl_vs_float : float or None
        KL(float || this) of the softmax outputs.
    output_sqnr_db : float or None
        Of the output against the float network's, pooled over images; of several as `fmapzip.torch.outputs` says.
    seconds : float
        Wall time of the passes.
    outputs : tuple of OutputResult
        Where there are several.
    tasks : tuple of TaskResult
        Of the metrics that were asked for.
    """

    top1: float | None
    top5: float | None
    changed_vs_float: int | None
    kl_vs_float: float | None
    output_sqnr_db: float | None
    seconds: float
    outputs: tuple[OutputResult, ...] = ()
    tasks: tuple[TaskResult, ...] = ()


@dataclass(frozen=True)
class CodecResult:
    """One codec, or one plan, over all images.

    Parameters
    ----------
    codec : str
        The codec's id; ``plan`` where the taps of a plan have several.
    config : dict
        ``Codec.config()`` of the settings that were used: those that calibration chose, for a codec with candidates.
    plan : Plan
        What was run.
    ratio_payload, ratio_total, ratio_vs_fp32, bits_per_value : float
        Sums over sums. ``ratio_total`` counts every byte of every frame and the plan once.
    plan_bytes : int
        ``len(plan.to_bytes())``.
    changed_vs_int8, changed_vs_float : int or None
        Predictions that differ from the 8-bit and the float network's.
    kl_vs_float, kl_vs_int8 : float or None
        KL(reference || this) of the softmax outputs.
    output_sqnr_db : float or None
        Of the output against the float network's, pooled over images.
    encode_mb_per_s, decode_mb_per_s : float or None
        Raw bytes a second, in 10**6.
    seconds : float
        Wall time of the passes.
    taps : tuple of TapResult
    notes : tuple of str
        What a reader should know, for example that no candidate kept to the distortion limit.
    outputs : tuple of OutputResult
        Where the network has several.
    tasks : tuple of TaskResult
        Of the metrics that were asked for.
    """

    codec: str
    config: dict[str, Any]
    plan: Plan
    ratio_payload: float
    ratio_total: float
    ratio_vs_fp32: float
    bits_per_value: float
    plan_bytes: int
    top1: float | None
    top5: float | None
    changed_vs_int8: int | None
    changed_vs_float: int | None
    kl_vs_float: float | None
    kl_vs_int8: float | None
    output_sqnr_db: float | None
    encode_mb_per_s: float | None
    decode_mb_per_s: float | None
    seconds: float
    taps: tuple[TapResult, ...]
    notes: tuple[str, ...]
    outputs: tuple[OutputResult, ...] = ()
    tasks: tuple[TaskResult, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of several codecs on one network and one set of images.

    Parameters
    ----------
    images, calibration_images : int
    quantizer : str
        The calibrator.
    metrics : {"classes", "output"}
        Whether the network's output is class scores; if not, there are no accuracies and no divergences.
    capture : str
        How the network was captured: ``fx``, ``export`` or ``hooks``.
    notes : tuple of str
        What a reader should know about the capture.
    skipped : tuple of str
        Taps that were not selected.
    float_baseline, int8_baseline : Baseline
    taps : tuple of MapsOfTap
        The 8-bit network's maps.
    codecs : tuple of CodecResult
    pictures : Pictures or None
        Some maps of the first image, where they were asked for.
    """

    images: int
    calibration_images: int
    quantizer: str
    metrics: str
    capture: str
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    float_baseline: Baseline
    int8_baseline: Baseline
    taps: tuple[MapsOfTap, ...]
    codecs: tuple[CodecResult, ...]
    pictures: Pictures | None = None


@dataclass(frozen=True)
class ImageCodec:
    """One image under one codec; predictions and divergences are None where the output is not class scores."""

    codec: str
    prediction: int | None
    kl_vs_float: float | None
    kl_vs_int8: float | None
    frame_bytes: int


@dataclass(frozen=True)
class ImageResult:
    """One image; `index` counts from 0 in the loader's order."""

    index: int
    label: int | None
    float_prediction: int | None
    int8_prediction: int | None
    codecs: tuple[ImageCodec, ...]
