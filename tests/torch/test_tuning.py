"""Training for compression: differentiable maps, their bits, and the loop."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fmapzip import Plan, inspect
from fmapzip.bench.baseline_codec import BaselineCodec
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.codecs.dct_cm import DctCm
from fmapzip.codecs.zvc import Zvc
from fmapzip.errors import InvalidInput
from fmapzip.plan import TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.torch import TuneSettings, compress_model, rate_loss, tunable, tune
from fmapzip.torch.tuning.fit import RATES, coding_of, fitted
from fmapzip.torch.tuning.images import TuningImages, mirrored
from fmapzip.torch.tuning.lambda_search import LambdaSearch
from fmapzip.torch.tuning.penalties import PENALTIES
from fmapzip.torch.tuning.tap import Band
from fmapzip.torch.tuning.teacher import Teacher

CODECS = (
    ContextRans(),
    ContextRans(step=5),
    ContextRans(level="fast", step=3),
    DctCm(path="mask", mask_step=4.0),
    DctCm(path="mask", mask_step=2.5, coding="rans"),
    DctCm(path="transform", step=4.0),
    DctCm(path="transform", step=4.0, coding="rans"),
    DctCm(path="transform", step=6.0, zero_mask=True, group=4),
    Zvc(),
    BaselineCodec(baseline="projection:bits=8,error=4"),
)
FEW = TuneSettings(epochs=3, batch=8, rate_samples=8, lambda_=0.05, patience=9)


def network() -> nn.Module:
    torch.manual_seed(1)
    layers = (
        nn.Conv2d(3, 12, 3),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 10, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(10, 4)).eval()


def images(count: int = 40) -> Tensor:
    torch.manual_seed(2)
    coarse = torch.randn(count, 3, 4, 4)
    return nn.functional.interpolate(coarse, size=16, mode="bilinear") + 0.1 * torch.randn(count, 3, 16, 16)


def smooth_maps(dtype: str, count: int = 6) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = torch.from_numpy(rng.normal(0, 40, (count, 9, 4, 4)).astype(np.float32))
    values = nn.functional.interpolate(coarse, size=16, mode="bilinear").numpy() + rng.normal(0, 4, (count, 9, 16, 16))
    low, high = (0, 255) if dtype == "uint8" else (-127, 127)
    return np.clip(np.rint(values), low, high).astype(dtype)


def weights(model: nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_bits_agree_with_real_bytes_of_other_images(codec):
    model = tunable(network(), codec, [images(64)])
    plan = model.refresh([images(64)])
    torch.manual_seed(9)
    others = images(96)[64:]
    for tap in model.compare([others], plan):
        assert tap.expected == pytest.approx(tap.real, rel=0.05), tap.name


@pytest.mark.parametrize("rate", RATES)
def test_rates_fitted_to_few_images_agree_with_bytes_of_others(rate):
    model = tunable(network(), ContextRans(step=3), [images(24)[:16]], rate=rate)
    plan = model.refresh([images(24)[:16]])
    for tap in model.compare([images(96)[32:]], plan):
        assert tap.expected == pytest.approx(tap.real, rel=0.03), tap.name


@pytest.mark.parametrize("codec", [c for c in CODECS if getattr(c, "path", "") != "transform"], ids=repr)
def test_forward_hands_on_what_the_stored_network_reads_back(codec):
    # A map of few values is stored as it is where coding would make it longer.
    model = tunable(network(), codec, [images()], taps="3")
    plan = model.refresh([images()])
    with torch.no_grad():
        trained, stored = model(images()), compress_model(network(), plan)(images())
    assert torch.allclose(trained, stored, atol=1e-5)


@pytest.mark.parametrize("codec", [c for c in CODECS if getattr(c, "path", "") == "transform"], ids=repr)
def test_forward_through_a_transform_is_nearly_what_the_stored_network_reads_back(codec):
    model = tunable(network(), codec, [images()], taps="3").eval()
    plan = model.refresh([images()])
    with torch.no_grad():
        trained, stored, exact = model(images()), compress_model(network(), plan)(images()), network()(images())
    assert (trained - stored).norm() < 0.3 * (stored - exact).norm()
    assert float((trained - exact).norm()) == pytest.approx(float((stored - exact).norm()), rel=0.05)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(("step", "zero_mask"), [(5.0, False), (6.0, True), (2.0, True)])
def test_transform_path_is_the_codecs_but_for_integer_rounding(dtype, step, zero_mask):
    maps = smooth_maps(dtype)
    codec = DctCm(path="transform", step=step, order="natural", group=4 if zero_mask else 8, zero_mask=zero_mask)
    read_back = fitted(codec, maps).coding.read_back(torch.from_numpy(maps).float()).numpy()[0]
    stored = codec.decode(codec.encode(maps[0]))
    assert (read_back != stored).mean() < 0.05
    lost = [np.square(each - maps[0].astype(float)).mean() for each in (read_back, stored)]
    assert lost[0] == pytest.approx(lost[1], rel=0.05)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("step", [1, 4, 5])
def test_code_lengths_are_those_of_frames(dtype, step):
    maps = smooth_maps(dtype)
    codec = ContextRans(step=step)
    found = fitted(codec, maps)
    symbols = found.coding.symbols(torch.from_numpy(maps).float())
    assert found.exact
    plan = Plan((TapPlan("map", maps.shape[1:], QuantParams(dtype, (1.0,)), codec, codec.train(maps)),))
    frames = [inspect(codec.encode(each, plan), plan) for each in maps]
    words = sum(8 * dict(frame.sections)["words"] for frame in frames)
    assert float(found.rate.bits(symbols, 0).sum()) == pytest.approx(words, rel=0.01)


def test_gradient_of_code_lengths_is_that_of_their_expectation_under_noise():
    maps = smooth_maps("uint8")
    fit = fitted(ContextRans(step=5), maps)
    torch.manual_seed(0)
    v = fit.coding.symbols(torch.from_numpy(maps[:1]).float())
    # In the last position of the last row nothing comes after: only its own length moves.
    v[..., -1, -1] = v[..., -1, -1].floor() + 0.3
    v.requires_grad_(True)
    fit.rate.bits(v, 0).sum().backward()
    with torch.no_grad():
        for channel in range(3):
            lower, upper = v.clone(), v.clone()
            lower[0, channel, -1, -1] = v[0, channel, -1, -1].floor()
            upper[0, channel, -1, -1] = v[0, channel, -1, -1].floor() + 1
            rise = float((fit.rate.bits(upper, 0) - fit.rate.bits(lower, 0)).sum())
            assert float(v.grad[0, channel, -1, -1]) == pytest.approx(rise, rel=1e-3, abs=1e-3)


def test_values_feel_what_they_do_to_the_contexts_of_later_ones():
    maps = smooth_maps("uint8", 64)
    fit = fitted(ContextRans(step=7), maps)
    v = fit.coding.symbols(torch.from_numpy(maps[:1]).float()).requires_grad_(True)
    fit.rate.bits(v, 0).sum().backward()
    changes, slopes = [], []
    with torch.no_grad():
        places = [(0, c, y, x) for c in range(9) for y in range(2, 14, 2) for x in range(2, 14, 3)]
        for place in (each for each in places if float(v[each]) > 2):
            lower, upper = v.clone(), v.clone()
            lower[place] -= 2
            upper[place] += 2
            changes.append(float((fit.rate.bits(upper, 0) - fit.rate.bits(lower, 0)).sum()) / 4)
            slopes.append(float(v.grad[place]))
    assert np.corrcoef(changes, slopes)[0, 1] > 0.7


@pytest.mark.parametrize("name", sorted(PENALTIES))
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.3, 30))
def test_gradients_of_penalties_are_their_finite_differences(name, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64) * scale
    v = torch.where((v - v.round()).abs() < 0.05, v + 0.1, v).requires_grad_(True)  # away from kinks
    PENALTIES[name](v).sum().backward()
    with torch.no_grad():
        for place in range(0, v.numel(), 5):
            step = torch.zeros(v.numel(), dtype=torch.float64)
            step[place] = 1e-4
            change = PENALTIES[name](v + step.view_as(v)).sum() - PENALTIES[name](v - step.view_as(v)).sum()
            assert float(v.grad.view(-1)[place]) == pytest.approx(float(change) / 2e-4, rel=1e-2, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 10), st.integers(0, 2**16))
def test_scale_gradient_is_lsq(scale, seed):
    from fmapzip.torch.tuning.codings import ValueByValue

    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 2, 4, 4, generator=generator) * 200 * scale
    log_scale = torch.tensor([scale]).log().requires_grad_(True)
    x.requires_grad_(True)
    out = ValueByValue().store(x, log_scale, (0, 255))
    out.sum().backward()
    u = x.detach() / log_scale.detach().exp()
    inside = (u >= 0) & (u <= 255)
    assert torch.equal(x.grad, inside.float())
    expected = float((out.detach() - inside * x.detach()).sum())
    assert float(log_scale.grad) == pytest.approx(expected, rel=1e-3, abs=scale)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_reaches_the_weights(rate):
    model = tunable(network(), ContextRans(step=3), [images()], rate=rate)
    model(images())
    rate_loss(model).backward()
    gradient = model.original[0].weight.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    "codec", [c for c in CODECS if c not in (ContextRans(), DctCm(path="mask", mask_step=4.0))], ids=repr
)
def test_bits_of_a_band_are_those_of_all_rows_in_the_mean(codec):
    model = tunable(network(), codec, [images(16)])
    x = images(4)

    assert {tap.bands(5) for tap in model.taps} == {1, 5}

    def counted(index: int, bands: int) -> tuple[float, Tensor]:
        model.zero_grad()
        model(x)
        counts = [tap.bands(bands) for tap in model.taps]
        bits = sum(tap.bits(None, Band(index % n, n)).sum() for tap, n in zip(model.taps, counts, strict=True))
        bits.backward()
        return float(bits.detach()), torch.cat(
            [each.grad.flatten() for each in model.parameters() if each.grad is not None]
        )

    bits, gradient = counted(0, 1)
    found = [counted(i, 5) for i in range(5)]
    assert np.mean([each[0] for each in found]) == pytest.approx(bits, rel=1e-4)
    mean = torch.stack([each[1] for each in found]).mean(0)
    assert float((mean - gradient).norm() / gradient.norm()) < 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_rates_that_are_no_sums_count_all_rows(rate):
    model = tunable(network(), ContextRans(step=3), [images()], rate=rate)
    model(images(8))
    whole = float(rate_loss(model).detach())
    random = torch.Generator().manual_seed(1)
    drawn = [float(rate_loss(model, bands=3, generator=random).detach()) for _ in range(6)]
    assert (len(set(drawn)) == 1) == (rate in ("hoyer", "histogram"))
    assert np.mean(drawn) == pytest.approx(whole, rel=0.2)


def test_class_scores_are_remembered_as_the_float_network_gives_them():
    data, rows = TuningImages(images()), list(range(0, 40, 2))
    teacher = Teacher(network(), torch.device("cpu"), data, 0)
    some, ways = rows[3:9], torch.tensor([True, False, True, True, False, False])
    shown = mirrored(data.batch(some)[0], ways)
    fresh = teacher.of_rows(some, ways, shown)
    teacher.remember(rows, 4, mirror=True)
    assert torch.allclose(teacher.of_rows(some, ways, torch.zeros(6)), fresh, atol=1e-6)


def test_a_loop_goes_on_from_a_state_dict_that_names_each_weight_once(monkeypatch):
    for public in ("register_state_dict_post_hook", "register_load_state_dict_pre_hook"):
        monkeypatch.delattr(nn.Module, public, raising=False)  # PyTorch 2.4 has none of them
    trained = tunable(network(), ContextRans(step=3), [images()])
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.01)
    (trained(images()).square().mean() + rate_loss(trained)).backward()
    optimizer.step()
    state = trained.state_dict()
    names = [f"original.{name}" for name in network().state_dict()]
    assert sorted(state) == sorted([*names, "_taps.0.log_scale", "_taps.1.log_scale"])
    wrapped = nn.ModuleDict({"module": tunable(network(), ContextRans(step=3), [images()])})
    wrapped.load_state_dict({f"module.{name}": value for name, value in state.items()})
    assert wrapped["module"].plan([images()]).to_bytes() == trained.plan([images()]).to_bytes()
    with pytest.raises(RuntimeError, match=r"Missing key.*original\.0\.weight"):
        wrapped["module"].load_state_dict({name: value for name, value in state.items() if name != names[0]})


def test_bits_before_a_run_and_unknown_rates_are_refused():
    with pytest.raises(InvalidInput, match="there is no rate"):
        tunable(network(), "context-rans", [images()], rate="guess")
    model = tunable(network(), "context-rans", [images()])
    with pytest.raises(InvalidInput, match="has not run"):
        rate_loss(model)
    model(images())
    for asked in ({"samples": 0}, {"bands": 0}):
        with pytest.raises(InvalidInput, match="at least one"):
            rate_loss(model, **asked)


@pytest.mark.parametrize("rate", ["codec", "histogram"])
@pytest.mark.parametrize("codec", [ContextRans(step=3), *CODECS[3:8]], ids=repr)
def test_all_of_a_network_moves_to_another_device(codec, rate):
    # "meta" holds no values, and refuses what lies elsewhere as an accelerator does.
    model = tunable(network(), codec, [images(8)], rate=rate).to("meta")
    outputs = model(images(8).to("meta"))
    (outputs.sum() + rate_loss(model, bands=3)).backward()
    assert all(each.grad is not None and each.grad.is_meta for each in model.parameters())


@pytest.mark.parametrize("rate", RATES)
def test_gradients_of_a_networks_bits_are_their_finite_differences(rate):
    # Quantizers that are fine leave little of what rounding does.
    model = tunable(network(), ContextRans(), [images(16)], rate=rate, taps="3")
    x = images(16)

    def bits() -> Tensor:
        model(x)
        return rate_loss(model)

    bits().backward()
    weight = model.original[0].weight
    way = weight.grad / weight.grad.norm()
    with torch.no_grad():
        found = []
        for side in (1, -1):
            weight.add_(side * 0.005 * way)
            found.append(float(bits()))
            weight.sub_(side * 0.005 * way)
    assert (found[0] - found[1]) / 0.01 == pytest.approx(float(weight.grad.norm()), rel=0.12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from([(9, 4), (8, 8), (5, 4), (3, 8)]))
def test_gradients_of_transformed_maps_are_their_finite_differences(seed, sizes):
    channels, group = sizes
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(channels, generator=generator).tolist()
    codec = DctCm(path="transform", step=4.0, group=group, order=tuple(order))
    maps = torch.randint(0, 255, (2, channels, 3, 3), generator=generator)
    coding = coding_of(codec, maps.numpy().astype(np.uint8))
    u = maps.float().requires_grad_(True)
    weights = torch.randn(coding.symbols(u).shape, generator=generator)
    (coding.symbols(u) * weights).sum().backward()
    with torch.no_grad():
        for place in range(0, u.numel(), 7):  # a transform is linear: steps may be whole
            step = torch.zeros(u.numel())
            step[place] = 1
            change = ((coding.symbols(u + step.view_as(u)) - coding.symbols(u)) * weights).sum()
            assert float(u.grad.view(-1)[place]) == pytest.approx(float(change), rel=1e-2, abs=2e-3)


def test_zero_epochs_change_nothing():
    net = network()
    found = tune(net, images(), ContextRans(step=3), settings=replace(FEW, epochs=0))
    assert all(torch.equal(a, b) for a, b in zip(weights(net), weights(found.model), strict=True))
    assert found.kept == 0
    quantizers = [tap.quantizer.scale[0] for tap in tunable(net, ContextRans(step=3), [images()]).plan([images()])]
    assert [tap.quantizer.scale[0] for tap in found.plan] == pytest.approx(quantizers, rel=0.5)


def test_a_grid_of_the_planner_with_a_zero_point_is_tuned_as_one_that_is_centred():
    net = network()
    first, *others = tunable(net, ContextRans(), [images()]).plan([images()])
    moved = QuantParams("uint8", first.quantizer.scale, "minmax*1", zero_point=100)
    plan = Plan((TapPlan(first.name, first.shape, moved, ContextRans()), *others))
    found = next(iter(tunable(net, plan, [images()]).plan([images()])))
    assert found.quantizer.dtype == "int8"
    assert found.quantizer.scale[0] == pytest.approx(first.quantizer.scale[0] * 155 / 127)


def test_tuning_saves_bytes_and_leaves_the_original_alone():
    net = network()
    before = weights(net)
    asked = replace(FEW, epochs=6, lambda_=1.0)
    found = tune(net, images(80), ContextRans(step=3), settings=asked)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(net), strict=True))
    assert sum(tap.real for tap in found.after) < 0.9 * sum(tap.real for tap in found.before)
    assert not found.model.training
    stored = compress_model(found.model, found.plan)
    with torch.inference_mode():
        stored(images())
    for tap in found.after:
        assert tap.expected == pytest.approx(tap.real, rel=0.05), tap.name


def test_lambda_zero_is_plain_distillation():
    with_bits = tune(network(), images(), ContextRans(step=3), settings=replace(FEW, lambda_=0.0))
    other_rate = tune(network(), images(), ContextRans(step=3), settings=replace(FEW, lambda_=0.0), rate="l1")
    assert all(torch.equal(a, b) for a, b in zip(weights(with_bits.model), weights(other_rate.model), strict=True))
    assert with_bits.epochs[-1].task == pytest.approx(with_bits.epochs[-1].distortion)


@pytest.mark.parametrize("last", [1, 2])
def test_resumed_tuning_gives_the_same_result(last: int, tmp_path: Path):
    asked = replace(FEW, epochs=2, mirror=True, batch=7)
    whole = tune(network(), images(), ContextRans(step=3), settings=asked)
    state = tmp_path / "state"

    class Killed(Exception):
        pass

    def kill(stage, done, total):
        if stage.startswith(f"epoch {last}:"):
            raise Killed

    with pytest.raises(Killed):
        tune(network(), images(), ContextRans(step=3), settings=asked, state=state, progress=kill)
    resumed = tune(network(), images(), ContextRans(step=3), settings=asked, state=state)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole.model), weights(resumed.model), strict=True))
    assert whole.plan.to_bytes() == resumed.plan.to_bytes()


def finer(model, images, ratio, codecs):
    """A planner that has other steps and scales for each channel, and asks for the codecs without steps."""
    assert codecs == [ContextRans()]
    assert ratio > 1
    made = tunable(model, "context-rans", images).plan(images)
    quantizers = [
        replace(tap.quantizer, scale=(tap.quantizer.scale[0],) * (tap.shape[0] if len(tap.shape) > 1 else 1))
        for tap in made
    ]
    codec = ContextRans(step=2)
    taps = [replace(tap, quantizer=each, codec=codec) for tap, each in zip(made, quantizers, strict=True)]
    return Plan(tuple(replace(tap, parameters=b"") for tap in taps))


@pytest.mark.parametrize(("step", "taken"), [(60, True), (3, False)])
def test_the_planners_steps_are_taken_where_they_lose_less(step: int, taken: bool):
    again = replace(FEW, replan=1, epochs=2, lambda_=0.0 if taken else 5.0)
    whole = tune(network(), images(), ContextRans(step=step), settings=again, planner=finer)
    assert [epoch.replanned for epoch in whole.epochs[:2]] == [False, taken]
    assert not whole.epochs[2].replanned  # nothing would train with it any more
    assert {tap.codec for tap in whole.plan} == {ContextRans(step=2 if taken and whole.kept else step)}


def test_tuning_that_planned_again_is_resumed_with_the_same_result(tmp_path: Path):
    again = replace(FEW, replan=1, lambda_=0.0, epochs=2)
    whole = tune(network(), images(), ContextRans(step=60), settings=again, planner=finer)
    state = tmp_path / "state"

    def kill(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(network(), images(), ContextRans(step=60), settings=again, planner=finer, state=state, report=kill)
    resumed = tune(network(), images(), ContextRans(step=60), settings=again, planner=finer, state=state)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole.model), weights(resumed.model), strict=True))
    assert whole.plan.to_bytes() == resumed.plan.to_bytes()


def test_progress_tells_bits_and_distortion_of_the_last_batch():
    seen: list[str] = []
    only = replace(FEW, epochs=1)
    tune(network(), images(), settings=only, progress=lambda stage, done, total: seen.append(stage))
    assert re.fullmatch(r"epoch 1: \d+\.\d{3} bits, distortion [\d.e-]+", seen[-1])


def test_a_slower_level_is_trained_for_by_its_draft():
    asked = replace(FEW, epochs=1)
    draft, slow = (
        # a map of few values would be stored as it is where one of the two codecs makes it longer
        tune(network(), images(), ContextRans(step=3, level=level), images(), settings=asked, taps=["3"])
        for level in ("default", "max")
    )
    assert all(torch.equal(a, b) for a, b in zip(weights(draft.model), weights(slow.model), strict=True))
    assert draft.after == slow.after
    assert [tap.codec for tap in slow.plan] == [ContextRans(step=3, level="max")] * len(slow.plan)
    assert [tap.quantizer for tap in slow.plan] == [tap.quantizer for tap in draft.plan]
    stored = [compress_model(each.model, each.plan) for each in (draft, slow)]
    with torch.inference_mode():
        one, other = (each(images()) for each in stored)
    assert torch.equal(one, other)


def test_planning_again_asks_for_a_planner():
    with pytest.raises(InvalidInput, match="planner"):
        tune(network(), images(), settings=replace(FEW, replan=1))


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path):
    state = tmp_path / "state"
    tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=1), state=state)
    with pytest.raises(InvalidInput, match="another network"):
        tune(network(), images(), ContextRans(step=4), settings=replace(FEW, epochs=1), state=state)
    with pytest.raises(InvalidInput, match="another network"):  # which is trained in the same way
        tune(network(), images(), ContextRans(step=3, level="max"), settings=replace(FEW, epochs=1), state=state)
    with pytest.raises(InvalidInput, match="other images"):
        tune(network(), images() + 0.01, ContextRans(step=3), settings=replace(FEW, epochs=1), state=state)
    with pytest.raises(InvalidInput, match="another network"):
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=1), state=state, task=mean_error)
    with pytest.raises(InvalidInput, match="1 epochs are done, more than the 0 that are asked for"):
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=0), state=state)
    state.write_bytes(state.read_bytes()[:-1000])
    with pytest.raises(InvalidInput, match="not a checkpoint"):
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=1), state=state)
    state.write_bytes(b"something else")
    with pytest.raises(InvalidInput, match="not a checkpoint"):
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=1), state=state)


def mean_error(outputs, targets, labels):
    return (outputs - targets).square().mean()


@pytest.mark.parametrize("target", [{}, {"target_ratio": 4.0}])
def test_an_epoch_that_measures_as_no_number_is_not_kept(target):
    # Steps so large that the network overflows: the one batch that an epoch has does not show it.
    asked = replace(FEW, batch=64, learning_rate=1e30, lambda_=0.0, **target)
    found = tune(network(), images(), ContextRans(step=3), settings=asked, task=mean_error)
    assert (found.stopped, found.kept, len(found.epochs)) == ("nan", 0, 1)
    assert all(torch.equal(a, b) for a, b in zip(weights(network()), weights(found.model), strict=True))


def test_nan_stops_with_the_epoch_kept():
    calls = 0

    def task(outputs, targets, labels):
        nonlocal calls
        calls += torch.is_grad_enabled()
        return (outputs - targets).square().mean() * (float("nan") if calls > 7 else 1.0)

    found = tune(network(), images(), ContextRans(step=3), settings=FEW, task=task)
    assert found.stopped == "nan"
    assert all(torch.isfinite(each).all() for each in weights(found.model) if each.is_floating_point())


@pytest.mark.parametrize("target", [{}, {"target_ratio": 4.0}])
def test_gradients_that_are_no_numbers_leave_the_epoch_before_kept(target):
    batches = 0

    def task(outputs, targets, labels):
        nonlocal batches
        batches += torch.is_grad_enabled()
        # the last batch of the second epoch: nothing comes after it that would show a loss of no number
        found = (outputs - targets).square().mean()
        return found + (outputs * 0).sqrt().sum() if batches == 10 else found

    found = tune(network(), images(), ContextRans(step=3), settings=replace(FEW, **target), task=task)
    assert (found.stopped, len(found.epochs)) == ("nan", 2)
    assert all(torch.isfinite(each).all() for each in weights(found.model) if each.is_floating_point())


@pytest.mark.parametrize(("target", "rises"), [({"target_ratio": 90.0}, True), ({"target_ratio": 1.2}, False)])
def test_lambda_rises_until_a_ratio_is_reached(target, rises):
    found = tune(network(), images(), ContextRans(step=3), settings=replace(FEW, **target))
    assert (found.epochs[-1].lambda_ > found.epochs[0].lambda_) == rises
    assert found.kept == 3


def test_lambda_falls_while_a_kl_is_exceeded():
    strict, loose = (
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, max_kl=kl)).epochs[-1].lambda_
        for kl in (1e-9, 1e3)
    )
    assert strict < FEW.lambda_ < loose


@pytest.mark.parametrize("target", [{"max_kl": 0.06}, {"target_ratio": 5.0}])
def test_lambda_aims_at_what_images_that_are_held_back_lose_and_take(target):
    search = LambdaSearch(TuneSettings(epochs=20, **target), 50)
    lost = bits = 0.0
    for _ in range(20):
        for _ in range(50):  # those that train lose less, and take less
            lost, bits = 0.04 * search.value**0.5, 1.6 * search.value**-0.2
            search.move(bits, lost)
        search.measured(1.1 * bits, 1.8 * lost)
    reached = {"max_kl": 1.8 * lost, "target_ratio": 8 / (1.1 * bits)}
    assert reached[next(iter(target))] == pytest.approx(next(iter(target.values())), rel=0.02)


def test_training_that_helps_no_more_is_stopped_with_the_best_epoch():
    worse = replace(FEW, epochs=9, learning_rate=0.3, patience=2, lambda_=0.0)
    found = tune(network(), images(), ContextRans(step=3), settings=worse)
    assert (found.stopped, found.kept, len(found.epochs)) == ("patience", 0, 3)
    assert all(torch.equal(a, b) for a, b in zip(weights(network()), weights(found.model), strict=True))


def test_time_ends_training_within_an_epoch():
    found = tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=1000, time_limit=0.001))
    assert (found.stopped, len(found.epochs)) == ("time", 1)


def test_the_seed_alone_tells_two_runs_apart():
    one, same, other = (
        weights(tune(network(), images(), settings=replace(FEW, epochs=1, seed=seed)).model) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batch_norms_keep_their_statistics_unless_told():
    frozen = tunable(network(), ContextRans(), [images()])
    frozen.train()
    frozen(images())
    assert torch.equal(frozen.original[1].running_mean, network()[1].running_mean)
    moving = tunable(network(), ContextRans(), [images()], batch_norms=True)
    moving(images())
    assert not torch.equal(moving.original[1].running_mean, network()[1].running_mean)


class NoPath(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.next = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.next(torch.relu(self.conv(x))).detach()


@pytest.mark.parametrize("lambda_", [0.0, 0.1])  # bits have a path that outputs do not have
def test_a_network_without_a_gradient_path_is_refused(lambda_):
    with pytest.raises(InvalidInput, match="no gradient reaches the parameters of network NoPath"):
        tune(NoPath(), images(), ContextRans(), settings=replace(FEW, lambda_=lambda_))


def spoilt(value: float, row: int) -> Tensor:
    found = images()
    found[row, 0, 3, 3] = value
    return found


LABELS = torch.arange(40)


class Unwritten(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "asked", "told"),
    [
        ({"data": spoilt(float("nan"), 0)}, {}, "feature map '3': holds NaN or infinity"),
        ({"calibration": [spoilt(float("inf"), 1)]}, {}, "feature map '3': holds NaN or infinity"),
        ({"data": images().byte()}, {}, r"Sequential does not run on the images to tune on, uint8\[1, 3, 16, 16\]"),
        ({"data": images()[:, :2]}, {}, r"does not run on the images to tune on, float32\[1, 2, 16, 16\]"),
        ({"data": [*images()[:9], images()[9, :, 1:]]}, {"batch": 64}, "images to tune on have one shape"),
        ({"data": (images(), LABELS)}, {"label_weight": 0.5}, "labels are .*, and the network has 4 classes"),
        ({"data": (images(), LABELS % 4 - 1)}, {"label_weight": 0.5}, "labels are .*, and the network has 4 classes"),
        ({"data": (images(), LABELS / 40)}, {"label_weight": 0.5}, "labels are class indices"),
        ({"calibration": [images()[..., :12]]}, {}, "calibration: images of .*12.*, and those to tune on are of .*16"),
        ({"task": mean_error}, {"label_weight": 0.5}, "label_weight is of the task"),
        ({"task": lambda outputs, targets, labels: 0.5}, {}, "one float tensor, not float"),
        ({"task": lambda outputs, targets, labels: outputs}, {}, r"one float tensor, not \["),
        ({"task": lambda outputs, targets, labels: outputs.sum() * torch.nan}, {}, "is no number before it is tuned"),
        ({"task": lambda outputs, targets, labels: targets.square().mean()}, {}, "no gradient reaches"),
        ({"model": "network"}, {}, "torch.nn.Module"),
        ({"model": Unwritten()}, {}, "network Unwritten does not run on the images to tune on.*NotImplementedError"),
    ],
)
def test_what_cannot_be_tuned_is_refused_by_name(given, asked, told):
    arguments = {"model": network(), "data": images(), "plan_or_codec": ContextRans(step=3), **given}
    with pytest.raises(InvalidInput, match=told):
        tune(**arguments, settings=replace(FEW, epochs=1, **asked))


def test_images_of_no_numbers_are_refused_where_a_plan_has_the_quantizers():
    plan = tunable(network(), ContextRans(step=3), [images()]).plan([images()])
    with pytest.raises(InvalidInput, match="feature map '3': holds NaN or infinity"):
        tune(network(), spoilt(float("nan"), 0), plan, settings=FEW)


def test_batch_norms_are_refused_where_there_are_none():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    with pytest.raises(InvalidInput, match="batch_norms: the network, captured by fx, has none"):
        tunable(plain, ContextRans(), [images()], batch_norms=True)


@pytest.mark.parametrize(
    "asked",
    [
        {"epochs": -1},
        {"epochs": 2.5},
        {"seed": 2**64},
        {"lambda_": float("nan")},
        {"target_ratio": 2.0, "max_kl": 0.1},
        {"label_weight": 2.0},
    ],
)
def test_settings_out_of_range_are_refused(asked):
    with pytest.raises(InvalidInput):
        TuneSettings(**asked)


@pytest.mark.parametrize("asked", [{"max_kl": 0.1}, {"label_weight": 0.5}])
def test_class_scores_are_asked_for_where_they_are_needed(asked):
    maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    labelled = (images(), torch.zeros(40, dtype=torch.long))
    with pytest.raises(InvalidInput, match=f"{next(iter(asked))} asks for class scores"):
        tune(maps, labelled, ContextRans(), settings=replace(FEW, **asked))


def test_labels_are_asked_for_where_they_are_needed():
    with pytest.raises(InvalidInput, match="labels"):
        tune(network(), images(), ContextRans(), settings=replace(FEW, label_weight=0.5))


def test_a_checkpoint_that_cannot_be_written_is_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(content, file):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InvalidInput, match="state: cannot be written"):
        tune(network(), images(), ContextRans(step=3), settings=replace(FEW, epochs=0), state=tmp_path / "state")
    assert not list(tmp_path.iterdir())
