"""The report of ``fmapzip tune``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fmapzip.documents.document import Document, Environment, Part, says
from fmapzip.documents.planning import PlanFile


class TuningEpoch(Part):
    """One epoch, as it ended.

    On images that are held back from training.
    """

    number: Annotated[int, says("0: before tuning")]
    task: Annotated[float | None, says("the task's loss")]
    distortion: Annotated[float | None, says("against the network that tuning began with")]
    bits: Annotated[float | None, says("a value, as training counts them")]
    real_bits: Annotated[float | None, says("a value, of real frames")]
    seconds: Annotated[float, says("since tuning began, over all runs")]
    replanned: Annotated[bool, says("whether the planner's codecs and scales were taken at its end")]
    lambda_: Annotated[float, says("what a bit a value was worth, in units of the task's loss")] = msgspec.field(
        name="lambda"
    )


class UntunedPoint(Part):
    """The untuned network with its maps on coarser grids.

    On the images that are held back, codecs as given, their tables trained anew.
    """

    coarser: Annotated[float, says("what the scales of all quantizers are multiplied by")]
    distortion: Annotated[float | None, says("against the network that tuning began with")]
    real_bits: Annotated[float, says("a value, of real frames")]


class TunedMap(Part):
    """One feature map, on held-back images."""

    name: str
    shape: list[int]
    codec: str
    config: Annotated[dict[str, Any], says("its settings")]
    values: Annotated[int, says("of all images that were looked at")]
    bits_before: Annotated[
        float, says("a value, of real frames (of what stands for the codec in training), before tuning")
    ]
    bits_after: Annotated[float, says("the same after it")]
    expected_bits_after: Annotated[float, says("the same as training counts them")]
    zeros_before: Annotated[float, says("share of zeros")]
    zeros_after: float


class Tuning(Part):
    """Report.

    Ratios and bits are of frames alone on a few held-back images; `fmapzip eval` measures the result with every byte
    counted, on images that tuning never saw.
    """

    schema: Literal[1]
    kind: Literal["tune"]
    model: Annotated[str, says("as typed")]
    data: str
    tuned_on: Annotated[str, says("as typed")]
    tuning_images: Annotated[int, says("of them, those that were held back included")]
    calibration_images: Annotated[int, says("on which the plan's tables were trained")]
    distortion: Annotated[
        Literal["kl", "error"],
        says("`kl`: mean KL in nats of class scores; `error`: squared error of the output over its squares"),
    ]
    epochs: list[TuningEpoch]
    untuned: Annotated[
        list[UntunedPoint], says("what fewer bits cost without training, fewest last; epoch 0 comes before them")
    ]
    kept: Annotated[int, says("the epoch whose weights were written")]
    stopped: Annotated[str, says("why tuning ended: `epochs`, `time`, `patience` or `nan`")]
    taps: Annotated[list[TunedMap], says("in the order of the network")]
    plan: PlanFile
    protocol: Annotated[dict[str, Any], says("every option of the command")]
    environment: Environment


TUNING = Document(title="The report of `fmapzip tune`", command="fmapzip tune", root=Tuning)
