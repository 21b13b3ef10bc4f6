"""The evaluation engine against figures worked out by hand, and its memory."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tricky

from fmapzip import Plan, registry
from fmapzip.codecs.base import PythonCodec
from fmapzip.errors import InvalidInput, UnknownCodec
from fmapzip.fallbacks import fallbacks_of
from fmapzip.torch import DistortionLimit, compress_model, evaluate
from fmapzip.torch.calibrate import spread
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tap_coder import Stored

IMAGES = torch.rand(24, 3, 8, 8)
CALIBRATION = torch.rand(10, 3, 8, 8)


@dataclasses.dataclass(frozen=True, repr=False)
class Coarse(PythonCodec):
    """A lossy codec of a third party, with a distortion that can be set: it drops low bits."""

    id: ClassVar[str] = "coarse"
    bits: int = 0
    choices: tuple[int, ...] = ()

    @property
    def lossless(self):
        return self.bits == 0

    def candidates(self):
        return [Coarse(bits) for bits in self.choices] or [self]

    def parameters(self, q):
        return bytes([self.bits])

    def train(self, maps):
        return bytes([self.bits])

    def path_taken(self, parameters):
        return f"drop {parameters[0]}"

    def encode_tile(self, tile, parameters):
        bits = np.unpackbits(tile.reshape(-1, 1).view(np.uint8), axis=1)[:, : 8 - parameters[0]]
        return np.packbits(bits).tobytes()

    def decode_tile(self, body, shape, dtype, parameters):
        kept = np.unpackbits(np.frombuffer(body, np.uint8), count=math.prod(shape) * (8 - parameters[0]))
        return np.packbits(kept.reshape(-1, 8 - parameters[0]), axis=1).reshape(shape).view(dtype)


@pytest.fixture(scope="module", autouse=True)
def _coarse():
    registry.register(Coarse)


@pytest.fixture
def net():
    return tricky.Classifier().eval()


@pytest.fixture
def labelled(net):
    """Images with the labels that the float network gives them, all but the first right."""
    with torch.no_grad():
        labels = net(IMAGES).argmax(1)
    labels[0] = (labels[0] + 1) % 5
    return [(IMAGES[i : i + 7], labels[i : i + 7]) for i in range(0, 24, 7)]


def run(module, inputs):
    with torch.inference_mode():
        return module(inputs)


def test_a_lossless_codec_is_the_8_bit_network(net, labelled):
    found = evaluate(net, labelled, ["zvc", "raw"], [CALIBRATION], "classes")
    for codec in found.codecs:
        assert (codec.changed_vs_int8, codec.kl_vs_int8) == (0, 0.0)
        assert codec.kl_vs_float == found.int8_baseline.kl_vs_float > 0
        assert codec.top1 == found.int8_baseline.top1
        assert codec.output_sqnr_db == found.int8_baseline.output_sqnr_db
    assert (found.images, found.calibration_images, found.float_baseline.top1) == (24, 10, 23 / 24)


def test_figures_are_those_of_the_wrapped_network(net, labelled):
    (codec,) = evaluate(net, labelled, [Coarse(6)], [CALIBRATION], "classes").codecs
    stored = compress_model(net, codec.plan)
    wanted, got = run(net, IMAGES).double(), run(stored, IMAGES).double()
    p, q = wanted.log_softmax(1), got.log_softmax(1)
    assert codec.kl_vs_float == pytest.approx(float((p.exp() * (p - q)).sum(1).mean()), rel=1e-4)
    assert codec.changed_vs_float == int((p.argmax(1) != q.argmax(1)).sum())
    noise = (wanted - got).square().sum()
    assert codec.output_sqnr_db == pytest.approx(10 * math.log10(wanted.square().sum() / noise), rel=1e-4)
    for ours, theirs in zip(codec.taps, stored.report().taps, strict=True):
        assert (ours.name, ours.path, ours.raw_bytes) == (theirs.name, "drop 6", theirs.raw_bytes)
        assert (ours.total_bytes, ours.payload_bytes) == (theirs.total_bytes, theirs.payload_bytes)


def test_ratios_are_sums_over_sums(net, labelled):
    (codec,) = evaluate(net, labelled, ["zvc"], [CALIBRATION]).codecs
    raw = 24 * (24 + 10)
    total = sum(tap.total_bytes for tap in codec.taps) + codec.plan_bytes
    assert sum(tap.raw_bytes for tap in codec.taps) == raw
    assert codec.plan_bytes == len(codec.plan.to_bytes())
    assert codec.ratio_total == raw / total
    assert codec.ratio_payload == raw / sum(tap.payload_bytes for tap in codec.taps)
    assert codec.ratio_vs_fp32 == 4 * codec.ratio_total
    assert codec.bits_per_value == pytest.approx(8 / codec.ratio_total)


def test_the_8_bit_maps_are_described_whatever_codec_stores_them(net, labelled):
    found = evaluate(net, labelled, ["zvc", "raw"], [CALIBRATION])
    for maps, exact in zip(found.taps, found.codecs[0].taps, strict=True):
        assert (maps.name, maps.shape) == (exact.name, exact.shape)
        assert maps.values.total == exact.raw_bytes == maps.samples * math.prod(maps.shape)
        assert maps.values.zeros == pytest.approx(exact.zeros)


def test_each_image_is_reported_in_order(net, labelled):
    seen = []
    found = evaluate(net, labelled, ["zvc", Coarse(5)], [CALIBRATION], "classes", per_image=seen.append)
    assert [image.index for image in seen] == list(range(24))
    assert [image.label for image in seen] == torch.cat([labels for _, labels in labelled]).tolist()
    assert sum(image.float_prediction == image.label for image in seen) == 23
    for place, codec in enumerate(found.codecs):
        own = [image.codecs[place] for image in seen]
        assert own[0].codec == codec.codec
        assert sum(image.frame_bytes for image in own) == sum(tap.total_bytes for tap in codec.taps)
        assert sum(image.kl_vs_float for image in own) / 24 == pytest.approx(codec.kl_vs_float)


def test_a_loader_is_gone_through_once_and_may_be_an_iterator(net, labelled):
    assert evaluate(net, iter(labelled), ["zvc"], [CALIBRATION]).images == 24


def test_labels_that_hits_explain_make_class_scores(net, labelled):
    calibrating = [(images, net(images).argmax(1)) for images in (CALIBRATION,)]
    assert evaluate(net, labelled, ["zvc"], calibrating).metrics == "classes"
    # the same network with labels that mean nothing to it: its output is features
    nonsense = [(images, torch.arange(len(images)) % 5) for images in (CALIBRATION,)]
    found = evaluate(net, labelled, ["zvc"], nonsense)
    assert found.metrics == "output"
    assert (found.float_baseline.top1, found.codecs[0].kl_vs_float, found.codecs[0].changed_vs_int8) == (None,) * 3
    assert found.codecs[0].output_sqnr_db > 10


def test_images_without_labels_have_divergences_but_no_accuracy(net):
    (codec,) = evaluate(net, [IMAGES], ["zvc"], [CALIBRATION], "classes").codecs
    assert codec.top1 is None
    assert codec.kl_vs_float > 0


def test_outputs_that_are_maps_are_reported_by_their_noise():
    found = evaluate(tricky.Residual().eval(), [IMAGES], ["zvc"], [CALIBRATION])
    assert found.metrics == "output"
    assert found.codecs[0].output_sqnr_db > 20


def test_the_smallest_candidate_within_the_distortion_limit_is_chosen(net, labelled):
    codec = Coarse(0, (6, 2, 4, 0))
    distortion = {}
    for bits in codec.choices:
        (one,) = evaluate(net, [CALIBRATION], [Coarse(bits)], [CALIBRATION], "output").codecs
        distortion[bits] = one.output_sqnr_db
    limit = DistortionLimit(sqnr_db=(distortion[4] + distortion[2]) / 2)
    (chosen,) = evaluate(net, labelled, [codec], [CALIBRATION], "output", limit=limit).codecs
    assert chosen.config["bits"] == 2
    assert chosen.notes == ()
    strict = DistortionLimit(sqnr_db=99)
    (lossless,) = evaluate(net, labelled, [codec], [CALIBRATION], "output", limit=strict).codecs
    assert lossless.config["bits"] == 0
    lossy = Coarse(6, (6, 2, 4))
    (least,) = evaluate(net, labelled, [lossy], [CALIBRATION], "output", limit=strict).codecs
    assert least.config["bits"] == 2
    assert "no setting keeps calibration distortion" in least.notes[0]


def test_maps_that_a_plan_stores_by_a_lower_level_are_told(net, labelled):
    plan = compress_model(net, "context-rans", calibration=CALIBRATION).plan
    asked = registry.make("context-rans", level="ultra")
    fallen = Plan(tuple(dataclasses.replace(tap, codec=asked) for tap in plan), plan.metadata)
    (codec,) = evaluate(net, labelled, [fallen]).codecs
    assert {tap.path for tap in codec.taps} == {"default"}
    assert codec.notes == fallbacks_of(fallen)
    assert f"level=ultra: {len(plan)} of {len(plan)} maps have level=default" in codec.notes[0]


def test_plans_run_without_calibration(net, labelled):
    plan = compress_model(net, "zvc", calibration=CALIBRATION).plan
    found = evaluate(net, labelled, [plan])
    assert (found.calibration_images, found.codecs[0].kl_vs_int8, found.metrics) == (0, 0.0, "classes")
    assert found.quantizer == "minmax"
    mixed = Plan((plan[0], dataclasses.replace(plan[1], codec=registry.make("raw"))), plan.metadata)
    assert evaluate(net, labelled, [mixed]).codecs[0].codec == "plan"


def test_chosen_taps_are_stored_and_the_rest_listed(net, labelled):
    found = evaluate(net, labelled, ["zvc"], [CALIBRATION], taps=["head.2"])
    assert [tap.name for tap in found.codecs[0].taps] == ["head.2"]
    assert found.skipped == ("head.4",)


def test_wrong_arguments_say_what_is_missing(net, labelled):
    with pytest.raises(InvalidInput, match="codecs need calibration"):
        evaluate(net, labelled, ["zvc"])
    with pytest.raises(InvalidInput, match="no codec"):
        evaluate(net, labelled, [], [CALIBRATION])
    with pytest.raises(InvalidInput, match="loader: there are no images"):
        evaluate(net, [], ["zvc"], [CALIBRATION])
    with pytest.raises(InvalidInput, match="read more than once"):
        evaluate(net, labelled, ["zvc"], iter([CALIBRATION]))
    with pytest.raises(InvalidInput, match=r"24 images but labels of \[3\]"):
        evaluate(net, [(IMAGES, [0, 1, 2])], ["zvc"], [CALIBRATION])
    with pytest.raises(InvalidInput, match="class indices"):
        evaluate(net, [(IMAGES, torch.rand(24))], ["zvc"], [CALIBRATION])
    with pytest.raises(UnknownCodec):
        evaluate(net, labelled, ["zip"], [CALIBRATION])


def test_the_network_is_left_as_it_was(net, labelled):
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    evaluate(net, labelled, ["zvc"], [CALIBRATION])
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_progress_is_told_in_stages(net, labelled):
    stages = []
    evaluate(net, labelled, ["zvc"], [CALIBRATION], progress=lambda *told: stages.append(told))
    assert stages[-1] == ("evaluating", 24, None)
    assert ("calibrating quantizers", 10, None) in stages
    assert ("collecting training maps", 10, 10) in stages


@pytest.mark.parametrize(("count", "most"), [(1, 64), (64, 64), (65, 64), (1000, 64), (10, 3)])
def test_training_images_are_spread_evenly(count, most):
    chosen = sorted(spread(count, most))
    assert len(chosen) == min(count, most)
    assert chosen[0] == 0
    assert max(np.diff([*chosen, count])) <= math.ceil(count / len(chosen))


def test_percentiles_of_frame_sizes_need_no_list_of_them(net):
    plan = compress_model(net, "zvc", calibration=CALIBRATION).plan
    big = dataclasses.replace(plan[0], shape=(64, 56, 56))
    sizes = np.random.default_rng(0).integers(1, 64 * 56 * 56, 5000).tolist()
    figures = TapStatistics(big, ())
    for size in sizes:
        figures.add(Stored([size], [size], [], 1, 0, 0, []))
    wanted = np.sort(sizes)[math.ceil(0.99 * 5000) - 1]
    assert wanted <= figures.result().frame_bytes_p99 <= wanted + 64 * 56 * 56 / 4096 + 1
    assert figures._sizes.size <= 4097
    assert figures.result().frame_bytes_max == max(sizes)


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet50v2_trunk", "mobilenetv2_trunk", "cifar_resnet20"])
def test_real_networks_run_end_to_end(nets, name):
    size = 32 if name == "cifar_resnet20" else 224
    images = torch.rand(2, 3, size, size)
    found = evaluate(nets.load(name), [images], ["zvc"], [images])
    assert found.capture == "fx"
    assert found.codecs[0].output_sqnr_db == found.int8_baseline.output_sqnr_db > 10
    assert found.codecs[0].ratio_payload > 1


def test_sections_say_where_every_byte_of_the_frames_went():
    torch.manual_seed(0)
    conv, relu = torch.nn.Conv2d, torch.nn.ReLU()
    net = torch.nn.Sequential(conv(3, 8, 3), relu, conv(8, 4, 3), relu, conv(4, 2, 3))
    images = torch.rand(4, 3, 20, 20)
    found = evaluate(net, [images], ["zvc", "context-rans"], calibration=[images])
    for codec, part in zip(found.codecs, ("bitmap", "words"), strict=True):
        for tap in codec.taps:
            assert sum(tap.sections.values()) == tap.total_bytes
            assert tap.sections[part] > 0
