"""What every way of capturing stores, against a second opinion that knows no graph."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import oracle
import tricky

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
