"""What every way of capturing stores, against a second opinion that knows no graph."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import oracle
import tricky
from torch import nn

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
