"""Planning small networks: budgets, verification, determinism, interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput
from fmapzip.planner import Budget, Planned, make_plan
from fmapzip.planner.measure import speed
from fmapzip.planner.measure.images import divide, gather
from fmapzip.torch import evaluate
from fmapzip.torch.batches import Batches as TorchBatches

Batches = list[tuple[Tensor, Tensor]]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(144, 10)).eval()


@pytest.fixture(scope="module")
def images(network: nn.Module) -> Batches:
    torch.manual_seed(1)
    x = torch.nn.functional.avg_pool2d(torch.randn(24, 3, 34, 34), 3, 1) * 2
    with torch.no_grad():
        y = network(x * 2).argmax(1)
    return [(x[i : i + 8], y[i : i + 8]) for i in range(0, 24, 8)]


def _plan(network: nn.Module, images: Batches, budget: Budget, **settings: Any) -> Planned:
    return make_plan(network, images, budget, codecs=["context-rans"], **settings)


def test_a_budget_of_zero_gives_a_lossless_plan(network: nn.Module, images: Batches) -> None:
    for kind in ("kl", "drop"):
        found = make_plan(network, images, Budget(kind, 0))  # type: ignore[arg-type]
        assert found.met
        result = evaluate(network, images, [found.plan]).codecs[0]
        assert result.kl_vs_int8 == 0
        assert result.ratio_payload > 1


def test_more_distortion_allowed_saves_more_and_the_promise_holds(network: nn.Module, images: Batches) -> None:
    limits = (0.0001, 0.001, 0.01)
    found = [_plan(network, images, Budget("kl", limit)) for limit in limits]
    assert all(each.met for each in found)
    for limit, each in zip(limits, found, strict=True):
        assert each.verifying.outcome.distortion <= limit
        assert each.choosing.outcome.distortion <= limit
    sizes = [each.verifying.outcome.bytes for each in found]
    assert sizes == sorted(sizes, reverse=True)


def test_what_the_plan_promises_is_what_evaluate_measures(network: nn.Module, images: Batches) -> None:
    found = _plan(network, images, Budget("kl", 0.001))
    result = evaluate(network, images, [found.plan], metrics="classes").codecs[0]
    both = [*found.choosing.outcome.distortions, *found.verifying.outcome.distortions]
    assert result.kl_vs_float == pytest.approx(sum(both) / len(both))


def test_a_size_is_kept_to(network: nn.Module, images: Batches) -> None:
    ratio = _plan(network, images, Budget("ratio", 4))
    assert ratio.met
    assert ratio.ratio() >= 4
    size = _plan(network, images, Budget("bytes", ratio.raw_bytes / 3))
    assert size.met
    assert size.choosing.outcome.distortion < ratio.choosing.outcome.distortion


def test_an_output_that_is_no_class_scores_is_planned_by_its_sqnr(network: nn.Module, images: Batches) -> None:
    trunk = network[:4]
    inputs = [x for x, _ in images]
    found = _plan(trunk, inputs, Budget("sqnr", 30))  # type: ignore[arg-type]
    assert found.met
    measured = evaluate(trunk, inputs, [found.plan]).codecs[0].output_sqnr_db
    assert measured is not None
    assert measured >= 30
    with pytest.raises(InvalidInput, match="class scores"):
        _plan(trunk, inputs, Budget("kl", 0.1))  # type: ignore[arg-type]


def test_a_budget_that_cannot_be_met_gives_the_nearest_plan(network: nn.Module, images: Batches) -> None:
    found = _plan(network, images, Budget("kl", 1e-12))
    assert not found.met
    assert found.verifying.outcome.distortion < 1e-3
    assert not _plan(network, images, Budget("bytes", 100)).met


def test_a_drop_is_planned_by_what_the_float_network_expects(network: nn.Module, images: Batches) -> None:
    found = _plan(network, images, Budget("drop", 1))
    assert found.met
    for group in (found.choosing, found.verifying):
        assert group.expected_drop is not None
        assert group.expected_drop <= 0.01
        assert group.drop is not None
        lost, low, high = group.drop
        assert low <= lost <= high


def test_choosing_and_verifying_images_are_all_the_calibration_images_once(images: Batches) -> None:
    every = gather(TorchBatches(images, "images"))
    choosing, verifying = divide(every)
    assert (len(choosing), len(verifying)) == (18, 6)
    both = torch.cat([*choosing.batches, *verifying.batches])
    whole = torch.cat([x for x, _ in images])
    assert sorted(both.flatten(1).sum(1).tolist()) == sorted(whole.flatten(1).sum(1).tolist())
    assert len(gather(TorchBatches(images, "images"), 5)) == 5
    with pytest.raises(InvalidInput, match="at least 2"):
        divide(every.some(1))


def test_the_same_seed_gives_the_same_plan(network: nn.Module, images: Batches) -> None:
    first, second = (_plan(network, images, Budget("kl", 0.001), seed=3) for _ in range(2))
    assert first.plan == second.plan


def test_an_interrupted_search_goes_on_to_the_same_plan(network: nn.Module, images: Batches, tmp_path: Path) -> None:
    whole = _plan(network, images, Budget("kl", 0.001), state=tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines()

    class Interrupt(Exception):
        pass

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "measuring distortion" and done > 1:
            raise Interrupt

    with pytest.raises(Interrupt):
        _plan(network, images, Budget("kl", 0.001), state=tmp_path / "state", progress=interrupt)
    assert 1 < len((tmp_path / "state").read_text().splitlines()) < len(lines)
    again = _plan(network, images, Budget("kl", 0.001), state=tmp_path / "state")
    assert again.plan == whole.plan


def test_training_that_was_interrupted_goes_on_from_the_maps_that_were_done(
    network: nn.Module, images: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"codecs": [ContextRans(level="max")], "state": tmp_path / "state"}
    trained = []
    train = ContextRans.train_values
    monkeypatch.setattr(ContextRans, "train_values", lambda codec, *maps: trained.append(codec) or train(codec, *maps))

    class Interrupt(Exception):
        pass

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "training context-rans" and done == 1:
            raise Interrupt

    with pytest.raises(Interrupt):
        make_plan(network, images, Budget("kl", 0), progress=interrupt, **settings)
    done = len(trained)
    found = make_plan(network, images, Budget("kl", 0), **settings)
    assert [codec.level for codec in trained[done:]].count("max") == len(found.plan) - 1
    assert make_plan(network, images, Budget("kl", 0), codecs=settings["codecs"]).plan == found.plan


def test_after_the_time_limit_few_candidates_and_estimates_are_left(network: nn.Module, images: Batches) -> None:
    found = _plan(network, images, Budget("kl", 0.001), time_limit=0)
    assert found.met
    assert not any(options.measured for options in found.candidate_sets)
    whole = _plan(network, images, Budget("kl", 0.001))
    assert all(options.measured for options in whole.candidate_sets)
    for hasty, careful in zip(found.candidate_sets, whole.candidate_sets, strict=True):
        assert len(hasty.candidates) <= len(careful.candidates) / 2


def test_a_slow_level_is_searched_in_draft_and_makes_the_same_values(network: nn.Module, images: Batches) -> None:
    draft, slow, both = (
        make_plan(network, images, Budget("kl", 0.01), codecs=codecs)
        for codecs in (["context-rans"], [ContextRans(level="max")], [ContextRans(), ContextRans(level="max")])
    )
    assert {tap.codec.level for tap in slow.plan} == {"max"}
    for plan in (slow.plan, both.plan):
        assert [tap.quantizer for tap in plan] == [tap.quantizer for tap in draft.plan]
        assert [tap.codec.draft() for tap in plan] == [tap.codec for tap in draft.plan]
    assert slow.verifying.outcome.distortions == draft.verifying.outcome.distortions
    for options, chosen in zip(both.candidate_sets, both.chosen, strict=True):
        of_both = [c for c in options.candidates if c.codec.draft() == chosen.codec.draft() and c.step == chosen.step]
        assert options.size(chosen) == min(options.size(c) for c in of_both if c.quantizer == chosen.quantizer)


def test_a_level_that_decodes_too_slowly_is_left_out(
    network: nn.Module, images: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {"default": 500.0, "max": 100.0, "ultra": 50.0}
    monkeypatch.setattr(speed, "_decode_speed", lambda codec, *_: speeds[codec.level])
    codecs = [ContextRans(), ContextRans(level="max"), ContextRans(level="ultra")]
    for budget in (Budget("kl", 0), Budget("kl", 0.01)):
        found = make_plan(network, images, budget, codecs=codecs, min_decode=200)
        assert {tap.codec.level for tap in found.plan} == {"default"}
        for level in ("max", "ultra"):
            assert any(f"level='{level}'" in note and "is left out" in note for note in found.notes)


def test_maps_of_a_level_that_would_weigh_too_much_fall_back_and_the_plan_says_so(
    network: nn.Module, images: Batches
) -> None:
    found = make_plan(network, images, Budget("kl", 0), codecs=[ContextRans(level="ultra")], taps="6")
    [tap] = found.plan
    assert tap.codec.level == "ultra"
    assert tap.codec.made_of(tap.parameters).level == "default"  # 24 images of 144 values
    assert [note for note in found.notes if "level=ultra: 1 of 1 maps has level=default: a plan may take 1 %" in note]


def test_only_the_asked_for_taps_and_codecs_are_planned(network: nn.Module, images: Batches) -> None:
    found = make_plan(network, images, Budget("kl", 0.01), codecs=["zvc"], taps="2", validation=images[:1])
    assert [tap.name for tap in found.plan] == ["2"]
    assert found.plan[0].codec.id == "zvc"
    assert found.plan.metadata["skipped"] == ["6"]
    assert len(found.verifying.outcome.distortions) == 8
