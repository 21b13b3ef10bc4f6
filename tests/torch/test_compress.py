"""Wrapped networks: real bytes at each tap, nothing else changed."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tricky
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmapzip import Plan, QuantParams
from fmapzip.codecs.context_rans import ContextRans
from fmapzip.errors import InvalidInput, PlanMismatch, UnknownCodec
from fmapzip.torch import capture, compress_model
from fmapzip.torch.tensor_quantizer import TensorQuantizer

IMAGES = torch.rand(6, 3, 8, 8)
NETWORKS = [n for n in tricky.EXPECTED if n is not tricky.Attention]


def run(module, *inputs):
    with torch.inference_mode():
        return module(*inputs)


def by_hand(net, plan, images):
    """The 8-bit network: numpy quantizers at the slots of a capture."""
    captured = capture(net, images[:1])
    for slot, tap in zip(captured.slots, captured.taps, strict=True):

        def rounded(x, params=plan[tap.name].quantizer, axis=tap.axis):
            return torch.from_numpy(params.dequantize(params.quantize(x.numpy(), axis), axis))

        slot.action = rounded
    return run(captured.module, images)


@pytest.mark.parametrize("quantizer", ["minmax", "percentile:99", "mse:channel"])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_a_lossless_codec_gives_exactly_the_8_bit_network(network, quantizer):
    net = network().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES, quantizer=quantizer)
    assert torch.equal(run(stored, IMAGES), by_hand(net, stored.plan, IMAGES))


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
def test_every_capture_stores_the_same_bytes(method):
    net = tricky.Classifier().eval()
    reference = compress_model(net, "zvc", calibration=IMAGES)
    stored = compress_model(net, reference.plan, methods=[method])
    assert torch.equal(run(stored, IMAGES), run(reference, IMAGES))
    assert stored.report().payload_bytes == reference.report().payload_bytes


def test_plans_round_trip_through_files(tmp_path):
    net = tricky.Residual().eval()
    first = compress_model(net, "zvc", calibration=IMAGES)
    first.plan.save(tmp_path / "net.fmzp")
    second = compress_model(net, Plan.load(tmp_path / "net.fmzp"))
    assert torch.equal(run(first, IMAGES), run(second, IMAGES))


@pytest.mark.parametrize("codec", ["zvc", "raw"])
def test_results_do_not_depend_on_the_batch(codec):
    stored = compress_model(tricky.Classifier().eval(), codec, calibration=IMAGES)
    together = run(stored, IMAGES)
    in_one = stored.report()
    stored.reset_report()
    for image, expected in zip(IMAGES, together, strict=True):
        torch.testing.assert_close(run(stored, image[None])[0], expected)
    one_by_one = stored.report()
    for a, b in zip(in_one.taps, one_by_one.taps, strict=True):
        assert (a.raw_bytes, a.zeros, a.total_bytes, a.frame_bytes_max) == (
            b.raw_bytes,
            b.zeros,
            b.total_bytes,
            b.frame_bytes_max,
        )
        assert a.sqnr_db == pytest.approx(b.sqnr_db, rel=1e-4)


def test_large_batches_are_worked_on_in_parts(monkeypatch):
    net = tricky.Residual().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES)
    together = run(stored, IMAGES)
    monkeypatch.setattr("fmapzip.torch.chunks._CHUNK_VALUES", 300)
    assert torch.equal(run(stored, IMAGES), together)


def test_codec_threads_do_not_change_results():
    net = tricky.Residual().eval()
    one = compress_model(net, "zvc", calibration=IMAGES)
    two = compress_model(net, one.plan, threads=2)
    assert torch.equal(run(one, IMAGES), run(two, IMAGES))
    assert one.report().total_bytes == two.report().total_bytes


def test_a_wrapped_network_can_run_in_several_python_threads():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    expected = run(stored, IMAGES)
    with ThreadPoolExecutor(4) as pool:
        for output in pool.map(lambda _: run(stored, IMAGES), range(32)):
            assert torch.equal(output, expected)


def test_an_empty_batch_gives_an_empty_output():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    assert run(stored, IMAGES[:0]).shape == (0, 4, 8, 8)
    assert stored.report().raw_bytes == 0


def test_channels_last_networks_store_the_same_bytes():
    net = tricky.Residual().eval()
    plain = compress_model(net, "zvc", calibration=IMAGES)
    turned = compress_model(net.to(memory_format=torch.channels_last), plain.plan)
    torch.testing.assert_close(
        run(turned, IMAGES.contiguous(memory_format=torch.channels_last)), run(plain, IMAGES), rtol=1e-3, atol=0.02
    )
    assert turned.report().payload_bytes == pytest.approx(plain.report().payload_bytes, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_keep_their_dtype(dtype):
    net = tricky.Residual().eval().to(dtype)
    stored = compress_model(net, "zvc", calibration=IMAGES.to(dtype))
    output = run(stored, IMAGES.to(dtype))
    assert output.dtype == dtype
    torch.testing.assert_close(output, run(net, IMAGES.to(dtype)), rtol=0.1, atol=0.05)


def test_the_original_is_untouched():
    net = tricky.Classifier().train()
    before = copy.deepcopy(net.state_dict())
    stored = compress_model(net, "zvc", calibration=IMAGES)
    run(stored, IMAGES)
    stored.to(torch.float64)
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert next(net.parameters()).dtype == torch.float32


def test_gradients_pass_straight_through_and_nothing_is_written_into_inputs():
    net = tricky.Residual().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES)
    images = IMAGES.clone().requires_grad_()
    stored(images).sum().backward()
    assert images.grad.abs().sum() > 0
    assert torch.equal(images.detach(), IMAGES)
    reference = IMAGES.clone().requires_grad_()
    net(reference).sum().backward()
    torch.testing.assert_close(images.grad, reference.grad)


def test_modes_of_autograd_can_be_mixed():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    expected = run(stored, IMAGES)
    with torch.no_grad():
        assert torch.equal(stored(IMAGES), expected)
    assert torch.equal(stored(IMAGES).detach(), expected)
    assert torch.equal(run(stored, IMAGES), expected)


def test_chosen_taps_are_stored_and_the_others_stay_float():
    net = tricky.Twice().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES, taps="block.0#*")
    run(stored, IMAGES)
    assert [tap.name for tap in stored.report().taps] == ["block.0#2", "block.0#3"]
    assert stored.plan.metadata["skipped"] == ["block.0"]
    again = compress_model(net, stored.plan)
    assert torch.equal(run(again, IMAGES), run(stored, IMAGES))


def test_several_inputs_are_calibrated_and_run():
    net = tricky.ManyInputs().eval()
    inputs = (torch.rand(4, 3, 4, 4), torch.rand(4, 5))
    stored = compress_model(net, "zvc", calibration=[(inputs, None)])
    torch.testing.assert_close(run(stored, *inputs)["logits"], run(net, *inputs)["logits"], rtol=0, atol=0.05)


def test_networks_captured_by_hooks_are_stored_too():
    net = tricky.Branching().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES)
    torch.testing.assert_close(run(stored, IMAGES), run(net, IMAGES), rtol=0, atol=0.05)
    assert {tap.samples for tap in (code.statistics for code in stored._codes)} == {6}
    assert any("module hooks" in note for note in stored.notes)


def test_the_report_adds_up_and_prints():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    assert stored.report().ratio == 0
    assert "left" in str(stored.report())
    run(stored, IMAGES)
    report = stored.report()
    (tap,) = report
    assert tap.raw_bytes == 6 * 4 * 8 * 8
    assert report.total_bytes == tap.total_bytes + len(stored.plan.to_bytes())
    assert 0 < tap.zeros < 1
    assert tap.sqnr_db > 30
    assert "ratio" in str(report)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_a_number_is_refused_naming_the_tap(bad):
    net = tricky.Residual().eval()
    stored = compress_model(net, "zvc", calibration=IMAGES)
    images = IMAGES.clone()
    images[2, 0, 3, 3] = bad
    with pytest.raises(InvalidInput, match="'left': holds NaN or infinity"):
        run(stored, images)
    with pytest.raises(InvalidInput, match="'left': holds NaN or infinity"):
        compress_model(net, "zvc", calibration=images)


def test_a_plan_of_another_network_is_refused_naming_the_first_difference():
    plan = compress_model(tricky.Twice().eval(), "zvc", calibration=IMAGES).plan
    with pytest.raises(PlanMismatch, match=r"tap 0 is 'block\.0' \[4, 8, 8\] in the plan, 'left' \[4, 8, 8\] here"):
        compress_model(tricky.Residual().eval(), plan)
    shorter = Plan(plan.taps[:2], plan.metadata)
    with pytest.raises(PlanMismatch, match=r"tap 2 is missing in the plan, 'block\.0#3'"):
        compress_model(tricky.Twice().eval(), shorter)


def test_images_of_another_size_are_refused_naming_the_tap():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    with pytest.raises(PlanMismatch, match=r"'left' is \[1, 4, 9, 9\]; it was captured as \[N, 4, 8, 8\]"):
        run(stored, torch.rand(1, 3, 9, 9))


def test_wrong_arguments_say_what_is_missing():
    net = tricky.Residual().eval()
    with pytest.raises(InvalidInput, match="needs calibration images"):
        compress_model(net, "zvc")
    with pytest.raises(InvalidInput, match="read more than once"):
        compress_model(net, "zvc", calibration=iter([IMAGES]))
    with pytest.raises(InvalidInput, match="there are no images"):
        compress_model(net, "zvc", calibration=[])
    with pytest.raises(UnknownCodec, match="zvc"):
        compress_model(net, "zip", calibration=IMAGES)
    plan = compress_model(net, "zvc", calibration=IMAGES).plan
    with pytest.raises(InvalidInput, match="taps= goes with a codec"):
        compress_model(net, plan, taps="left")
    for inputs in ([], [[100_000, 100_000]]):
        with pytest.raises(InvalidInput, match="give example="):
            compress_model(net, Plan(plan.taps, {**plan.metadata, "inputs": inputs}))
    with pytest.raises(InvalidInput, match="eval mode only"):
        compress_model(net, plan).train()


ranges = st.floats(-(2.0**60), 2.0**60, width=32)


@given(hnp.arrays(np.float32, (2, 3, 4), elements=ranges), st.sampled_from(["uint8", "int8"]), st.data())
def test_tensors_quantize_to_the_same_integers_as_arrays(values, dtype, data):
    scales = data.draw(
        st.lists(st.floats(2.0**-40, 2.0**60, width=32), min_size=1, max_size=1) | st.just([0.1, 1.0, 3.0])
    )
    limits = np.iinfo(dtype)
    zero_point = data.draw(st.none() | st.integers(int(limits.min), int(limits.max)))
    params = QuantParams(dtype, tuple(scales), zero_point=zero_point)
    x = torch.from_numpy(values)
    quantizer = TensorQuantizer(params, 1, "map")
    q, restored = torch.empty_like(x, dtype=quantizer.dtype), torch.empty_like(x)
    nonzeros = quantizer.quantize(x, q)
    quantizer.dequantize(q, x, restored)
    expected = params.quantize(values, axis=1)
    assert (q.numpy() == expected).all()
    assert nonzeros == np.count_nonzero(expected != params.zero)
    assert (restored.numpy() == params.dequantize(expected, axis=1)).all()


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("per_channel", [False, True])
def test_any_dense_memory_order_gives_the_same_integers_and_energies(axis, memory, per_channel):
    torch.manual_seed(1)
    x = torch.randn(3, 5, 7, 33).to(memory_format=memory)
    params = QuantParams("int8", tuple(0.01 * (i + 1) for i in range(x.shape[axis])) if per_channel else (0.02,))
    quantizer = TensorQuantizer(params, axis, "map")
    q, restored = torch.empty_like(x, dtype=torch.int8), torch.empty_like(x)
    quantizer.quantize(x, q)
    energies = quantizer.dequantize(q, x, restored)
    assert (q.numpy() == params.quantize(x.numpy(), axis=axis)).all()
    assert (restored.numpy() == params.dequantize(q.numpy(), axis=axis)).all()
    for sample, back, (signal, noise) in zip(x, restored, energies, strict=True):
        assert signal == pytest.approx(float((sample.double() ** 2).sum()), rel=1e-5)
        assert noise == pytest.approx(float(((back - sample).double() ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 15, 16, 98])
def test_a_value_that_is_no_number_is_found_anywhere(value, place):
    x = torch.zeros(1, 99)
    x[0, place] = value
    with pytest.raises(InvalidInput, match="'map': holds NaN or infinity"):
        TensorQuantizer(QuantParams("uint8", (0.5,)), 1, "map").quantize(x, torch.empty_like(x, dtype=torch.uint8))


def test_copies_and_pickles_run_as_the_original():
    stored = compress_model(tricky.Residual().eval(), "zvc", calibration=IMAGES)
    assert torch.equal(run(copy.deepcopy(stored), IMAGES), run(stored, IMAGES))
    assert torch.equal(run(pickle.loads(pickle.dumps(stored)), IMAGES), run(stored, IMAGES))


@pytest.mark.parametrize("codec", ["zvc", "context-rans", "dct-cm"])
def test_volumes_are_stored_as_maps_of_four_dimensions(codec):
    stored = compress_model(tricky.Volumes().eval(), codec, calibration=IMAGES)
    run(stored, IMAGES)
    assert [tap.shape for tap in stored.report().taps] == [(4, 8, 8), (2, 4, 8, 8)]


def test_a_plan_is_bounded_by_the_maps_of_all_calibration_images():
    net = tricky.Residual().eval()
    images = torch.rand(6, 3, 32, 32)
    free = compress_model(net, ContextRans(level="max", plan_bytes=1.0), calibration=images).plan
    default = compress_model(net, "context-rans", calibration=images).plan
    share = sum(len(tap.parameters) for tap in default) / (len(images) * sum(np.prod(tap.shape) for tap in default))
    bounded = ContextRans(level="max", plan_bytes=float(share))
    within = compress_model(net, bounded, calibration=images)
    assert [tap.parameters for tap in within.plan] == [tap.parameters for tap in default]
    assert [tap.parameters for tap in free] != [tap.parameters for tap in default]
    assert torch.equal(run(within, images), by_hand(net, free, images))
