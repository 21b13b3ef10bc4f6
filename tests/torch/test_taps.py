"""Which tensors are taps, what they are called, and that every way of capturing agrees."""

from __future__ import annotations

import pickle

import pytest

torch = pytest.importorskip("torch")

import tricky
from torch import nn

from fmapzip.errors import CaptureError, InvalidInput, InvalidType
from fmapzip.torch import capture, evaluate, taps
from fmapzip.torch.capture import select
from fmapzip.torch.inputs import call

FUNCTIONAL = (tricky.Functional, tricky.Products)
IMAGE = torch.rand(1, 3, 8, 8)
TAPS = {"squeezenet1_1": 17, "resnet50v2_trunk": 39, "mobilenetv2_trunk": 51, "cifar_resnet20": 19}


def listed(found):
    return [(tap.name, tap.shape, tap.readers) for tap in found]


@pytest.mark.parametrize("method", ["fx", "export"])
@pytest.mark.parametrize("network", list(tricky.EXPECTED), ids=lambda network: network.__name__)
def test_graphs_give_the_taps_of_the_definition(network, method):
    assert listed(taps(network().eval(), IMAGE, [method])) == tricky.EXPECTED[network]


@pytest.mark.parametrize("network", [n for n in tricky.EXPECTED if n not in FUNCTIONAL], ids=lambda n: n.__name__)
def test_hooks_give_the_same_names(network):
    if network is tricky.Normalised:
        pytest.skip("hooks cannot see arithmetic on the input")
    assert [tap.name for tap in taps(network().eval(), IMAGE, ["hooks"])] == [t[0] for t in tricky.EXPECTED[network]]


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
@pytest.mark.parametrize("network", list(tricky.EXPECTED), ids=lambda network: network.__name__)
def test_a_captured_network_computes_what_the_network_computes(network, method):
    if network in FUNCTIONAL and method == "hooks":
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


class Keeps(nn.Module):
    """Fills caches, counts, and hooks itself while it runs, as LeViT and others do."""

    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.cache, self.nested, self.calls = {}, {"seen": [set()]}, 0
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        y = torch.relu(self.stem(x))
        self.cache[str(x.device)] = y
        self.nested["seen"].append(y)
        self.nested["seen"][0].add(len(self.nested["seen"]))
        self.calls += 1
        self.late = y
        self.count.add_(1)
        if self.calls == 1:
            self.last.register_forward_hook(lambda *_: None)
        return self.last(y)


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
def test_nothing_that_a_network_keeps_while_it_is_captured_stays(method):
    net = Keeps().eval()
    before = pickle.dumps(net)
    try:
        taps(net, IMAGE, [method])
    except CaptureError:
        assert method == "export"  # refuses networks that keep tensors
    assert pickle.dumps(net) == before


def test_nothing_that_a_network_keeps_while_it_is_evaluated_stays():
    net = Keeps().eval()
    before = pickle.dumps(net)
    images = torch.rand(2, 3, 8, 8)
    evaluate(net, [images], ["zvc"], [images], methods=["fx", "hooks"])
    assert pickle.dumps(net) == before


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
def test_layers_whose_reads_are_not_stored_are_named(method):
    class Closed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.attention = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True)
            self.mix, self.last = nn.Parameter(torch.rand(8, 8)), nn.Linear(8, 2)

        def forward(self, x):
            y = self.stem(x).flatten(2).transpose(1, 2)
            y = self.attention(y, y, y, need_weights=False)[0]
            return self.last(torch.einsum("nlc,cd->nld", y, self.mix))

    captured = capture(Closed().eval(), IMAGE, [method])
    assert [tap.name for tap in captured.taps] == ["last"]
    assert captured.notes[-1] == "what these read is not stored: attention (MultiheadAttention), einsum"


def test_functional_layers_that_hooks_cannot_see_are_named():
    class Mixed(tricky.Functional):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(7, 2)

        def forward(self, x):
            return self.last(torch.relu(super().forward(x)))

    captured = capture(Mixed().eval(), IMAGE, ["hooks"])
    assert captured.notes[-1] == "what these read is not stored: inner.conv2d, linear"


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


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
def test_maps_of_volumes_have_four_dimensions(method):
    captured = capture(tricky.Volumes().eval(), IMAGE, [method])
    found = [(tap.name, tap.shape, tap.axis) for tap in captured.taps]
    assert found == [("volume", (4, 8, 8), 1), ("last", (2, 4, 8, 8), 1)]


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
    with pytest.raises(CaptureError, match="tap 'second' cannot be stored: its first dimension is not the batch"):
        select(found, "second")


def test_what_cannot_be_stored_is_left_out_with_a_note():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.third = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2)

        def forward(self, x):
            y = torch.relu(self.first(x.transpose(0, 1).contiguous()))
            return self.third(torch.relu(self.second(y).transpose(0, 1).sum(1)))

    captured = capture(Mixed().eval(), torch.rand(2, 5, 3))
    assert [tap.name for tap in select(captured.taps, None)] == ["third"]
    assert captured.notes == ("tap 'second' is left out: its first dimension is not the batch",)


def test_taps_are_chosen_by_name_and_glob():
    found = taps(tricky.Twice().eval(), IMAGE)
    assert [tap.name for tap in select(found, "block.0#*")] == ["block.0#2", "block.0#3"]
    assert [tap.name for tap in select(found, ["*", "!block.0#2"])] == ["block.0", "block.0#3"]
    with pytest.raises(InvalidInput, match=r"no tap is named 'stem'; the taps are block\.0, "):
        select(found, ["stem"])
