"""Networks that cannot be written down as a graph, but whose parts can."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

import oracle
from torch import nn
from torch.nn import functional as F

from fmapzip.errors import CaptureError
from fmapzip.torch import capture, compress_model, evaluate, taps


def undecided(x):
    """Control flow that depends on values, which no graph can write down."""
    return x if float(x.detach().sum()) == float(x.detach().sum()) else -x


class Residual(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        x = F.relu(x)
        return x + self.second(F.relu(self.first(x)))


class Backbone(nn.Module):
    """Returns maps that only its callers' layers read."""

    def __init__(self):
        super().__init__()
        self.stem, self.block = nn.Conv2d(3, 8, 1), Residual()

    def forward(self, x):
        fine = self.block(self.stem(x))
        return {"fine": fine.relu(), "coarse": F.max_pool2d(fine, 2)}


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower, self.scores = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, maps):
        return [self.scores(self.tower(x).relu()) for x in maps]


class Detector(nn.Module):
    """A backbone, heads on its maps, and pooled regions of them, with decisions in between."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = Backbone(), Head()
        self.regions = nn.Sequential(nn.Flatten(), nn.Linear(8 * 4, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        maps = self.backbone(undecided(x))
        dense = self.head(list(maps.values()))
        chosen = F.adaptive_max_pool2d(maps["fine"], 2)
        chosen = chosen[chosen.amax((1, 2, 3)) > -1e9]
        return dense, self.regions(chosen)


class Loose(nn.Module):
    """A layer of the network itself reads what a part returned, and a part what a layer read."""

    def __init__(self):
        super().__init__()
        self.block, self.other, self.last = Residual(3), Residual(3), nn.Linear(3, 2)
        self.between = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = undecided(self.block(x))
        z = torch.sigmoid(self.between(y) + y)
        return self.last(self.other(z).flatten(2).transpose(1, 2)) + self.between(z).mean()


@pytest.fixture
def images():
    return torch.randn(2, 3, 8, 8)


@pytest.mark.parametrize("network", [Detector, Loose])
def test_maps_of_parts_are_those_of_the_network(network, images):
    net = network().eval()
    captured = capture(net, images[:1])
    assert captured.method == "hooks"
    assert taps(net, images[:1], ["hooks"]) == list(captured.taps)
    oracle.check(captured, net, images)
    assert not any("forward" in vars(module) for module in net.modules())


def test_what_reads_a_map_of_a_part_reads_what_was_stored(images):
    net = Detector().eval()
    captured = capture(net, images[:1])
    assert "with graphs of backbone, head, regions: elsewhere" in captured.notes[-1]
    assert [tap.readers for tap in captured.taps][2:4] == [("head.tower",), ("head.scores",)]
    oracle.check(captured, net, images, everywhere=True)


def test_parts_are_left_alone_where_hooks_are_asked_for(images):
    captured = capture(Detector().eval(), images[:1], ["hooks"])
    assert "module hooks: sums" in captured.notes[-1]


def test_a_network_with_parts_is_stored_and_measured(images):
    net = Detector().eval()
    stored = compress_model(net, "zvc", calibration=images)
    expected = stored(images)[1]
    torch.testing.assert_close(copy.deepcopy(stored)(images)[1], expected)
    assert stored(images[:1])[1].shape == (1, 3)
    assert len(stored.report().taps) == len(stored.taps) == 8
    found = evaluate(nn.Sequential(net, Second()), [images], ["zvc"], calibration=[images])
    assert found.codecs[0].ratio_total > 0


class Second(nn.Module):
    def forward(self, both):
        return both[1]


def test_a_part_that_writes_into_what_it_is_given_stays_hooked(images):
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 1)
            self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1))

        def forward(self, x):
            y = undecided(self.stem(x))
            return self.block(y) + y

    net = Writes().eval()
    captured = capture(net, images[:1])
    assert "module hooks: sums" in captured.notes[-1]
    oracle.check(captured, net, images)


class Often(nn.Module):
    """Calls a part as often as it is told."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.times = nn.Conv2d(3, 3, 1), Residual(3), 1

    def forward(self, x):
        x = undecided(self.stem(x))
        for _ in range(self.times):
            x = self.block(x)
        return x


def test_a_part_that_is_called_more_often_than_on_the_example_is_refused(images):
    net = Often().eval()
    captured = capture(net, images)
    assert "graphs of block" in captured.notes[-1]
    net.times = 2
    with pytest.raises(CaptureError, match="block was called again"):
        captured.module(images)


def test_a_part_that_is_called_twice_is_looked_into(images):
    net = Often().eval()
    net.times = 2
    captured = capture(net, images[:1])
    assert [tap.name for tap in captured.taps] == ["block.first", "block.second", "block.first#2", "block.second#2"]
    oracle.check(captured, net, images)


def test_nothing_is_stored_of_an_empty_batch(images):
    stored = compress_model(Detector().eval(), "zvc", calibration=images)
    stored(images)
    stored.reset_report()
    assert stored.network.parts
    assert stored(images[:0])[1].shape == (0, 3)
    assert stored.report().raw_bytes == 0


def test_a_failed_export_prints_no_graph(images, capfd):
    class Selects(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.last = nn.Conv2d(3, 8, 1), nn.Linear(8, 2)

        def forward(self, x):
            y = self.stem(x).mean((2, 3))
            y = y[y[:, 0] > -1e9]
            return self.last(y) if y.numel() else y

    capture(Selects().eval(), images)
    assert "aten" not in "".join(capfd.readouterr())
