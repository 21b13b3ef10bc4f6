"""The report of ``fmapzip plan``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fmapzip.documents.document import Document, Environment, Part, says

Figure = float | None


class Budget(Part):
    """Budget."""

    kind: Literal["kl", "drop", "sqnr", "ratio", "bytes", "task"]
    value: float
    words: Annotated[str, says("both, to read")]


class Task(Part):
    """The plan by the metric that the budget is in.

    On all the images that choose and verify. More is better; shares are in percent.
    """

    metric: str
    figure: str
    images: int
    value: Figure
    interval: Annotated[list[float] | None, says("95 %, by bootstrap over images")]
    float_value: Annotated[Figure, says("of the float network")]
    loss: Figure
    loss_interval: Annotated[list[float] | None, says("95 %, by bootstrap over images that both networks see")]


class PlanFile(Part):
    """The plan that was written."""

    hash: Annotated[str, says("SHA-256")]
    bytes: int


class Group(Part):
    """The plan on a group of images."""

    images: Annotated[int, says("how many")]
    frame_bytes: Annotated[float, says("of frames alone")]
    ratio: Annotated[float, says("of frames alone")]
    ratio_with_plan: Annotated[float, says("the plan's bytes, shared by the calibration images, counted")]
    kl_vs_float: Figure
    int8_kl_vs_float: Annotated[Figure, says("of the plain 8-bit network")]
    output_sqnr_db: Annotated[Figure, says("where distortion is noise; weighted, where a metric weighs errors")]
    int8_output_sqnr_db: Figure
    expected_drop: Annotated[
        Figure,
        says("top-1 expected to be lost against the 8-bit network, by the float network's probabilities"),
    ]
    drop: Annotated[Figure, says("top-1 lost; `null` without labels")]
    drop_interval: Annotated[list[float] | None, says("its 95 % confidence interval")]


class Step(Part):
    """One whole plan that was run on the choosing images."""

    predicted: Annotated[float, says("distortion by adding up")]
    distortion: float
    bytes: Annotated[float, says("of frames")]


class Candidate(Part):
    """One candidate."""

    codec: str
    config: Annotated[dict[str, Any], says("its settings")]
    step: Annotated[float, says("nominal step between reconstruction points, in steps of the calibrated 8-bit grid")]
    clip_ratio: Annotated[float, says("largest value of its grid, over that of the calibrated one")]
    shaped: Annotated[bool, says("whether channels have scales of their own, by their noise sensitivities")]
    path: Annotated[str, says("which of its ways the codec takes")]
    bytes: Annotated[float, says("measured, its share of the plan included")]
    parameter_bytes: int
    distortion_alone: Annotated[float, says("distortion to expect when only this map is stored")]
    measured: Annotated[
        bool,
        says(
            "whether that was measured: a measurement is drawn towards its estimate as far as the scatter among its "
            "images calls for"
        ),
    ]
    estimate: Annotated[
        float, says("distortion by noise sensitivities and the errors that are made in some of the maps")
    ]
    on_hull: Annotated[bool, says("whether it is a corner of the map's lower convex hull")]


class PlannedTap(Part):
    """One feature map."""

    name: str
    shape: list[int]
    raw_bytes: int
    choice: Candidate
    runner_up: Annotated[Candidate | None, says("the candidate that would come next")]
    candidates: Annotated[list[Candidate], says("largest first")]


class Planning(Part):
    """Report.

    Sizes are bytes of one image, means over images.
    """

    schema: Literal[1]
    kind: Literal["plan"]
    model: Annotated[str, says("as typed")]
    data: str
    budget: Budget
    met: Annotated[bool, says("whether the budget holds on the images that chose and on those that verify")]
    metric: Annotated[
        str,
        says(
            "what distortion is: `kl`, mean KL(float \\|\\| x) in nats; `noise`, squared error of the output over its "
            "energy, pooled"
        ),
    ]
    calibration_images: Annotated[int, says("all of them; they share the plan's bytes")]
    plan: PlanFile
    raw_bytes: Annotated[int, says("one byte a value")]
    choosing: Group
    verifying: Group
    back_offs: Annotated[int, says("plans that were verified before this one")]
    curve: Annotated[list[Step], says("fewest bytes first")]
    taps: Annotated[list[PlannedTap], says("in the order of the network")]
    notes: Annotated[list[str], says("what a reader should know")]
    protocol: Annotated[dict[str, Any], says("every option of the command")]
    environment: Environment
    seconds: Annotated[float, says("of the whole search")]
    task: Annotated[Task | None, says("with a budget in a metric")] = None


PLANNING = Document(title="The report of `fmapzip plan`", command="fmapzip plan", root=Planning)
