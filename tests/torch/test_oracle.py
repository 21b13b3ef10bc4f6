"""What every way of capturing stores, against a second opinion that knows no graph."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import oracle
import tricky
from torch import nn
from torch.nn import functional as F

from fmapzip.errors import CaptureError
from fmapzip.torch import capture

BATCH = 2


@pytest.fixture
def images():
    return torch.randn(BATCH, 3, 8, 8)


@pytest.mark.parametrize("method", ["fx", "export"])
@pytest.mark.parametrize("network", list(tricky.EXPECTED), ids=lambda network: network.__name__)
def test_graphs_store_what_layers_read(network, method, images):
    net = network().eval()
    oracle.check(capture(net, images[:1], [method]), net, images)


@pytest.mark.parametrize("network", tricky.WRITES_THROUGH_VIEWS, ids=lambda network: network.__name__)
def test_writes_through_views_are_captured_as_they_are_read(network, images):
    net = network().eval()
    captured = capture(net, images[:1])
    assert captured.method == "export"
    oracle.check(captured, net, images)


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
@pytest.mark.parametrize("network", tricky.WRITES_THROUGH_VIEWS, ids=lambda network: network.__name__)
def test_each_capture_of_writes_through_views_is_right_or_refused(network, method, images):
    net = network().eval()
    if method == "fx":
        with pytest.raises(CaptureError, match=r"later read|item assignment"):
            capture(net, images[:1], [method])
    else:
        oracle.check(capture(net, images[:1], [method]), net, images)


def test_a_write_that_no_graph_shows_is_captured_by_hooks(images):
    net = tricky.WritesData().eval()
    captured = capture(net, images[:1])
    assert captured.method == "hooks"
    oracle.check(captured, net, images)


def test_memory_that_nothing_reads_is_not_looked_at(images):
    folds = nn.Sequential(
        nn.Conv2d(3, 36, 2, 2), nn.Flatten(2), nn.Fold((8, 8), 3, padding=1, stride=2), nn.Conv2d(4, 2, 1)
    )
    oracle.check(capture(folds.eval(), images[:1]), folds, images)


class Hidden(nn.Module):
    """Products that are no feature map's: inside layers taken as one, and over more axes than one."""

    def __init__(self):
        super().__init__()
        self.stem, self.attention = nn.Conv2d(3, 8, 1), nn.MultiheadAttention(8, 2, batch_first=True)
        self.lstm, self.pair = nn.LSTM(8, 8, batch_first=True), nn.Bilinear(8, 8, 8)
        self.mix, self.last = nn.Parameter(torch.rand(8, 8)), nn.Linear(8, 2)

    def forward(self, x):
        y = self.stem(x).flatten(2).transpose(1, 2)
        y = self.lstm(self.attention(y, y, y, need_weights=False)[0])[0]
        return self.last(self.pair(y, y) + torch.einsum("nlc,cd->nld", y, self.mix))


@pytest.mark.parametrize("method", ["fx", "export"])
def test_every_product_with_a_parameter_is_a_reader_or_named(method, images):
    net = Hidden().eval()
    captured = capture(net, images, [method])
    oracle.check(captured, net, images)
    assert oracle.named_unseen(captured) == {"attention", "lstm", "pair", ""}


class Products(nn.Module):
    """A stem, a product with a parameter, and a layer behind it."""

    def __init__(self, product):
        super().__init__()
        self.stem, self.last, self.product = nn.Conv2d(3, 8, 1), nn.Linear(8, 2), product
        self.mix, self.bias = nn.Parameter(torch.rand(8, 8)), nn.Parameter(torch.rand(8))

    def forward(self, x):
        y = torch.relu(self.stem(x)).permute(0, 2, 3, 1)
        return self.last(self.product(y, self.mix, self.bias))


@torch.library.custom_op("fmapzip_tests::mixed", mutates_args=())
def mixed(x: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    return torch.tensordot(x, mix, 1)


@mixed.register_fake
def _(x, mix):
    return x.new_empty(*x.shape[:-1], mix.shape[1])


UNSTORED = {
    "inner": lambda y, mix, _: torch.inner(y, mix),
    "linalg_multi_dot": lambda y, mix, _: torch.linalg.multi_dot([y.reshape(-1, 8), mix, mix]).view_as(y),
    "mv": lambda y, mix, _: y * torch.mv(mix, y.mean((0, 1, 2))),
    "bilinear": lambda y, mix, _: F.bilinear(y, y, mix.repeat(8, 1, 1)),
    "mixed": lambda y, mix, _: mixed(y, mix),
}


@pytest.mark.parametrize("method", ["fx", "export", "hooks"])
@pytest.mark.parametrize("name", UNSTORED)
def test_products_that_are_no_linear_layers_are_named(name, method, images):
    net = Products(UNSTORED[name]).eval()
    if (name, method) == ("linalg_multi_dot", "export"):
        with pytest.raises(CaptureError, match="batch"):  # it asks which order of products is the fastest
            capture(net, images[:1], [method])
        return
    captured = capture(net, images[:1], [method])
    assert captured.notes[-1] == f"what these read is not stored: {name}"
    oracle.check(captured, net, images[:1])


@pytest.mark.parametrize("method", ["fx", "export"])
def test_factors_by_name_are_those_of_a_linear_layer(method, images):
    for product in (
        lambda y, mix, _: torch.matmul(input=y, other=mix),
        lambda y, mix, _: torch.linalg.matmul(y, mix),
        lambda y, mix, bias: torch.addmm(input=bias, mat1=y.reshape(-1, 8), mat2=mix).view_as(y),
    ):
        net = Products(product).eval()
        captured = capture(net, images[:1], [method])
        assert [tap.name for tap in captured.taps] == ["matmul", "last"]
        oracle.check(captured, net, images)


def attended(y, mix, bias):
    tokens = y.flatten(1, 2).transpose(0, 1)
    weights = mix.repeat(3, 1), None, None, None, False, 0.0, mix, bias
    found = F.multi_head_attention_forward(tokens, tokens, tokens, 8, 2, *weights, False, need_weights=False)[0]
    return found.transpose(0, 1).reshape(y.shape)


def test_linear_layers_inside_of_functional_attention_are_seen_by_export_and_named_by_hooks(images):
    net = Products(attended).eval()
    captured = capture(net, images[:1])
    assert captured.method == "export"
    assert [tap.name for tap in captured.taps] == ["linear", "linear#2", "last"]
    stored = {}
    with oracle.acting(captured, lambda name, x: stored.setdefault(name, x.clone())):
        torch.testing.assert_close(oracle.run(captured.module, images), oracle.run(net, images))
    torch.testing.assert_close(stored["linear"], torch.relu(net.stem(images)))
    hooked = capture(net, images[:1], ["hooks"])
    assert hooked.notes[-1] == "what these read is not stored: multi_head_attention_forward"


def test_layers_inside_of_a_layer_taken_as_one_are_no_taps(images):
    class Encodes(Products):
        def __init__(self):
            super().__init__(lambda y, *_: self.encoder(y.flatten(1, 2)))
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    net = Encodes().eval()
    captured = capture(net, images[:1])
    assert "encoder (TransformerEncoderLayer)" in captured.notes[-1]
    assert [tap.name for tap in captured.taps] == ["last"]
    oracle.check(captured, net, images)


def test_weights_computed_while_hooks_look_are_parameters_too(images):
    net = Products(lambda y, mix, _: y.flatten(1, 2) @ (mix * 2).mT).eval()
    captured = capture(net, images[:1], ["hooks"])
    assert captured.notes[-1] == "what these read is not stored: matmul"
