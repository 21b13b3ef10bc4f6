"""Each output of a network is compared for itself; the total is by the rule in fmapzip.torch.outputs."""

from __future__ import annotations

from math import log10
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn

from fmapzip.planner import Budget, make_plan
from fmapzip.planner.measure.distortion import Reference
from fmapzip.planner.measure.sensitivities import noise_sensitivities
from fmapzip.torch import capture, evaluate
from fmapzip.torch.outputs import judged_outputs, named_outputs, of_image
from fmapzip.torch.results import CodecResult


class Heads(nn.Module):
    """Two scales of one body, of very different magnitude."""

    def __init__(self, form: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.small, self.large = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 4, 1, stride=2)

    def forward(self, x: Tensor) -> Any:
        x = self.body(x)
        small, large = self.small(x), 1000 * self.large(x)
        return {
            "tuple": (small, large),
            "dict": {"scales": [small, large]},
            "main": {"aux": large, "out": small},
            "alone": small,
            "list": [{"boxes": each} for each in small],
        }[self.form]


IMAGES = torch.rand(6, 3, 10, 10, generator=torch.Generator().manual_seed(1))


def evaluated(form: str) -> CodecResult:
    return evaluate(Heads(form), [IMAGES[:4], IMAGES[4:]], ["zvc"], calibration=[IMAGES]).codecs[0]


@pytest.mark.parametrize(("form", "names"), [("tuple", ["0", "1"]), ("dict", ["scales.0", "scales.1"])])
def test_several_outputs_are_reported_by_name_and_count_the_same(form: str, names: list[str]) -> None:
    found = evaluated(form)
    assert [(each.name, each.judged) for each in found.outputs] == [(name, True) for name in names]
    shares = [10 ** (-each.sqnr_db / 10) for each in found.outputs if each.sqnr_db is not None]
    assert found.output_sqnr_db == pytest.approx(-10 * log10(sum(shares) / 2))
    assert evaluated("alone").output_sqnr_db == pytest.approx(found.outputs[0].sqnr_db)


def test_the_output_that_a_mapping_calls_out_counts_alone() -> None:
    found = evaluated("main")
    assert [(each.name, each.judged) for each in found.outputs] == [("aux", False), ("out", True)]
    assert found.output_sqnr_db == found.outputs[1].sqnr_db


def test_a_network_with_one_output_has_no_list_of_them() -> None:
    assert evaluated("alone").outputs == ()


def test_what_is_found_in_each_image_is_not_compared_as_tensors() -> None:
    found = evaluated("list")
    assert (found.output_sqnr_db, found.outputs) == (None, ())


def test_class_scores_beside_features_are_judged_by_their_divergence_each() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.first, self.second = nn.Linear(8, 5), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.body(x)
            return self.first(x), self.second(x)

    found = evaluate(Two(), [IMAGES], ["zvc"], calibration=[IMAGES], metrics="classes").codecs[0]
    assert [each.name for each in found.outputs] == ["0", "1"]
    assert found.outputs[0].kl_vs_float == pytest.approx(found.kl_vs_float)
    assert found.outputs[1].kl_vs_float is not None


def test_only_float_tensors_with_a_row_an_image_are_named() -> None:
    output = {"a": torch.zeros(2, 3), "b": [torch.zeros(3), torch.zeros(2)], "n": torch.zeros(2, dtype=torch.int64)}
    assert list(named_outputs(output, 2)) == ["a", "b.1"]
    assert list(judged_outputs({"logits": torch.zeros(2, 3), "x": torch.zeros(2)}, 2)) == ["logits"]
    assert of_image(output, 0, 2)["b"][0].shape == (3,)


def test_planning_weighs_outputs_the_same_in_noise_and_in_sensitivities() -> None:
    net = Heads("tuple").eval()
    with torch.no_grad():
        small, large = net(IMAGES)
    reference = Reference(((small, large),), "noise")
    for scale, output in ((0, small), (1, large)):
        other = [small, large]
        other[scale] = output * 1.1
        moved = torch.cat([x.flatten(1) for x in other], 1)
        assert sum(reference.distortions(0, moved)) / 6 == pytest.approx(0.01 / 2, rel=1e-4)
    captured = capture(net, IMAGES[:1])
    tap = captured.taps[0]
    estimate = noise_sensitivities(captured, [tap], [IMAGES], "noise", 200, 0, reference.weights)[tap.name]
    noise = 1e-3 * torch.randn(6, *tap.shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        maps = net.body(IMAGES) + noise
        moved = torch.cat([net.small(maps).flatten(1), 1000 * net.large(maps).flatten(1)], 1)
    wanted = sum(reference.distortions(0, moved))
    found = float((noise.double().square().sum((2, 3)) @ torch.from_numpy(estimate)).sum())
    assert found == pytest.approx(wanted, rel=0.3)


def test_a_network_of_several_outputs_is_planned() -> None:
    found = make_plan(Heads("dict"), [IMAGES], Budget("sqnr", 25), codecs=["context-rans"], time_limit=0)
    assert found.met
    assert found.metric == "noise"
