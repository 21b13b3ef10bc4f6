"""The planner's parts: allocation, partial runs, noise sensitivities and estimates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip import registry
from fmapzip.codecs.dct_cm_frequencies import worth_keeping
from fmapzip.errors import InvalidInput
from fmapzip.planner.allocate.hull import Allocation, Point, allocations, lower_hull
from fmapzip.planner.allocate.search import least_distortion, most_saving
from fmapzip.planner.budget import Budget, one_of
from fmapzip.planner.candidate import Candidate
from fmapzip.planner.candidates.candidate_set import CandidateSet
from fmapzip.planner.candidates.expected import learn
from fmapzip.planner.candidates.tap_model import TapModel
from fmapzip.planner.measure.evaluator import Outcome, drop_interval
from fmapzip.planner.measure.rate import Rate
from fmapzip.planner.measure.replay import replay
from fmapzip.planner.measure.sensitivities import noise_sensitivities
from fmapzip.planner.verify.verify import verified
from fmapzip.quantize import QuantParams, calibrate
from fmapzip.torch.capture import Tap, capture

_points = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=8)


@given(_points)
def test_no_point_lies_below_the_lower_hull(raw: list[tuple[int, int]]) -> None:
    points = [Point(size, distortion, i) for i, (size, distortion) in enumerate(raw)]
    hull = lower_hull(points)
    sizes = np.interp([p.distortion for p in points], [p.distortion for p in hull], [p.size for p in hull])
    assert all(point.size >= size - 1e-9 for point, size in zip(points, sizes, strict=True))


@given(st.lists(_points, min_size=1, max_size=4))
def test_allocations_go_from_least_distortion_to_least_size_changing_one_map_at_a_time(
    raw: list[list[tuple[int, int]]],
) -> None:
    maps = [[Point(size, distortion, i) for i, (size, distortion) in enumerate(each)] for each in raw]
    path = allocations(maps)
    assert path[0].distortion == sum(min(p.distortion for p in points) for points in maps)
    assert path[-1].size == sum(min(p.size for p in points) for points in maps)
    for before, after in pairwise(path):
        assert sum(a != b for a, b in zip(before.places, after.places, strict=True)) == 1
        assert after.size < before.size
        assert after.distortion > before.distortion


def test_search_finds_the_last_allocation_within_the_limit_where_distortions_do_not_add_up() -> None:
    path = [Allocation((i,), 100 - i, float(i)) for i in range(100)]
    measured: list[int] = []

    def measure(step: Allocation) -> float:
        measured.append(step.places[0])
        return 3 * step.distortion + 0.01 * step.distortion**2

    assert most_saving(path, 100, measure) == 30
    assert len(measured) < 12
    assert most_saving(path, -1, measure) is None
    assert least_distortion(path, 60) == 40
    assert least_distortion(path, 0) is None


def test_exactly_one_budget_is_asked_for() -> None:
    assert one_of(None, None, 30.0, None, None) == Budget("sqnr", 30.0)
    for given_budgets in ((None,) * 5, (0.1, 1.0, None, None, None), (-1.0, None, None, None, None)):
        with pytest.raises(InvalidInput):
            one_of(*given_budgets)
    assert Budget("kl", 0).lossless
    assert not Budget("sqnr", 0).lossless


class _InPlace(nn.Module):
    """Writes in place into what was computed before a tap."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        z = self.second(torch.relu(y))
        y += z
        return self.third(y.relu_().mean((2, 3)))


@pytest.mark.parametrize("methods", [("fx",), ("export",), ("hooks",)])
def test_finishing_from_a_map_gives_what_a_whole_run_gives_again_and_again(methods: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model, images = _InPlace().eval(), torch.randn(4, 3, 6, 6)
    captured = capture(model, images[:1], methods)
    with torch.inference_mode():
        expected = captured.module(images)
        stops = 0
        for stop in replay(captured, images, {tap.name: lambda x: x for tap in captured.taps}):
            for _ in range(2):
                torch.testing.assert_close(stop.finish(stop.value), expected)
            assert not torch.equal(stop.finish(stop.value * 0), expected)
            stops += 1
    assert stops == len(captured.taps) == 2


def test_noise_gains_of_a_linear_network_are_its_squared_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 1), nn.Flatten(2), nn.Linear(9, 9, bias=False)).eval()
    captured = capture(model, torch.randn(1, 1, 3, 3))
    sensitivities = noise_sensitivities(captured, captured.taps, [torch.randn(64, 1, 3, 3)], "noise", 64, 0)
    tap = captured.taps[0]
    expected = float(model[2].weight.detach().square().sum()) / 9
    assert sensitivities[tap.name].mean() == pytest.approx(expected, rel=0.05)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("step", [1, 2, "5/2", 5])
@pytest.mark.parametrize("signed", [False, True])
def test_estimated_noise_is_what_the_codec_makes(step: int | str, signed: bool) -> None:
    rng = np.random.default_rng(0)
    maps = rng.laplace(0, 1, (8, 4, 12, 12)).astype(np.float32)
    maps = maps if signed else np.maximum(maps, 0)
    base = calibrate(maps)
    sensitivities = np.array([1.0, 2.0, 0.5, 1.0])
    codec = registry.make("context-rans", step=step)
    q = base.quantize(maps, 1)
    from fmapzip.plan import Plan, TapPlan

    plan = Plan((TapPlan("tap", (4, 12, 12), base, codec, codec.train(q)),))
    import fmapzip

    decoded = fmapzip.decode_batch(fmapzip.encode_batch(q, plan=plan, tap="tap"), plan=plan)
    noise = (base.dequantize(decoded, 1) - maps) ** 2
    made = float((noise.sum((2, 3)).mean(0) * sensitivities).sum())
    assert TapModel(maps, base, sensitivities).distortion(base, codec) == pytest.approx(made, rel=1e-4)


def test_finer_grids_cut_nothing_off_below_a_zero_point() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 6, 40, 1)).astype(np.float32) * np.array([1, 2, 4, 9, 20, 40], np.float32)[:, None, None]
    maps = x / (1 + np.exp(-x))
    base = calibrate(maps, "minmax:offset")
    assert base.zero_point == 16
    model = TapModel(maps, base, np.array([100.0, 10.0, 1.0, 1.0, 1.0, 1.0]))
    for least in (1.0, 0.5):
        grid = model.grid(0.5, True, least)
        error = np.abs(grid.dequantize(grid.quantize(maps, 1), 1) - maps).max(axis=(0, 2, 3), where=maps < 0, initial=0)
        assert (error <= np.array(grid.scale) * 0.501).all()
    cut = model.grid(0.5, True, 0.5)
    assert (cut.dequantize(cut.quantize(maps, 1), 1).max(axis=(0, 2, 3)) >= 0.499 * maps.max(axis=(0, 2, 3))).all()


def test_a_channel_of_small_values_that_much_hangs_on_gets_a_grid_that_just_holds_it() -> None:
    rng = np.random.default_rng(1)
    reach = np.array([1, 40, 40, 40], np.float32)
    maps = np.maximum(rng.normal(size=(2, 4, 40, 5)).astype(np.float32) * reach[:, None, None], 0)
    base = calibrate(maps, "minmax")
    model = TapModel(maps, base, np.array([1e6, 1.0, 1.0, 1.0]))
    grid = model.grid(1.0, True, 1.0)
    least = grid.dequantize(grid.quantize(maps, 1), 1).max(axis=(0, 2, 3))
    assert least == pytest.approx(maps.max(axis=(0, 2, 3)), rel=0.01)
    assert grid.scale[0] < base.scale[0] / 20
    assert grid.scale[1:] == (4 * base.scale[0],) * 3


def test_measurements_of_few_images_yield_to_estimates_and_many_do_not() -> None:
    rng = np.random.default_rng(0)
    few = rng.exponential(size=(20, 16))
    right = np.log(_learnt(np.ones(20), np.ones(20), few))
    assert right.std() < np.log(few.mean(1)).std() / 2
    truth = np.array([1.0, 3.0, 1.0, 1 / 3] * 5)
    wavering = rng.exponential(size=4000)  # images that all maps suffer on
    many = wavering * (1 + 0.1 * rng.normal(size=(20, 4000)))
    assert _learnt(truth, np.ones(20), many) == pytest.approx(truth * wavering.mean(), rel=0.02)


def _learnt(truth: NDArray[Any], estimates: NDArray[Any], noise: NDArray[Any]) -> list[float]:
    """What sets of one candidate each expect, told distortions of images that scatter about the truth."""
    codec, quantizer = registry.make("context-rans", step=2), QuantParams("uint8", (1.0,))
    sets = []
    for name, estimate in enumerate(estimates):
        tap = Tap(str(name), (1, 2, 2), ())
        candidate = Candidate(quantizer, codec, step=2.0)
        sets.append(CandidateSet(tap, 10))
        sets[-1].add(candidate, Rate(1.0, candidate.planned(tap, b"")), estimate)
    distortions = {
        options.tap.name: {options.candidates[0].distortion_key: list(true * row)}
        for options, true, row in zip(sets, truth, noise, strict=True)
    }
    learn(sets, distortions)
    return [options.distortion(options.candidates[0]) for options in sets]


def test_frequencies_that_are_all_but_nothing_are_left_out() -> None:
    rng = np.random.default_rng(0)
    smooth = rng.integers(40, 200, (4, 1, 9, 9)) + np.arange(8)[None, :, None, None] * 4
    assert worth_keeping(smooth.astype(np.uint8), 8, 8.0, None) == (0, 1)
    rough = rng.integers(0, 200, (4, 8, 9, 9)).astype(np.uint8)
    assert worth_keeping(rough, 8, 8.0, tuple(range(8))) == tuple(range(8))
    assert worth_keeping(rough[:, :3], 8, 8.0, None) == tuple(range(8))


def test_drop_interval_is_wide_where_nothing_changed_on_few_images() -> None:
    lost, low, high = drop_interval(torch.arange(10), list(range(10)), list(range(10)))
    assert lost == 0
    assert low < -0.05
    assert high > 0.05


class _Spender:
    """A chooser whose choices spend the limit, in thousandths, on the images that choose."""

    late = False

    def choose(self, limit: float) -> Any:
        spent = int(1000 * limit)
        return SimpleNamespace(candidates=(spent,), within=True)

    tighten = choose


@dataclass(frozen=True)
class _Judge:
    """Images on which the first choice of a limit of 0.1 distorts more than twice as much, and others hardly."""

    objective = SimpleNamespace(limit=0.1, value=lambda outcome, share: outcome.distortion)

    def measured(self, plan: Any) -> Any:
        distortion = plan.spent / 1000 * (2.2 if plan.spent > 80 else 1.1)
        return SimpleNamespace(outcome=Outcome((distortion,), (1000 - plan.spent,), ()))


def test_a_plan_that_was_taken_back_too_far_climbs_again() -> None:
    tried: list[int] = []

    def train(candidates: Any) -> Any:
        tried.append(candidates[0])
        return SimpleNamespace(spent=candidates[0], to_bytes=lambda: b"")

    found = verified(_Spender(), train, _Judge(), _Judge(), 1)  # type: ignore[arg-type]
    assert tried[:2] == [100, 44]
    assert len(tried) == len(set(tried)) <= 5
    assert found.met
    assert 60 < found.chosen[0] <= 80  # type: ignore[operator]
