"""The command ``fmapzip tune``: weights and a plan that ``eval`` runs, resuming, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from fmapzip.cli import tune as command
from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit
from fmapzip.plan import Plan

NETWORK = """
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32, 4)).eval()


def loss(outputs, wanted, labels):
    return (outputs - wanted).abs().mean()


def broken(outputs, wanted, labels):
    return outputs.logits
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder, and the arguments that name a small network, its images, and others to tune on."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "net.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    np.save(folder / "images.npy", rng.normal(0, 1, (20, 1, 12, 12)).astype(np.float32))
    images = rng.normal(0, 1, (48, 1, 12, 12)).astype(np.float32)
    np.savez(folder / "more.npz", images=images, labels=np.arange(48) % 4)
    where = [f"{folder / 'net.py'}:network", str(folder / "images.npy"), "--preprocess", "none", "--calib", "every:2"]
    return folder, [*where, "--tune-on", str(folder / "more.npz"), "--batch", "16", "--label-weight", "0.5"]


def outputs(folder: Path, name: str) -> list[str]:
    return ["-o", str(folder / f"{name}.safetensors"), "--plan-out", str(folder / f"{name}.fmzp")]


def test_weights_and_plan_are_written_reported_and_run(
    job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    report = folder / "tune.json"
    more = ["--epochs", "4", "--lambda", "2", "--mirror", "--json", str(report), "--html", str(folder / "tune.html")]
    assert run(["tune", *where, *outputs(folder, "out"), *more]) == Exit.OK
    printed = capsys.readouterr()
    assert "epoch 4: " in printed.err
    assert "bits before" in printed.out
    found = json.loads(report.read_text())
    assert found["plan"]["hash"] == Plan.load(folder / "out.fmzp").hash.hex()
    assert found["tuning_images"] == 48
    assert found["epochs"][-1]["real_bits"] < found["epochs"][0]["real_bits"]
    assert [tap["name"] for tap in found["taps"]] == ["2", "6"]
    bits = [found["epochs"][0]["real_bits"], *(point["real_bits"] for point in found["untuned"])]
    assert bits == sorted(bits, reverse=True)
    assert "<title>Tuning: net.py:network on more.npz</title>" in (folder / "tune.html").read_text()
    assert found["protocol"]["lambda"] == 2
    assert not (folder / "out.safetensors.state").exists()

    evaluated = folder / "eval.json"
    tuned = ["--weights", str(folder / "out.safetensors"), "--plan", str(folder / "out.fmzp")]
    assert run(["eval", *where[:6], *tuned, "--json", str(evaluated)]) == Exit.OK
    (entry,) = json.loads(evaluated.read_text())["codecs"]
    assert entry["ratio_payload"] > 1
    assert not entry["notes"]
    assert run(["eval", *where[:6], *tuned[2:]]) == Exit.OK
    assert "tuned together with other weights" in " ".join(capsys.readouterr().out.split())


def test_a_run_that_was_interrupted_goes_on_to_the_same_result(
    job: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    assert run(["tune", *where, *outputs(folder, "whole"), "--epochs", "3"]) == Exit.OK

    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "_tell", interrupt)
        assert run(["tune", *where, *outputs(folder, "parts"), "--epochs", "3"]) == Exit.INTERRUPTED
    assert "goes on from it" in capsys.readouterr().err
    assert not (folder / "parts.safetensors").exists()
    assert run(["tune", *where, *outputs(folder, "parts"), "--epochs", "3"]) == Exit.OK
    for ending in ("safetensors", "fmzp"):
        assert (folder / f"whole.{ending}").read_bytes() == (folder / f"parts.{ending}").read_bytes()


@pytest.mark.parametrize(
    ("target", "told"), [(["--target-ratio", "4"], "a ratio of 4;"), (["--max-kl", "0.01"], "a KL of 0.01;")]
)
def test_what_was_asked_for_is_told_beside_what_it_came_to(
    job: tuple[Path, list[str]], target: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    assert run(["tune", *where, *outputs(folder, "target"), "--epochs", "1", *target]) == Exit.OK
    printed = capsys.readouterr().out
    assert f"asked for {told} held-back images have " in " ".join(printed.split())


def test_zero_epochs_write_the_weights_as_they_were(job: tuple[Path, list[str]]) -> None:
    folder, where = job
    assert run(["tune", *where, *outputs(folder, "none"), "--epochs", "0"]) == Exit.OK
    space: dict[str, object] = {}
    exec(NETWORK, space)
    network = space["network"]()  # type: ignore[operator]
    written = load_file(str(folder / "none.safetensors"))
    assert all(torch.equal(value, written[name]) for name, value in network.state_dict().items())


def test_a_loss_of_the_users_trains(job: tuple[Path, list[str]]) -> None:
    folder, where = job
    loss = ["--loss", f"{folder / 'net.py'}:loss", "--epochs", "1", "--rate", "l1"]
    assert run(["tune", *where[:-2], *outputs(folder, "loss"), *loss]) == Exit.OK


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--codec", "zvc", "--plan", "some.fmzp"], "--codec or --plan"),
        (["--target-ratio", "4", "--max-kl", "0.1"], "one target"),
        (["--rate", "guess"], "no rate 'guess'"),
        (["--device", "quantum"], "--device quantum"),
        (["--tune-on", "nowhere"], "'nowhere'"),
        (["-o", "weights.pt"], ".safetensors"),
        (["--plan-out", "{folder}/refused.safetensors"], "two outputs of this command are named so"),
        (["--state", "{folder}/refused.fmzp"], "two outputs of this command are named so"),
        (["--html", "{folder}/nowhere/page.html"], "no such directory"),
        (["--loss", "{folder}/net.py:loss"], "label_weight is of the task"),
        (["--loss", "{folder}/net.py:broken", "--label-weight", "0"], "net.py:broken': AttributeError"),
        (["--device", "meta"], "--device meta"),
        (["--plan", "{folder}/net.py"], "net.py: not a plan"),
        (["--batch-norms"], "batch_norms: the network, captured by fx, has none"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    job: tuple[Path, list[str]], more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    more = [each.replace("{folder}", str(folder)) for each in more]
    assert run(["tune", *where, *outputs(folder, "refused"), *more]) == Exit.INPUT
    assert told in capsys.readouterr().err
    assert not (folder / "refused.safetensors").exists()


def test_it_is_told_where_reported_images_train(
    job: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, where = job
    same = ["--tune-on", f"{folder}/./images.npy", "--label-weight", "0", "--epochs", "0"]
    assert run(["tune", *where, *outputs(folder, "same"), *same]) == Exit.OK
    assert "these are the images that eval reports" in " ".join(capsys.readouterr().err.split())


def test_onnx_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "net.onnx", "demo", *outputs(tmp_path, "out")]) == Exit.INPUT
    assert "net.onnx" in capsys.readouterr().err
