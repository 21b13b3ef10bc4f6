"""Cuts of a network: which there are, what crosses, and that two halves compute what the whole does."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn

from fmapzip.errors import CaptureError, CorruptFrame, InvalidInput, LimitExceeded, PlanMismatch, UnsupportedVersion
from fmapzip.plan import Plan
from fmapzip.registry import make
from fmapzip.split import cut, cuts, load, save_split
from fmapzip.split.manifest import NAME
from fmapzip.torch import compress_model


class Branches(nn.Module):
    """A stem, two branches of two layers each, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a1, self.a2 = nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 3, padding=1)
        self.b1, self.b2 = nn.Conv2d(4, 5, 1), nn.Conv2d(5, 2, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = torch.relu(self.stem(x))
        a = self.a2(torch.relu(self.a1(x)))
        b = self.b2(torch.relu(self.b1(x)))
        out = self.head(torch.relu(torch.cat([a, b], 1)))
        return {"map": out, "flat": out.view(out.size(0), -1)}


class Skip(nn.Module):
    """A U: a skip that is only concatenated, which no layer reads, and the input's size asked for at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.up = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(x)
        deep = torch.relu(self.deep(torch.max_pool2d(torch.relu(skip), 2)))
        wide = nn.functional.interpolate(deep, scale_factor=2.0)
        return self.up(torch.cat([wide, skip], 1)).reshape(x.shape[0], 2, -1)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def crossing(model: nn.Module, x: Tensor) -> dict[tuple[str, ...], list[str]]:
    return {place.at: [tap.name for tap in place.taps] for place in cuts(model, x)}


def test_a_residual_shortcut_crosses_beside_the_branch(network: nn.Sequential, images: Tensor) -> None:
    found = crossing(network, images[:1])
    assert found[("2.conv1",)] == ["2.conv1"]
    assert found[("2.conv2",)] == ["2.conv1", "2.conv2"]
    assert found[("6",)] == ["6"]
    assert len(found) == 5


def test_branches_side_by_side_are_cut_in_every_combination(x: Tensor) -> None:
    found = crossing(Branches().eval(), x)
    assert found == {
        ("a1",): ["a1"],
        ("a2",): ["a1", "a2"],
        ("b2",): ["a1", "b2"],
        ("a2", "b2"): ["a2", "b2"],
        ("head",): ["head"],
    }


def test_a_skip_that_no_layer_reads_is_counted(x: Tensor) -> None:
    found = crossing(Skip().eval(), x)
    assert found[("deep",)] == ["out:down", "deep"]
    assert [tap.shape for tap in cut(Skip(), x, "deep").taps] == [(4, 8, 8), (4, 4, 4)]


@pytest.mark.parametrize("make_network", [Branches, Skip])
def test_two_halves_are_the_whole_at_every_cut(make_network: type[nn.Module], x: Tensor) -> None:
    network = make_network().eval()
    with torch.inference_mode():
        wanted = network(x)
        for place in cuts(network, x):
            halves = cut(network, x, place.at)
            assert [tap.shape for tap in halves.taps] == [tuple(value.shape[1:]) for value in halves.head(x)]
            got = halves.tail(*halves.head(x))
            if isinstance(wanted, dict):
                assert all(torch.equal(got[name], wanted[name]) for name in wanted)
            else:
                assert torch.equal(got, wanted)


def test_a_network_that_only_torch_export_captures_is_cut(x: Tensor) -> None:
    class Unrolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            if len(x.shape) != 4:
                raise ValueError
            for layer in self.layers:
                x = torch.relu(layer(x))
            return x, x.mean((2, 3))

    network = Unrolled().eval()
    halves = cut(network, x, "layers.2")
    with torch.inference_mode():
        assert all(map(torch.equal, halves.tail(*halves.head(x)), network(x)))


def test_what_cannot_be_cut_says_why(network: nn.Sequential, images: Tensor) -> None:
    with pytest.raises(InvalidInput, match=r"no tap is named \['nowhere'\]; the taps are 2.conv1"):
        cut(network, images[:1], "nowhere")

    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.relu(x) @ y

    with pytest.raises(CaptureError):
        cuts(Two(), images[:1])


def test_head_codec_and_tail_are_the_network_with_that_map_stored(
    network: nn.Sequential, images: Tensor, tmp_path: Path
) -> None:
    for codec in (make("context-rans"), make("context-rans", step=3), make("zvc"), make("dct-cm")):
        manifest = save_split(cut(network, images[:1], "3.conv1"), tmp_path / "net", images, [codec])
        split = load(tmp_path / "net")
        stored = compress_model(network, split.codec.plans[0], example=images[:1])
        with torch.inference_mode():
            maps = split.codec.decode(split.codec.encode(split.head(images)))
            assert torch.equal(split.tail(*maps), stored(images))
            assert torch.equal(split(images), stored(images))
        assert split.manifest == manifest


def test_lossless_codecs_give_what_eight_bits_give(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    outputs = []
    for codec in ("raw", "context-rans", "zvc"):
        save_split(cut(network, images[:1], "3.conv2"), tmp_path / codec, images, [codec])
        outputs.append(load(tmp_path / codec)(images))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_only_the_tail_reads_what_crossed(network: nn.Sequential, images: Tensor, folder: Path) -> None:
    """The shortcut crosses as it was stored; the branch, computed in the head, never saw the stored one."""
    split = load(folder)
    plan = split.codec.plans[2]
    block = network[3]
    with torch.inference_mode():
        shortcut = network[:3](images)
        branch = torch.relu(block.conv1(shortcut))
        as_stored = []
        for name, value in (("3.conv1", shortcut), ("3.conv2", branch)):
            frames = plan.bound(name).encode_batch(plan[name].quantizer.quantize(value.numpy()))
            values = [plan.bound(name).decode(frame) for frame in frames]
            as_stored.append(torch.stack([torch.from_numpy(plan[name].quantizer.dequantize(q)) for q in values]))
        wanted = network[4:](torch.relu(block.conv2(as_stored[1]) + as_stored[0]))
    assert torch.equal(split(images, rung=2), wanted)


def test_results_do_not_depend_on_how_frames_are_gathered(images: Tensor, folder: Path) -> None:
    split = load(folder)
    with torch.inference_mode():
        messages = split.codec.encode(split.head(images), 1)
    together = split.codec.decode(messages, 1)
    alone = [split.codec.decode([message], 1) for message in messages]
    for i, batch in enumerate(together):
        assert torch.equal(batch, torch.cat([maps[i] for maps in alone]))


def test_the_ladder_goes_down(folder: Path) -> None:
    sizes = [rung.bytes for rung in load(folder).manifest.ladder]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 3


def test_what_a_stranger_sends_is_refused_by_kind(images: Tensor, folder: Path) -> None:
    codec = load(folder).codec
    with torch.inference_mode():
        message = codec.encode(load(folder).head(images[:1]))[0]
    for frames, error in (
        ([message[0]], CorruptFrame),
        ([message[0], message[0]], PlanMismatch),
        ([message[0], message[1][:-1]], ValueError),
        ([message[0], message[1][:-1] + bytes([message[1][-1] ^ 1])], CorruptFrame),
        ([message[0], bytes(10**6)], LimitExceeded),
    ):
        with pytest.raises(error):
            codec.decode([frames])
    with pytest.raises(PlanMismatch):
        codec.decode([message], rung=1)
    with pytest.raises(InvalidInput, match="no rung 9"):
        codec.decode([message], rung=9)


def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    for name, error in (("tail.pt2", InvalidInput), ("rung-0.fmzp", InvalidInput), (NAME, InvalidInput)):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 0x80
        (copy / name).write_bytes(data)
        with pytest.raises(error, match=name):
            load(copy)
    later = tmp_path / "later"
    later.mkdir()
    (later / NAME).write_text('{"schema": 2}')
    with pytest.raises(UnsupportedVersion):
        load(later)


def test_what_is_no_split_is_left_alone(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="left alone"):
        save_split(cut(network, images[:1], "6"), tmp_path, images)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_link_to_a_split_stays_one(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    whole = cut(network, images[:1], "2.conv1")
    (tmp_path / "splits").mkdir()
    save_split(whole, tmp_path / "splits" / "net", images, ["zvc"])
    (tmp_path / "current").symlink_to(tmp_path / "splits" / "net")
    manifest = save_split(whole, tmp_path / "current", images)
    assert (tmp_path / "current").is_symlink()
    assert load(tmp_path / "splits" / "net").manifest == manifest
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_dir()) == ["current", "net", "splits"]


def test_the_same_split_again_is_the_same(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    plans = []
    for _ in range(2):
        save_split(cut(network, images[:1], "6"), tmp_path / "net", images)
        plans.append(Plan.load(tmp_path / "net" / "rung-0.fmzp"))
    assert plans[0] == plans[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]


def test_the_command_writes_a_split_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fmapzip.cli.app import run
    from fmapzip.cli.exits import Exit
    from fmapzip.eval.request import Request
    from fmapzip.eval.request import load as load_request

    where = ["split", "demo", "demo", "--limit", "40", "-o", str(tmp_path / "net")]
    assert run([*where, "--at", "nowhere"]) == Exit.INPUT
    capsys.readouterr()
    first = load_request(Request("demo", "demo", limit=40))
    image, _ = next(iter(first.images))
    at = cuts(first.model, image[:1])[2].at[0]
    assert run([*where, "--at", at, "--codec", "context-rans", "--codec", "context-rans:step=4"]) == Exit.OK
    assert "context-rans step=4" in capsys.readouterr().out
    split = load(tmp_path / "net")
    assert split.manifest.at == (at,)
    with torch.inference_mode():
        assert (split(image).argmax(1) == first.model(image).argmax(1)).float().mean() > 0.9


def test_a_ladder_by_budgets_keeps_to_each_of_them(tmp_path: Path) -> None:
    """On images that neither chose nor verified, with some room for what images differ by."""
    from fmapzip.cli.app import run
    from fmapzip.cli.exits import Exit
    from fmapzip.eval.request import Request
    from fmapzip.eval.request import load as read
    from fmapzip.torch.metrics import Scores

    command = ["split", "demo", "demo", "--limit", "100", "--calib", "first:40", "-o", str(tmp_path / "net")]
    budgets = (0.3, 0.002, 0.03)
    limits = [text for budget in budgets for text in ("--max-kl", str(budget))]
    assert run([*command, "--at", "stages.2.conv1", *limits, "--codec", "context-rans"]) == Exit.OK
    split = load(tmp_path / "net")
    sizes = [rung.bytes for rung in split.manifest.ladder]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)
    inputs = read(Request("demo", "demo", limit=100, calib="first:40"))
    lost = []
    with torch.inference_mode():
        for rung in range(3):
            found = [(Scores(inputs.model(x)), Scores(split(x, rung))) for x, _ in inputs.images]
            lost.append(float(torch.cat([a.divergence_to(b) for a, b in found]).mean()))
    assert all(each <= 2 * budget for each, budget in zip(lost, sorted(budgets), strict=True))
    assert lost == sorted(lost)


def test_budgets_that_make_no_ladder_are_refused(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    from fmapzip.planner.budget import Budget

    at = cut(network, images[:1], "3.conv2")
    with pytest.raises(InvalidInput, match="all of KL or all of SQNR"):
        save_split(at, tmp_path / "net", images, budgets=[Budget("kl", 0.1), Budget("sqnr", 20)])
    with pytest.raises(InvalidInput, match="no plan of what crosses keeps to"):
        save_split(at, tmp_path / "net", images, budgets=[Budget("sqnr", 200)], metrics="output")
    assert not (tmp_path / "net").exists()
