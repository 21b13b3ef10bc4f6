"""An evaluation as the JSON object that `fmapzip.documents.evaluation` declares: schema 1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fmapzip.documents.document import Part
from fmapzip.documents.evaluation import EVALUATION, Codec, FloatRun, Int8Run, Tap

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
    input
        The preprocessing as the document has it; None: the demo's own.
    """

    calib: str
    preprocess: str | None
    taps: tuple[str, ...] | None
    limit: int | None
    images: int | None
    batch: int
    labels: str
    input: dict[str, Any] | None


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
        "baselines": {
            "float": _declared(FloatRun, found.float_baseline),
            "int8": _declared(Int8Run, found.int8_baseline),
        },
        "taps": [maps.to_json() for maps in found.taps],
        "codecs": [_codec(result) for result in found.codecs],
        "pictures": None if found.pictures is None else asdict(found.pictures),
    }
    return EVALUATION.checked(report)


def _codec(result: CodecResult) -> dict[str, Any]:
    lossless = all(tap.codec.lossless for tap in result.plan)
    return {**_declared(Codec, result), "lossless": lossless, "taps": [_declared(Tap, tap) for tap in result.taps]}


def _declared(part: type[Part], result: Baseline | CodecResult | TapResult) -> dict[str, Any]:
    """The keys that the document declares, of a result that has them by the same names."""
    found = {name: getattr(result, name) for name in part.__struct_fields__ if hasattr(result, name)}
    for name in {"outputs", "tasks"} & set(found):
        found[name] = [asdict(each) for each in found[name]] or None
    return found
