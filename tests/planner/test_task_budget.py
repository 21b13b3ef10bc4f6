"""A budget in a metric: distortion is planned, and as much of it allowed as the metric allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput
from fmapzip.planner import Budget, Planned, make_plan
from fmapzip.planner.budget import one_of
from fmapzip.planner.measure.distortion import reference
from fmapzip.planner.measure.images import gather
from fmapzip.torch import evaluate
from fmapzip.torch.batches import Batches
from fmapzip.torch.capture import capture
from fmapzip.torch.tasks import OF_FIGURE, Metric, OfFunction, ready


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 16, 3), nn.ReLU(), nn.Conv2d(16, 3, 1)).eval()


IMAGES = nn.functional.avg_pool2d(torch.randn(16, 3, 22, 22, generator=torch.Generator().manual_seed(1)), 3, 1) * 2


def batches() -> list[tuple[Tensor, list[Any]]]:
    """Each image with the float network's output, and some noise, as target."""
    with torch.no_grad():
        wanted = network()(IMAGES)
    wanted = wanted + 0.05 * torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2))
    return [(IMAGES[i : i + 8], list(wanted[i : i + 8])) for i in (0, 8)]


def near() -> Metric:
    """Minus a decibel for every decibel of error."""
    return OfFunction("near", lambda output, target: {"dB": -10 * float((output - target).square().mean().log10())})


def planned(loss: float, **settings: Any) -> Planned:
    return make_plan(network(), batches(), Budget("task", loss, "dB"), codecs=["context-rans"], task=near(), **settings)


def test_a_plan_loses_no_more_than_it_may_and_spends_most_of_it() -> None:
    sizes = []
    for loss in (0.2, 3.0):
        found = planned(loss, time_limit=0)
        assert found.met
        assert found.task is not None
        assert found.task.loss is not None
        assert 0.1 * loss < found.task.loss <= loss
        measured = evaluate(network(), batches(), [found.plan], tasks=[near()]).codecs[0].tasks[0]
        assert measured.loss == pytest.approx(found.task.loss, rel=1e-3)
        assert measured.loss_interval == pytest.approx(found.task.loss_interval, rel=0.3)
        sizes.append(found.verifying.outcome.bytes)
    assert sizes[1] < 0.8 * sizes[0]


def test_more_is_spent_where_eight_bits_alone_exceed_what_the_search_starts_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fmapzip.planner import session

    monkeypatch.setitem(session._STARTS, "noise", Budget("sqnr", 90))
    found = planned(3.0, time_limit=0)
    assert found.met
    assert found.task is not None
    assert found.task.loss is not None
    assert 0.3 < found.task.loss <= 3


def test_a_level_that_is_planned_by_its_draft_is_judged_by_the_metric() -> None:
    codecs = [ContextRans(level="max")]
    found = make_plan(network(), batches(), Budget("task", 3.0, "dB"), codecs=codecs, task=near(), time_limit=0)
    assert found.task is not None
    assert found.task.loss is not None
    assert found.task.loss <= 3
    assert found.met
    assert {tap.codec.level for tap in found.plan if isinstance(tap.codec, ContextRans)} == {"max"}


class LeftHalf(OfFunction):
    """Sees the left half of an output."""

    weighs_errors = True

    def error_weights(self, output: Any) -> Tensor:
        weights = torch.zeros_like(output)
        weights[..., : output.shape[-1] // 2] = 1
        return weights


def test_distortion_is_measured_where_the_metric_looks() -> None:
    captured = capture(network(), IMAGES[:1])
    images = gather(Batches(batches(), "images"))
    metric = LeftHalf("left", lambda output, target: 0.0)
    seen, whole = (reference(captured, images, "noise", task) for task in (metric, None))
    output = torch.cat([each[0] for each in whole.outputs])
    half = output.shape[-1] // 2
    right, left = output.clone(), output.clone()
    right[..., half:] += 1
    left[..., :half] *= 1.1
    assert sum(seen.distortions(0, right)) == 0
    assert sum(seen.distortions(0, left)) / len(output) == pytest.approx(0.01, rel=1e-4)
    assert sum(whole.distortions(0, right)) > 0


def test_a_loss_that_cannot_be_kept_to_is_told_with_the_nearest_plan() -> None:
    # The last bits of a float network hang on the batch size; a quantised map moves the output by far more.
    exact = OfFunction("exact", lambda output, target: float(torch.allclose(output, target, atol=1e-4)))
    with torch.no_grad():
        images = [(IMAGES, list(network()(IMAGES)))]
    found = make_plan(network(), images, Budget("task", 0.5, "exact"), codecs=["zvc"], task=exact, time_limit=0)
    assert not found.met
    assert found.task is not None
    assert (found.task.value, found.task.loss) == (0, 1)


def test_a_budget_in_a_metric_needs_one_that_has_the_figure() -> None:
    with pytest.raises(InvalidInput, match="needs task="):
        make_plan(network(), batches(), Budget("task", 1, "dB"))
    with pytest.raises(InvalidInput, match="no figure 'mAP'; it has dB"):
        make_plan(network(), batches(), Budget("task", 1, "mAP"), codecs=["context-rans"], task=near(), time_limit=0)
    with pytest.raises(InvalidInput, match="a figure goes with"):
        Budget("kl", 1, "dB")


def test_the_budget_is_written_as_figure_and_loss() -> None:
    assert one_of(None, None, None, None, None, "mAP=0.5") == Budget("task", 0.5, "mAP")
    for text, message in (("mAP", "expected FIGURE=LOSS"), ("mAP=x", "expected FIGURE=LOSS"), ("mAP=-1", "at least 0")):
        with pytest.raises(InvalidInput, match=message):
            one_of(None, None, None, None, None, text)
    with pytest.raises(InvalidInput, match="one budget"):
        one_of(0.1, None, None, None, None, "mAP=0.5")


def test_figures_of_ready_metrics_are_known_by_name() -> None:
    top = ready("top1")
    assert list(top.image(torch.arange(3.0), 1)) == ["top1"]
    assert {name: OF_FIGURE[name] for name in ("top5", "mAP50", "PSNR", "mIoU")} == {
        "top5": "top5", "mAP50": "coco_map", "PSNR": "psnr", "mIoU": "miou",
    }  # fmt: skip


def test_plan_by_a_metric_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        "demo",
        "demo",
        "--limit",
        "60",
        "--codec",
        "context-rans",
        "--taps",
        "stages.0.*",
        "--time-limit",
        "0",
    ]
    words += ["-o", str(tmp_path / "p.fmzp"), "--json", str(tmp_path / "r.json")]
    assert run([*words, "--max-metric-loss", "top1=10"]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["budget"] == {
        "kind": "task",
        "value": 10,
        "words": "at most 10 of top1 lost against the float network",
    }
    assert report["task"]["loss"] <= 10
    assert report["task"]["images"] == 12
    assert "top1" in capsys.readouterr().out
    assert run([*words, "--max-metric-loss", "fit=1"]) == 3
    assert "say which --metric" in capsys.readouterr().err
    assert run([*words, "--max-kl", "1", "--metric", "top1"]) == 3
