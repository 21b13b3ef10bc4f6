import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from fmapzip.archive import Archive
from fmapzip.cli.app import run
from interrupts import heed_interrupts

CODEC_KEYS = {
    "codec", "config", "ratio_payload", "ratio_total", "ratio_vs_fp32", "bits_per_value", "plan_bytes", "top1", "top5",
    "changed_vs_int8", "changed_vs_float", "kl_vs_float", "kl_vs_int8", "output_sqnr_db", "encode_mb_per_s",
    "decode_mb_per_s", "seconds", "taps",
}  # fmt: skip
TAP_KEYS = {
    "name", "shape", "readers", "zeros", "path", "raw_bytes", "payload_bytes", "total_bytes", "frame_bytes_max",
    "frame_bytes_p99", "sqnr_db",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def report(folder: Path) -> dict:
    arguments = ["eval", "demo", "demo", "--codec", "zvc", "--codec", "raw", "--limit", "50"]
    assert run([*arguments, "--json", "r.json", "--per-image", "images.jsonl"]) == 0
    return json.loads((folder / "r.json").read_text())


def test_the_report_has_every_key_of_schema_1(report: dict) -> None:
    assert report["schema"] == 1
    assert (report["images"], report["calibration_images"], report["quantizer"]) == (40, 10, "minmax")
    assert report["baselines"]["float"].keys() >= {"top1", "top5", "seconds"}
    assert report["baselines"]["int8"].keys() >= {"top1", "top5", "changed_vs_float", "kl_vs_float", "seconds"}
    assert report["environment"]["simd"]
    for entry in report["codecs"]:
        assert entry.keys() >= CODEC_KEYS
        for tap in entry["taps"]:
            assert tap.keys() >= TAP_KEYS


def test_a_lossless_codec_changes_nothing_and_its_figures_add_up(report: dict) -> None:
    zvc, raw = report["codecs"]
    assert (zvc["changed_vs_int8"], zvc["kl_vs_int8"]) == (0, 0.0)
    assert raw["ratio_payload"] == 1
    for entry in report["codecs"]:
        stored = sum(tap["total_bytes"] for tap in entry["taps"])
        original = sum(tap["raw_bytes"] for tap in entry["taps"])
        assert entry["ratio_total"] == pytest.approx(original / (stored + entry["plan_bytes"]))
        assert entry["ratio_vs_fp32"] == pytest.approx(4 * entry["ratio_total"])
        assert entry["bits_per_value"] == pytest.approx(8 / entry["ratio_total"])
        assert original == 40 * sum(int(np.prod(tap["shape"])) for tap in entry["taps"])


def test_per_image_lines_sum_to_the_report(report: dict, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "images.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(40))
    assert lines[0]["image"] == "digit 1348"
    zvc = report["codecs"][0]
    assert sum(line["codecs"][0]["frame_bytes"] for line in lines) == sum(tap["total_bytes"] for tap in zvc["taps"])
    assert np.mean([line["codecs"][0]["kl_vs_float"] for line in lines]) == pytest.approx(zvc["kl_vs_float"])
    right = np.mean([line["int8_prediction"] == line["label"] for line in lines])
    assert right == pytest.approx(report["baselines"]["int8"]["top1"])


def test_the_table_names_taps_images_and_quantizer(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["eval", "demo", "demo", "--codec", "zvc", "--limit", "20", "--taps", "stages.1.*", "--taps", "cl*"]
    assert run([*arguments, "--quantizer", "percentile:99.9"]) == 0
    shown = capsys.readouterr().out
    assert "16 images, calibrated on 4 others, 8-bit quantizer percentile:99.9" in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("st", "cl"))] == [
        "stages.1.conv1",
        "stages.1.conv2",
        "classifier",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_tables_keep_to_the_width_and_never_cut_a_figure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert run(["eval", "demo", "demo", "--codec", "zvc", "--limit", "20"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown


def test_networks_without_class_scores_are_reported_by_their_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "trunk.py").write_text(
        "import torch\nfrom fmapzip.demo import network\n"
        "def net(): return torch.nn.Sequential(network().stem, network().stages)\n"
    )
    assert run(["eval", "trunk.py:net", "demo", "--codec", "zvc", "--limit", "20", "--json", "r.json"]) == 0
    report = json.loads((folder / "r.json").read_text())
    assert report["baselines"]["float"]["top1"] is None
    assert report["codecs"][0]["kl_vs_float"] is None
    assert report["codecs"][0]["output_sqnr_db"] > 20
    assert "SQNR" in capsys.readouterr().out


def test_json_on_stdout_is_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["eval", "demo", "demo", "--codec", "zvc", "--limit", "10", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "demo"


def test_a_plan_runs_without_calibration_and_gives_what_its_codec_gave(folder: Path, report: dict) -> None:
    from fmapzip.eval.request import Request, load
    from fmapzip.torch import compress_model

    inputs = load(Request("demo", "demo", limit=50))
    compress_model(inputs.model, "zvc", calibration=inputs.calibration).plan.save(folder / "zvc.fmzp")
    assert run(["eval", "demo", "demo", "--plan", "zvc.fmzp", "--limit", "50", "--json", "plan.json"]) == 0
    planned = json.loads((folder / "plan.json").read_text())
    assert planned["calibration_images"] == 0
    for key in ("ratio_payload", "kl_vs_float", "top1"):
        assert planned["codecs"][0][key] == report["codecs"][0][key]


def test_capture_stores_the_maps_that_the_codecs_get(folder: Path, report: dict) -> None:
    assert run(["capture", "demo", "demo", "-o", "maps.fmz", "--limit", "50", "--taps", "stages.*"]) == 0
    taps = {tap["name"]: tap for tap in report["codecs"][0]["taps"]}
    with Archive(folder / "maps.fmz") as archive:
        assert archive.samples("stages.0.conv1") == list(range(40))
        assert archive.metadata["images"][0] == "digit 1348"
        assert archive.plan is not None
        maps = np.stack([archive["stages.0.conv1", i] for i in range(40)])
        assert np.mean(maps == 0) == pytest.approx(taps["stages.0.conv1"]["zeros"])
        assert set(archive.names) == {name for name in taps if name.startswith("stages.")}
        assert archive.read("stages.0.conv1", 3, dequantize=True).dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nope", "demo"], 3, "expected demo, torchvision:NAME"),
        (["absent.py:net", "demo"], 3, "no such file: absent.py"),
        (["demo", "absent"], 3, "data 'absent': no such directory"),
        (["demo", "."], 3, "no labels.csv, no folders of images"),
        (["demo", "demo", "--codec", "nope"], 2, "there are: raw, zvc"),
        (["demo", "demo", "--codec", "zvc:x=1"], 3, "no setting 'x'"),
        (["demo", "demo", "--quantizer", "max"], 3, "unknown calibrator 'max'"),
        (["demo", "demo", "--calib", "most"], 3, "neither every:K, first:N nor a data directory"),
        (["demo", "demo", "--taps", "conv9"], 3, "no tap is named 'conv9'; the taps are stages.0.conv1"),
        (["demo", "demo", "--preprocess", "cifar"], 3, "leave --preprocess out"),
        (["demo", "demo", "--json", "no/such/r.json"], 3, "no such directory"),
        (["demo", "demo", "--limit", "0"], 2, "--limit"),
        (["demo", "demo", "--batch", "0"], 2, "--batch"),
        (["demo", "demo", "--metrics", "kl"], 2, "--metrics"),
        (["demo"], 2, "DATA"),
        (["mine.py:trunk", "demo", "--metrics", "classes"], 3, "class scores are [N, K]"),
        (["mine.py:few", "demo", "--metrics", "classes"], 3, "not one of the network's 3 classes"),
        (["demo", "demo", "--plan", "absent.fmzp"], 3, "absent.fmzp: No such file"),
        (["demo", "demo", "--plan", "mine.py"], 3, "not a plan"),
        (["mine.py:wide", "demo"], 3, "does not run on the example"),
        (["mine.py:infinite", "demo"], 3, "NaN or infinity"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_a_code(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    (folder / "mine.py").write_text(
        "import torch\nfrom torch import nn\n"
        "from fmapzip.demo import network\n"
        "def trunk(): return nn.Sequential(network().stem, network().stages)\n"
        "def few(): return nn.Sequential(trunk(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))\n"
        "def wide(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))\n"
        "class Inf(nn.Module):\n    def forward(self, x): return x / 0\n"
        "def infinite(): return nn.Sequential(nn.Conv2d(1, 4, 3), Inf(), nn.Conv2d(4, 4, 3))\n"
    )
    few = [] if "--limit" in arguments else ["--limit", "10"]
    codec = [] if {"--codec", "--plan"} & {*arguments} else ["--codec", "zvc"]
    assert run(["eval", *arguments, *few, *codec]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("command", ["eval demo demo --codec zvc", "capture demo demo -o x.fmz"])
@pytest.mark.parametrize(("package", "extra"), [("torch", "torch"), ("sklearn", "demo")])
def test_a_package_that_is_not_installed_is_told_with_its_extra(command: str, package: str, extra: str) -> None:
    program = f"import sys; sys.modules['{package}'] = None; from fmapzip.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *command.split()], check=False, capture_output=True, text=True
    )
    assert f"pip install 'fmapzip[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.returncode == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_no_half_written_file(folder: Path, number: signal.Signals, code: int) -> None:
    (folder / "images.jsonl").write_text("before")
    command = [sys.executable, "-m", "fmapzip", "eval", "demo", "demo", "--codec", "zvc", "--batch", "1"]
    process = subprocess.Popen(
        [*command, "--json", "r.json", "--per-image", "images.jsonl"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509  (no other thread runs here)
    )
    deadline = time.monotonic() + 300
    while not list(folder.glob(".images.jsonl.*.tmp")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert process.returncode in (code, -number)  # shells show either as 128 + number
    assert error.count("\n") <= 1
    assert [x.name for x in folder.iterdir()] == ["images.jsonl"]
    assert (folder / "images.jsonl").read_text() == "before"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m fmapzip eval demo demo --codec zvc --limit 10 | head -c 10"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False, capture_output=True, text=True)
    assert re.sub(r"fmapzip: .*: \d+( of \d+)?\n", "", done.stderr) == ""  # a busy machine sees progress
    assert done.returncode == 0
