"""Metrics judge the float network and every other on the same images, with intervals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn

from fmapzip.cli.app import run
from fmapzip.errors import InvalidInput
from fmapzip.eval.metric_spec import parse_metric
from fmapzip.torch import evaluate
from fmapzip.torch.tasks import Metric, OfFunction, ready, whole_set
from fmapzip.torch.tasks.judge import compared
from fmapzip.torch.tasks.yolox import best_of_class, decoded, error_weights

RNG = np.random.default_rng(0)


class Dense(nn.Module):
    """Gives its image back, nearly, after two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 1, bias=False), nn.Conv2d(6, 3, 1, bias=False)
        with torch.no_grad():
            eye = torch.eye(3)
            self.first.weight.copy_(torch.cat([eye, eye])[..., None, None])
            self.second.weight.copy_(torch.cat([eye, eye], 1)[..., None, None] / 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


def images(count: int = 8) -> Tensor:
    return torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def judged(metric: Metric, targets: list[Any], codec: str = "zvc") -> Any:
    x = images(len(targets))
    return evaluate(Dense(), [(x[:3], targets[:3]), (x[3:], targets[3:])], [codec], calibration=[x], tasks=[metric])


def test_psnr_of_every_network_with_its_loss_against_the_float_one() -> None:
    x = images()
    found = judged(ready("psnr"), [image.numpy() * 0.9 for image in x])
    exact, coded = found.float_baseline.tasks[0], found.codecs[0].tasks[0]
    wanted = [10 * math.log10(1 / float((0.1 * image).square().mean())) for image in x]
    assert exact.value == pytest.approx(sum(wanted) / 8, rel=1e-4)
    assert exact.interval[0] < exact.value < exact.interval[1]
    assert (exact.loss, exact.loss_interval) == (None, None)
    assert coded.loss == pytest.approx(exact.value - coded.value)
    low, high = coded.loss_interval
    assert low <= coded.loss <= high
    assert high - low < 0.1 * (exact.interval[1] - exact.interval[0])  # paired
    assert found.int8_baseline.tasks[0].value == pytest.approx(coded.value)


def test_an_image_that_is_what_it_should_be_has_a_finite_psnr() -> None:
    assert ready("psnr").image(torch.zeros(3, 2, 2), np.zeros((3, 2, 2))) == {"PSNR": 100.0}


def test_accuracy_counts_the_best_one_and_the_best_five() -> None:
    scores = torch.arange(10.0)
    assert ready("top1").image(scores, 9) == {"top1": 100.0}
    assert [ready("top5").image(scores, i)["top5"] for i in (9, 5, 4)] == [100.0, 100.0, 0.0]
    for wrong in (None, 10, {"objects": []}):
        with pytest.raises(InvalidInput, match="class indexes"):
            ready("top1").image(scores, wrong)


def test_mean_iou_is_counted_over_all_images_and_leaves_out_what_is_unknown() -> None:
    metric = ready("miou")
    masks = [np.array([[0, 0], [1, 255]]), np.array([[1, 1], [1, 1]])]
    found = [torch.tensor([[0, 1], [1, 1]]), torch.tensor([[1, 1], [1, 2]])]
    scores = [nn.functional.one_hot(one, 3).permute(2, 0, 1).float() for one in found]
    figures = metric.figures(metric.units([metric.image(s, m) for s, m in zip(scores, masks, strict=True)]))
    assert figures["mIoU"] == pytest.approx(100 * (1 / 2 + 4 / 6 + 0) / 3)
    assert (
        metric.image(scores[0], np.zeros((4, 4), np.int64)).sum()
        == 16 + 16 + metric.image(scores[0], np.zeros((4, 4), np.int64))[0].sum()
    )
    with pytest.raises(InvalidInput, match="class 7 is not one of 3"):
        metric.image(scores[0], np.full((2, 2), 7))


def test_a_function_of_the_users_gives_numbers_for_each_image() -> None:
    def figures(output: Tensor, target: dict[str, float]) -> dict[str, float]:
        return {"mean": float(output.mean()), "error": -abs(float(output.mean()) - target["at"])}

    found = judged(OfFunction("figures", figures), [{"at": 0.5}] * 8)
    assert [each.figure for each in found.codecs[0].tasks] == ["mean", "error"]
    assert found.float_baseline.tasks[0].value == pytest.approx(float(images().mean()), abs=1e-3)


def test_a_function_may_see_all_outputs() -> None:
    @whole_set
    def largest(outputs: list[Tensor], targets: list[Any]) -> float:
        assert targets == [f"image {i}" for i in range(8)]
        return max(float(output.max()) for output in outputs)

    kept = [f"image {i}" for i in range(8)]
    metric = OfFunction("largest", largest)
    units = [metric.image(image, target) for image, target in zip(images(), kept, strict=True)]
    assert metric.figures(units) == {"largest": float(images().max())}


def test_what_a_users_function_raises_is_told_by_its_name() -> None:
    with pytest.raises(InvalidInput, match="--metric bad failed: ZeroDivisionError"):
        OfFunction("bad", lambda output, target: 1 / 0).image(None, None)
    with pytest.raises(InvalidInput, match="other figures"):
        OfFunction("odd", None).figures([{"a": 1.0}, {"b": 1.0}])  # type: ignore[arg-type]


def test_intervals_hold_what_they_are_said_to_and_do_not_change() -> None:
    metric = OfFunction("mean", lambda output, target: float(output))
    inside = 0
    for seed in range(100):
        values = np.random.default_rng(seed).normal(size=60)
        kept = [metric.image(value, None) for value in values]
        (found,), _ = compared(metric, [kept, kept])
        assert found.interval is not None
        inside += found.interval[0] < 0 < found.interval[1]
        if not seed:
            assert compared(metric, [kept, kept])[0][0] == found
    assert 88 <= inside <= 99


def test_metrics_are_named_as_they_are_written() -> None:
    assert parse_metric("top5").name == "top5"
    for spec, message in (
        ("map", "there is no metric 'map'; there are top1"),
        ("psnr:top=1", "psnr"),
        ("a.py:f", "no such file"),
    ):
        with pytest.raises(InvalidInput, match=message):
            parse_metric(spec)


class TestDetection:
    """Against pycocotools run in the usual way, and by hand."""

    def target(self, boxes: list[list[float]], categories: list[int], **changes: Any) -> dict[str, Any]:
        objects = [
            {"category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for b, c in zip(boxes, categories, strict=True)
        ]
        return {
            "image_id": 5, "height": 100, "width": 200, "objects": objects, "categories": [3, 7],
            "scale": (0.5, 0.5), "offset": (0.0, 0.0), **changes,
        }  # fmt: skip

    def test_boxes_that_are_right_have_a_precision_of_100(self) -> None:
        pytest.importorskip("pycocotools")
        metric = ready("coco_map")
        output = {
            "boxes": torch.tensor([[5.0, 10, 15, 30]]),
            "scores": torch.tensor([0.9]),
            "labels": torch.tensor([7]),
        }
        kept = [metric.image(output, self.target([[10, 20, 20, 40]], [7]))]
        np.testing.assert_allclose(kept[0][0], [[10, 20, 20, 40, 0.9, 7]], rtol=1e-6)
        assert metric.figures(metric.units(kept)) == pytest.approx({"mAP": 100.0, "mAP50": 100.0})
        kept.append(metric.image(output, self.target([[100, 20, 20, 40]], [7])))
        assert metric.figures(metric.units(kept))["mAP50"] < 60

    def test_figures_are_those_of_pycocotools(self) -> None:
        pytest.importorskip("pycocotools")
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        metric, kept, truth, found = ready("coco_map"), [], [], []
        for image in range(12):
            boxes = np.concatenate([RNG.uniform(0, 60, (5, 2)), RNG.uniform(10, 40, (5, 2))], 1)
            labels = RNG.choice([3, 7], 5)
            moved = boxes + RNG.normal(0, 2, boxes.shape)
            scores = RNG.uniform(0.1, 1, 5)
            corners = np.concatenate([moved[:, :2], moved[:, :2] + moved[:, 2:]], 1).clip(0, [200, 100, 200, 100])
            output = {
                "boxes": torch.tensor(corners * 0.5), "scores": torch.tensor(scores), "labels": torch.tensor(labels),
            }  # fmt: skip
            kept.append(metric.image(output, self.target(boxes.tolist(), labels.tolist())))
            for box, label, seen, score in zip(boxes, labels, corners, scores, strict=True):
                area = float(box[2] * box[3])
                entry = {"image_id": image, "category_id": int(label), "bbox": box.tolist(), "iscrowd": 0, "area": area}
                truth.append({**entry, "id": len(truth) + 1})
                size = [seen[0], seen[1], seen[2] - seen[0], seen[3] - seen[1]]
                found.append({"image_id": image, "category_id": int(label), "bbox": size, "score": float(score)})
        coco = COCO()
        names = [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}]
        coco.dataset = {"info": {}, "images": [{"id": i} for i in range(12)], "categories": names, "annotations": truth}
        coco.createIndex()
        usual = COCOeval(coco, coco.loadRes(found), "bbox")
        usual.evaluate()
        usual.accumulate()
        usual.summarize()
        figures = metric.figures(metric.units(kept))
        assert figures["mAP"] == pytest.approx(100 * usual.stats[0])
        assert figures["mAP50"] == pytest.approx(100 * usual.stats[1])
        (interval,) = {each.interval for each in compared(metric, [kept])[0] if each.figure == "mAP"}
        assert interval is not None
        assert interval[0] < figures["mAP"] < interval[1]

    def test_data_without_annotations_is_refused(self) -> None:
        pytest.importorskip("pycocotools")
        with pytest.raises(InvalidInput, match=r"annotations\.json"):
            ready("coco_map").image({}, 3)
        with pytest.raises(InvalidInput, match="function of --preprocess"):
            ready("coco_map").image({}, self.target([], [], scale=None))
        with pytest.raises(InvalidInput, match="not YOLOX's"):
            ready("coco_map").image(torch.zeros(21, 4), self.target([], []))


def test_yolox_boxes_are_decoded_from_their_cells() -> None:
    output = torch.zeros(21 * 4, 5 + 2)  # a square of 64 pixels: 64, 16 and 4 cells
    output[64 + 5] = torch.tensor([0.5, 0.25, math.log(2), math.log(1), 0.8, 0.1, 0.5])  # row 1, column 1 of stride 16
    boxes, scores, classes = decoded(output)
    np.testing.assert_allclose(boxes[0], [24 - 16, 20 - 8, 24 + 16, 20 + 8], rtol=1e-5)
    assert (scores.tolist(), classes.tolist()) == (pytest.approx([0.4, 0.08]), [1, 0])


def test_errors_of_yolox_boxes_count_by_their_scores_and_in_their_size() -> None:
    output = torch.zeros(21, 5 + 2)
    output[3] = torch.tensor([0.5, 0.25, math.log(2), math.log(4), 0.8, 0.1, 0.5])
    weights = error_weights(output)
    assert weights[3].tolist() == pytest.approx([0.4 / 4, 0.4 / 16, 0.4, 0.4, 0.1**2 + 0.5**2, 0.8**2, 0.8**2])
    assert weights[:3].abs().sum() == 0
    for value in (4, 5, 6):  # one error alone: what it makes of the scores
        error = torch.zeros_like(output)
        error[3, value] = 1e-2
        moved = output + error
        change = moved[:, 5:] * moved[:, 4:5] - output[:, 5:] * output[:, 4:5]
        assert float(change.square().sum()) == pytest.approx(float((weights * error.square()).sum()), rel=1e-4)


def test_of_boxes_that_overlap_the_best_of_its_class_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 5], [0, 0, 10, 10]])
    kept = best_of_class(boxes, torch.tensor([0.5, 0.9, 0.3, 0.2]), torch.tensor([0, 0, 0, 1]))
    assert kept.tolist() == [1, 2, 3]


def test_eval_shows_what_metrics_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text("def best(output, target):\n    return float(output.max())\n")
    words = ["eval", "demo", "demo", "--limit", "10", "--codec", "zvc", "--taps", "stages.0.*"]
    words += ["--metric", "top1", "--metric", f"{tmp_path / 'mine.py'}:best", "--json", str(tmp_path / "r.json")]
    assert run(words) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    found = report["codecs"][0]["tasks"]
    assert [(each["metric"], each["figure"]) for each in found] == [("top1", "top1"), ("best", "best")]
    assert report["baselines"]["float"]["tasks"][0]["value"] == pytest.approx(
        100 * report["baselines"]["float"]["top1"]
    )
    assert found[0]["loss"] == 0
    shown = capsys.readouterr().out
    assert "95 % interval" in shown
    assert "best" in shown
