"""An evaluation as the JSON object that `fmapzip.documents.evaluation` declares: schema 1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fmapzip.documents.evaluation import EVALUATION

if TYPE_CHECKING:
    from fmapzip.torch.results import Baseline, CodecResult, Evaluation, TapResult

SCHEMA = 1


@dataclass(frozen=True)
class Protocol:
    """How an evaluation was asked for; stored so that it can be run again.

    Attributes
    ----------
    calib, preprocess, taps, limit, images, batch
        The options of ``fmapzip eval``; None where one was not given.
    labels
        How the class indexes of the images were found, in words.
    """

    calib: str
    preprocess: str | None
    taps: tuple[str, ...] | None
    limit: int | None
    images: int | None
    batch: int
    labels: str


def to_json(
    found: Evaluation, model: str, data: str, protocol: Protocol, environment: dict[str, Any]
) -> dict[str, Any]:
    """The report of an evaluation.

    Parameters
    ----------
    found
        What `fmapzip.torch.evaluate` returned.
    model, data
        As they were typed.
    protocol, environment
        Stored beside the figures.

    Returns
    -------
    dict
        Of JSON values only; what does not apply, or is infinite or no number, is None.
    """
    report = {
        "schema": SCHEMA,
        "model": model,
        "data": data,
        "images": found.images,
        "calibration_images": found.calibration_images,
        "quantizer": found.quantizer,
        "protocol": {**asdict(protocol), "metrics": found.metrics},
        "capture": {"method": found.capture, "notes": list(found.notes), "skipped_taps": list(found.skipped)},
        "environment": environment,
        "baselines": {"float": _float(found.float_baseline), "int8": _int8(found.int8_baseline)},
        "codecs": [_codec(result) for result in found.codecs],
        "pictures": None if found.pictures is None else asdict(found.pictures),
    }
    return EVALUATION.checked(report)


def _float(baseline: Baseline) -> dict[str, Any]:
    return {"top1": baseline.top1, "top5": baseline.top5, "seconds": baseline.seconds}


def _int8(baseline: Baseline) -> dict[str, Any]:
    return {
        "top1": baseline.top1,
        "top5": baseline.top5,
        "changed_vs_float": baseline.changed_vs_float,
        "kl_vs_float": baseline.kl_vs_float,
        "output_sqnr_db": baseline.output_sqnr_db,
        "seconds": baseline.seconds,
    }


_CODEC_FIGURES = (
    "ratio_payload",
    "ratio_total",
    "ratio_vs_fp32",
    "bits_per_value",
    "plan_bytes",
    "top1",
    "top5",
    "changed_vs_int8",
    "changed_vs_float",
    "kl_vs_float",
    "kl_vs_int8",
    "output_sqnr_db",
    "encode_mb_per_s",
    "decode_mb_per_s",
    "seconds",
)


def _codec(result: CodecResult) -> dict[str, Any]:
    figures = {name: getattr(result, name) for name in _CODEC_FIGURES}
    taps = [_tap(tap) for tap in result.taps]
    lossless = all(tap.codec.lossless for tap in result.plan)
    named = {"codec": result.codec, "config": result.config, "lossless": lossless}
    return {**named, **figures, "notes": list(result.notes), "taps": taps}


_TAP_FIGURES = (
    "zeros",
    "path",
    "raw_bytes",
    "payload_bytes",
    "total_bytes",
    "frame_bytes_max",
    "frame_bytes_p99",
    "sqnr_db",
    "sections",
)


def _tap(tap: TapResult) -> dict[str, Any]:
    figures = {name: getattr(tap, name) for name in _TAP_FIGURES}
    return {"name": tap.name, "shape": list(tap.shape), "readers": list(tap.readers), **figures}
