"""Which tensors are taps, what they are called, and that every way of capturing agrees."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import tricky
from torch import nn

from fmapzip.errors import CaptureError, InvalidInput, InvalidType
from fmapzip.torch import capture, taps
from fmapzip.torch.capture import select
from fmapzip.torch.inputs import call

IMAGE = torch.rand(1, 3, 8, 8)
TAPS = {"squeezenet1_1": 17, "resnet50v2_trunk": 39, "mobilenetv2_trunk": 51, "cifar_resnet20": 19}


def listed(found):
    return [(tap.name, tap.shape, tap.readers) for tap in found]


@pytest.mark.parametrize("method", ["fx", "export"])
@pytest.mark.parametrize("network", list(tricky.EXPECTED), ids=lambda network: network.__name__)
def test_graphs_give_the_taps_of_the_definition(network, method):
    assert listed(taps(network().eval(), IMAGE, [method])) == tricky.EXPECTED[network]


@pytest.mark.parametrize(
    "network", [n for n in tricky.EXPECTED if n not in (tricky.Functional, tricky.Split)], ids=lambda n: n.__name__
)
def test_hooks_give_the_same_names(network):
    if network is tricky.Normalised:
        pytest.skip("hooks cannot see arithmetic on the input")
    assert [tap.name for tap in taps(network().eval(), IMAGE, ["hooks"])] == [t[0] for t in tricky.EXPECTED[network]]


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
@pytest.mark.parametrize("network", list(tricky.EXPECTED), ids=lambda network: network.__name__)
def test_a_captured_network_computes_what_the_network_computes(network, method):
    if network is tricky.Functional and method == "hooks":
        pytest.skip("hooks cannot see functional layers")
    net = network().eval()
    captured = capture(net, IMAGE, [method])
    batch = torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(captured.module(batch), net(batch))


@pytest.mark.parametrize("name", TAPS)
def test_real_networks_have_the_same_taps_under_every_capture(nets, name):
    net = nets.load(name)
    example = torch.rand(1, 3, 32, 32) if name == "cifar_resnet20" else torch.rand(1, 3, 224, 224)
    by_fx, by_export, by_hooks = (taps(net, example, [method]) for method in ("fx", "export", "hooks"))
    assert len(by_fx) == TAPS[name]
    assert by_fx == by_export == by_hooks


def test_every_reader_sees_what_a_slot_returns():
    net = tricky.Residual().eval()
    captured = capture(net, IMAGE)
    captured.slots[0].action = torch.zeros_like
    with torch.no_grad():
        zero = torch.zeros(1, 4, 8, 8)
        torch.testing.assert_close(captured.module(IMAGE), net.left(zero) + net.right(zero))


def test_a_slot_holds_the_tensor_after_in_place_operations():
    seen = {}
    captured = capture(tricky.InPlace().eval(), IMAGE)
    for slot in captured.slots:
        slot.action = lambda x, name=slot.name: seen.setdefault(name, x.clone())
    with torch.no_grad():
        captured.module(IMAGE)
    assert seen["mid"].min() == 0
    assert seen["last"].max() == -0.5


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
def test_several_inputs_and_structured_outputs(method):
    net = tricky.ManyInputs().eval()
    image, extra = torch.rand(2, 3, 4, 4), torch.rand(2, 5)
    by_position = capture(net, (image, extra), [method])
    by_name = capture(net, {"image": image, "extra": extra}, [method])
    assert [tap.name for tap in by_position.taps] == ["head"]
    with torch.no_grad():
        wanted = net(image, extra)
        for captured, inputs in ((by_position, (image, extra)), (by_name, {"image": image, "extra": extra})):
            got = call(captured.module, inputs)
            assert list(got) == ["logits", "features"]
            torch.testing.assert_close(got["features"], wanted["features"])


def test_networks_without_a_graph_fall_back_to_hooks_and_say_so():
    captured = capture(tricky.Branching().eval(), IMAGE)
    assert captured.method == "hooks"
    assert [tap.name for tap in captured.taps] == ["low", "high"]
    notes = "; ".join(captured.notes)
    assert "torch.fx failed" in notes
    assert "torch.export failed" in notes
    assert "sums and concatenations" in notes


def test_training_mode_is_put_back():
    net = tricky.Classifier().train()
    net.features.eval()
    assert [tap.name for tap in taps(net, IMAGE)] == ["head.2", "head.4"]
    assert net.training
    assert net.head.training
    assert not net.features.training


def test_capturing_leaves_the_network_as_it_was():
    net = tricky.Residual().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    names = [name for name, _ in net.named_modules()]
    for method in ("fx", "export", "hooks"):
        capture(net, IMAGE, [method])
    assert names == [name for name, _ in net.named_modules()]
    assert not net.left._forward_pre_hooks
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_network_that_fails_is_an_error_that_says_why():
    with pytest.raises(CaptureError, match="Residual does not run on the example: RuntimeError"):
        taps(tricky.Residual(), torch.rand(1, 5, 8, 8))
    with pytest.raises(CaptureError, match=r"expected a torch\.nn\.Module, got function"):
        taps(lambda x: x, IMAGE)
    with pytest.raises(CaptureError, match=r"Branching cannot be captured; torch\.fx failed: TraceError"):
        taps(tricky.Branching(), IMAGE, ["fx"])


@pytest.mark.parametrize(
    ("example", "error"),
    [
        (torch.zeros(0, 3, 8, 8), InvalidInput),
        ((), InvalidInput),
        ("image", InvalidType),
        (torch.zeros(()), InvalidInput),
    ],
)
def test_examples_without_a_batch_are_refused(example, error):
    with pytest.raises(error):
        taps(tricky.Residual(), example)


def test_a_compiled_network_is_captured_as_what_was_compiled():
    net = tricky.Residual().eval()
    assert taps(torch.compile(net), IMAGE) == taps(net, IMAGE)


def test_a_scripted_network_cannot_be_captured():
    with pytest.raises(CaptureError, match="no convolution or linear layer was seen"):
        taps(torch.jit.script(tricky.Residual().eval()), IMAGE)


def test_a_network_without_feature_maps_has_no_taps_and_nothing_to_store():
    found = taps(nn.Sequential(nn.Conv2d(3, 2, 1)), IMAGE)
    assert found == []
    with pytest.raises(CaptureError, match="no feature map is left"):
        select(found, None)


def test_unknown_methods_are_refused():
    with pytest.raises(InvalidInput, match="fx, export, hooks"):
        taps(tricky.Residual(), IMAGE, ["jit"])


def test_a_tap_of_five_dimensions_is_listed_and_refused_by_name():
    found = taps(tricky.Volumes().eval(), IMAGE)
    assert [(tap.name, bool(tap.problem)) for tap in found] == [("volume", False), ("last", True)]
    with pytest.raises(CaptureError, match=r"tap 'last' cannot be stored: it has 5 dimensions"):
        select(found, None)
    assert [tap.name for tap in select(found, "!last")] == ["volume"]


def test_a_tap_without_batch_dimension_is_refused_by_name():
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            y = self.first(x.transpose(0, 1).contiguous())
            return self.second(torch.relu(y)).transpose(0, 1)

    found = taps(TimeFirst(), torch.rand(2, 5, 3))
    assert [(tap.name, tap.problem) for tap in found] == [("second", "its first dimension is not the batch")]


def test_taps_are_chosen_by_name_and_glob():
    found = taps(tricky.Twice().eval(), IMAGE)
    assert [tap.name for tap in select(found, "block.0#*")] == ["block.0#2", "block.0#3"]
    assert [tap.name for tap in select(found, ["*", "!block.0#2"])] == ["block.0", "block.0#3"]
    with pytest.raises(InvalidInput, match=r"no tap is named 'stem'; the taps are block\.0, "):
        select(found, ["stem"])
