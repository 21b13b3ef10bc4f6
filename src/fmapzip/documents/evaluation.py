"""The report of ``fmapzip eval``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from fmapzip.documents.document import Document, Environment, Input, Part, says
from fmapzip.documents.maps import MapsOfTap

Figure = float | None


class Protocol(Part):
    """Protocol.

    The options, as they were given; `null` where one was not.
    """

    calib: str
    preprocess: str | None
    taps: list[str] | None
    limit: int | None
    batch: Annotated[int, says("images in memory at a time")]
    labels: Annotated[str, says("how the class indexes were found")]
    metrics: Annotated[
        Literal["classes", "output"], says("whether the output was taken for class scores, or compared as a tensor")
    ]
    images: int | None = None
    input: Annotated[Input | None, says("the preprocessing; `null` for the demo's own")] = None


class Capture(Part):
    """How the network's feature maps were found."""

    method: Literal["fx", "export", "hooks"]
    notes: Annotated[list[str], says("what it cannot see")]
    skipped_taps: Annotated[list[str], says("taps that `--taps` left out")]


class Output(Part):
    """One of several outputs of the network."""

    name: Annotated[str, says("its way in the output, `scales.0` for instance")]
    judged: Annotated[bool, says("whether the total is over it")]
    kl_vs_float: Annotated[Figure, says("where outputs are class scores and it is [N, K]")]
    sqnr_db: Annotated[Figure, says("`null` where nothing differs, or shapes do")]


class Task(Part):
    """One figure of a metric.

    More is better; shares are in percent, as the budgets of `plan` are.
    """

    metric: Annotated[str, says("as it was asked for")]
    figure: str
    value: Figure
    interval: Annotated[list[float] | None, says("95 %, by bootstrap over images")]
    loss: Annotated[Figure, says("against the float network")]
    loss_interval: Annotated[list[float] | None, says("95 %, by bootstrap over the images that both saw")]


class FloatRun(Part):
    """The float network."""

    top1: Annotated[Figure, says("accuracy; `null` for networks whose output is not class scores")]
    top5: Figure
    seconds: Annotated[float, says("wall time of the pass, image loading excluded")]
    tasks: Annotated[list[Task] | None, says("with `--metric`")] = None


class Int8Run(Part):
    """The 8-bit network.

    It stores every tap as 8-bit integers without compression (codec `raw`).
    """

    top1: Figure
    top5: Figure
    changed_vs_float: Annotated[int | None, says("images whose prediction differs from the float network's")]
    kl_vs_float: Annotated[Figure, says("KL(float \\|\\| this) of the softmax outputs, nats, mean over images")]
    output_sqnr_db: Annotated[Figure, says("of the output against the float network's, pooled over images")]
    seconds: float
    outputs: Annotated[list[Output] | None, says("each for itself, where there are several")] = None
    tasks: Annotated[list[Task] | None, says("with `--metric`")] = None


class Baselines(Part):
    """Baselines."""

    float_: Annotated[FloatRun, says("the network as it is")] = msgspec.field(name="float")
    int8: Annotated[Int8Run, says("with plain 8-bit feature maps")]


class Tap(Part):
    """One tap."""

    name: Annotated[str, says("the call site of its first reader")]
    shape: Annotated[list[int], says("of one sample")]
    readers: Annotated[list[str], says("the call sites of all readers")]
    zeros: Annotated[float, says("share of its 8-bit values that are zero")]
    path: Annotated[str, says("which of the codec's ways it took; empty where there is one")]
    raw_bytes: Annotated[int, says("over all images, one byte a value")]
    payload_bytes: Annotated[int, says("tile bodies")]
    total_bytes: Annotated[int, says("whole frames")]
    frame_bytes_max: Annotated[int, says("the largest frame of one image")]
    frame_bytes_p99: Annotated[int, says("the size that 99 % of the frames do not exceed")]
    sqnr_db: Annotated[
        Figure, says("decoded against the tap's own float input in that pass, signal and noise pooled over images")
    ]
    sections: Annotated[dict[str, int], says("bytes of the frames by part, which sum to `total_bytes`")]


class Codec(Part):
    """One codec.

    Ratios are sums over sums, over all images and taps.
    """

    codec: Annotated[str, says("its id; `plan` for a plan with several")]
    config: Annotated[
        dict[str, Any],
        says("all settings as `Codec.config()` gives them, those that calibration chose; empty for a plan"),
    ]
    ratio_payload: Annotated[
        Figure, says("raw bytes (one a value) over the bytes of tile bodies: what a hardware description would count")
    ]
    ratio_total: Annotated[Figure, says("raw bytes over every byte of every frame plus the plan once")]
    ratio_vs_fp32: Annotated[Figure, says("four times `ratio_total`")]
    bits_per_value: Annotated[Figure, says("8 / `ratio_total`")]
    plan_bytes: Annotated[int, says("`len(plan.to_bytes())`: quantizers, parameters and tables")]
    top1: Annotated[Figure, says("accuracy; `null` for networks whose output is not class scores")]
    top5: Figure
    changed_vs_int8: Annotated[int | None, says("images whose prediction differs from the 8-bit network's")]
    changed_vs_float: int | None
    kl_vs_float: Annotated[Figure, says("KL(float \\|\\| this) of the softmax outputs, nats, mean over images")]
    kl_vs_int8: Figure
    output_sqnr_db: Annotated[
        Figure,
        says(
            "of the network's output against the float network's, signal and noise pooled over images; of several "
            "outputs, noise over signal is the mean of theirs, unless there is `logits` or `out`, which alone counts"
        ),
    ]
    encode_mb_per_s: Annotated[Figure, says("raw bytes a second, in the codec alone, as measured during this run")]
    decode_mb_per_s: Figure
    seconds: Annotated[float, says("wall time of the codec's pass, image loading excluded")]
    notes: Annotated[
        list[str], says("what a reader should know, for instance that no setting kept to the distortion limit")
    ]
    taps: Annotated[list[Tap], says("the feature maps, in the order of the network")]
    outputs: Annotated[list[Output] | None, says("each output for itself, where there are several")] = None
    tasks: Annotated[list[Task] | None, says("with `--metric`")] = None
    lossless: Annotated[bool | None, says("whether its settings promise to give back every integer")] = None


class MapPicture(Part):
    """One map in pictures.

    PNG, as `data:` addresses.
    """

    tap: Annotated[int, says("its place among the taps")]
    channels: Annotated[list[int], says("which of its channels are shown")]
    reference: Annotated[str, says("in 8 bits")]
    decoded: Annotated[list[str], says("one a codec")]
    difference: Annotated[list[str | None], says("one a codec; `null` where nothing differs")]
    largest: Annotated[list[float], says("the largest difference, one a codec")]


class Pictures(Part):
    """Pictures of the first image."""

    input: Annotated[str | None, says("where it has 1 or 3 channels")]
    maps: list[MapPicture]


class Evaluation(Part):
    """Report."""

    schema: Literal[1]
    model: Annotated[str, says("as typed")]
    data: str
    images: Annotated[int, says("how many images the figures come from")]
    calibration_images: Annotated[
        int,
        says(
            "how many calibrated (0 where only plans ran); no image is in both, unless `--calib` named a directory "
            "that shares some"
        ),
    ]
    quantizer: Annotated[str, says("the calibrator of the 8-bit quantizers, which alone moves every ratio")]
    protocol: Protocol
    capture: Capture
    environment: Environment
    baselines: Baselines
    taps: Annotated[list[MapsOfTap], says("the maps of the 8-bit network, which every codec is measured by")]
    codecs: Annotated[list[Codec], says("one for each `--codec` and `--plan`, in the order given")]
    pictures: Annotated[Pictures | None, says("with `--html`, some maps of the first image")] = None


class ImageCodec(Part):
    """One codec on one image."""

    codec: str
    prediction: int | None
    kl_vs_float: Figure
    kl_vs_int8: Figure
    frame_bytes: Annotated[int, says("of all its frames, without the plan")]


class Image(Part):
    """One image: a line of `--per-image FILE`."""

    image: Annotated[str, says("its file")]
    index: int
    label: int | None
    float_prediction: int | None
    int8_prediction: int | None
    codecs: list[ImageCodec]


EVALUATION = Document(
    title="The report of `fmapzip eval`",
    command="fmapzip eval",
    root=Evaluation,
    others=(Image,),
    closing="""## Examples

The largest taps of a run, with [jq](https://jqlang.org):

    jq '.codecs[0].taps | sort_by(-.total_bytes) | .[:3] | map({name, total_bytes})' report.json
""",
)
