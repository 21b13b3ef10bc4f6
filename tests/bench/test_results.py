"""docs/RESULTS.md says what the measurements in benchmarks/results say, and nothing else."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmark_scripts import BENCH, script
from fmapzip.bench.run import bench
from fmapzip.bench.source import FileSource
from fmapzip.bench.specs import choose
from strategies import make_map

VERSIONS = {"3.11", "2.0"}
"""Numbers in README that are no measurements: of Python, of a licence, of networks' names."""


@pytest.fixture(scope="module")
def results() -> ModuleType:
    return script("results")


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    np.save(tmp_path / "maps.npy", make_map((8, 9, 9), "sparse", np.uint8, 1))
    source = FileSource([tmp_path / "maps.npy"], "minmax")
    found = bench(source, choose(["zvc", "huffman", "jpeg-act"]), 1, 1, lambda *_: None)
    found["source"] |= {"model": "path/to/nets.py:cifar_resnet20", "data": "path/to/cifar/", "images": 1}
    return found


def test_the_document_is_what_the_measurements_make(results: ModuleType) -> None:
    if not results.DOCUMENT.exists():
        pytest.skip("nothing was measured yet")
    assert results.DOCUMENT.read_text() == results.document()
    assert results.readme() in (None, results.README.read_text())


def test_figures_in_readme_are_in_the_results(results: ModuleType) -> None:
    """Ratios, shares and sizes: numbers with a fraction or a per cent sign, and those of the picture."""
    told = re.sub(r"```.*?```|`[^`]*`|<!--.*?-->", "", results.README.read_text("utf-8"), flags=re.S)
    picture = re.sub(r"<image[^>]*>", "", (results.ROOT / "docs" / "plots" / "map.svg").read_text("utf-8"))
    told += " ".join(re.findall(r"<text[^>]*>([^<]*)", picture)).replace(",", "")
    known = figures_in(results.DOCUMENT.read_text("utf-8"))
    figures = set(figures_in(told)) - VERSIONS
    assert len(figures) > 50
    assert sorted(figure for figure in figures if not any(is_rounded(figure, other) for other in known)) == []


def figures_in(text: str) -> list[str]:
    return re.findall(r"(?<![\w.])\d+(?:\.\d+%?|%|(?= bytes)|(?= \|))(?![\w.]*\d)", text)


def is_rounded(figure: str, other: str) -> bool:
    """Whether `figure` is `other`, or it with fewer digits."""
    if figure.endswith("%") != other.endswith("%"):
        return False
    digits = len(figure.strip("%").partition(".")[2])
    return abs(float(figure.strip("%")) - float(other.strip("%"))) <= 0.5001 * 10**-digits


def test_the_picture_is_what_the_measurements_make(results: ModuleType, tmp_path: Path) -> None:
    made = results.picture(tmp_path / "map.svg")
    assert made.read_text("utf-8") == (results.ROOT / "docs" / "plots" / "map.svg").read_text("utf-8")


def test_one_map_measures_the_same_everywhere(results: ModuleType) -> None:
    kept = json.loads((BENCH / "results" / "one_map.json").read_text("utf-8"))
    assert sys.modules["one_map"].measured() == kept


def test_a_report_is_kept_without_folders_and_histograms(
    results: ModuleType, report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["results_files"], "KEPT", tmp_path)
    source = tmp_path / "report.json"
    source.write_text(json.dumps(report))
    kept = results.keep(source)
    assert kept.name == "arena_cifar_resnet20.json"
    assert "path/to" not in kept.read_text()
    assert "histogram" not in kept.read_text()
    text = results.document()
    raw = report["totals"]["raw_bytes"]
    for entry in report["codecs"]:
        assert f"`{entry['label']}`" in text
        assert f"{raw / entry['total_bytes']:.3f}" in text
    assert "**`zvc`**" in text
    assert "Smallest without loss" in text
    assert "| **`zvc`** |" in results.short_table(results.arenas())
    assert "jpeg-act" not in results.short_table(results.arenas())


def test_a_method_measured_again_takes_the_place_of_the_kept_one(
    results: ModuleType, report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["results_files"], "KEPT", tmp_path)
    source = tmp_path / "report.json"
    source.write_text(json.dumps(report))
    results.keep(source, "1111111")
    again = {**report, "codecs": [dict(entry) for entry in report["codecs"] if entry["codec"] == "zvc"]}
    again["codecs"][0]["total_bytes"] = 1
    source.write_text(json.dumps(again))
    kept = json.loads(results.renew(source, "2222222").read_text())
    assert kept["codecs"][0]["codec"] == "zvc"
    assert len(kept["codecs"]) == len(report["codecs"])
    assert "commit 1111111, `zvc` 2222222." in results.document()
    source.write_text(json.dumps({**again, "source": {**report["source"], "images": 2}}))
    with pytest.raises(ValueError, match="other maps"):
        results.renew(source)


def test_plans_are_compared_at_the_distortion_of_one_step(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(sys.modules["results_files"], "KEPT", tmp_path)
    target = tmp_path / "plan_budgets_demo.json"
    monkeypatch.syspath_prepend(str(BENCH))
    bench_plans = import_module("plan_budgets")
    command = ["plan_budgets.py", "demo", "demo", "--images", "32", "--max-kl", "0.0001", "1"]
    command += ["--codec", "zvc", "--work", str(tmp_path / "work"), "--json", str(target)]
    monkeypatch.setattr(sys, "argv", command)
    bench_plans.main()
    first = json.loads(target.read_text())
    assert [plan["budget"]["value"] for plan in first["plans"]] == [0.0001, 1]
    monkeypatch.setattr(bench_plans, "make_plan", lambda *_, **__: pytest.fail("is done"))
    bench_plans.main()
    assert json.loads(target.read_text())["plans"] == first["plans"]
    text = results.document()
    assert "Plans: demo" in text
    assert "| KL <= 1 |" not in text
    target.write_text(target.read_text().replace('"zvc"', '"auto"'))
    assert "| KL <= 1 |" in results.document()
    assert "| `zvc` | 32 |" in text


EMBEDDER = """
import torch

def net():
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3, 2), torch.nn.ReLU()]
    head = [torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(64, 8), Unit()]
    return torch.nn.Sequential(*layers, *head)

class Unit(torch.nn.Module):
    def forward(self, x):
        return x / x.norm(dim=1, keepdim=True)
"""


def test_the_papers_network_becomes_one_table_of_methods_and_plans(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(BENCH))
    script, told = import_module("paper"), import_module("results_paper")
    (tmp_path / "nets.py").write_text(EMBEDDER)
    (tmp_path / "photos").mkdir()
    for i in range(10):
        pixels = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image.fromarray(pixels).resize((40, 40), image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{i}.png")
    monkeypatch.setattr(
        script, "METHODS", ("zvc", "context-rans", "huffman", "jpeg-ls", "dct-cm:path=mask,mask_step=3")
    )
    monkeypatch.setattr(script, "COSINES", (0.99,))
    target, photos = tmp_path / "paper.json", str(tmp_path / "photos")
    command = ["paper.py", f"{tmp_path / 'nets.py'}:net", photos, "--gallery", photos, "--size", "24"]
    command += ["--codec", "zvc"]
    command += ["--arena-images", "2", "--queries", "2", "--work", str(tmp_path / "work"), "--json", str(target)]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    first = json.loads(target.read_text())["sizes"]
    monkeypatch.setattr(script, "bench", lambda *_, **__: pytest.fail("is done"))
    monkeypatch.setattr(script, "make_plan", lambda *_, **__: pytest.fail("is done"))
    script.main()
    found = json.loads(target.read_text())
    assert found["sizes"] == first
    (size,) = found["sizes"]
    (plan,) = size["plans"]
    assert plan["met"]
    assert told.cosine_of(plan["output_sqnr_db"]) > 0.98
    text = told.paper([found])
    assert "recall@1 of 34 distorted copies of 2 images" in text
    same = import_module("results_recall").paired(
        size["shipped"]["hits"], plan["recall"]["hits"], ["flip", "crop-jpeg"]
    )
    assert same.queries == 4
    assert f"| **`zvc` planned for a cosine of 0.99** | {plan['ratio_total']:.2f} | harder copies | 10 |" in text
    assert 0.9 < plan["recall"]["cosine"]["as it is"] <= 1
    zvc = next(method for method in size["arena"]["methods"] if method["label"] == "zvc")
    ratios = " | ".join(f"{size['arena']['raw_bytes'] / zvc[key]:.3f}" for key in ("total_bytes", "bytes"))
    assert f"| **`zvc`** | {ratios} | exact |" in text
    assert "fewer bytes than the best peer, `" in text
    assert f"planned for a cosine of 0.99** | {plan['ratio_total']:.2f} |" in text
    assert "*DCT-CM (ISCAS 2021), other maps* | *2.9*" in text
    assert "mask_step=3" in text
    lossy = next(method for method in size["arena"]["methods"] if not method["lossless"])
    for sqnr, shown in ((10.0, False), (20.0, True)):
        lossy["output_sqnr_db"] = sqnr
        assert ("mask_step=3" in told.short_paper([found])) == shown
    assert told.paper([]) == told.short_paper([]) == ""
    apart = [{**found, "sizes": [{**size, "plans": []}]}, {**found, "sizes": [{"size": "24", "plans": size["plans"]}]}]
    assert "of 34 distorted copies" in told.paper(apart)


def test_what_maps_cost_alone_is_added_up_by_stage(results: ModuleType) -> None:
    maps = [
        {"map": "/a/blocks/0/b/Conv", "as it is": 0.1, "inset": 0.5},
        {"map": "/a/blocks/0/c/Conv", "as it is": 0.2, "inset": 0.25},
        {"map": "/a/blocks/3/b/Conv", "as it is": 0.05, "inset": 0.0625},
        {"map": "/embeddings/1/Gemm", "as it is": 0.0, "inset": 0.0},
        {"map": "all", "as it is": 0.3, "inset": 0.7},
    ]
    machine = {"cpu": "c", "cores": 1, "simd": "s", "python": "p", "packages": {}}
    text = sys.modules["results_recall"].alone_table({"maps": maps, "environment": machine, "commit": "x"})
    assert "| stage 1 | 2 | 0.3000 | 0.7500 |" in text
    assert "| stage 4 | 1 | 0.0500 | 0.0625 |" in text
    assert "| all | 4 | 0.3000 | 0.7000 |" in text


def test_a_plan_by_a_metric_is_told_with_the_plans_that_no_other_beats(results: ModuleType) -> None:
    tried = ((50.0, 0.1), (25.0, 1.0), (60.0, 0.2), (50.0, 0.2))
    run = {
        "model": "yolox_nano.onnx",
        "budget": {"words": "at most 0.5 of mAP lost"},
        "choosing": {"images": 20, "ratio_with_plan": 3.25, "output_sqnr_db": 20.0},
        "task": {"images": 26, "loss": 0.4, "loss_interval": [-1.0, 2.0]},
        "raw_bytes": 100,
        "curve": [{"bytes": size, "distortion": noise} for size, noise in tried],
        "environment": {"cpu": "c", "cores": 1, "simd": "s", "python": "p", "packages": {}},
        "commit": "x",
    }
    text = sys.modules["results_metric_plans"].metric_plans([run])
    assert "chose 3.250x, plan counted, at 20.0 dB; on all 26 0.40 lost (-1.00 to 2.00)." in text
    assert "| ratio | 4.00 | 2.00 |\n| dB | 0.0 | 10.0 |" in text


@pytest.mark.parametrize(
    ("distortion", "ratio"), [(0.01, 2.0), (0.02, 8**0.5), (0.04, 4.0), (0.05, None), (0.001, None)]
)
def test_ratios_between_plans_lie_on_a_line_of_logarithms(
    results: ModuleType, distortion: float, ratio: float | None
) -> None:
    plans = [{"kl_vs_float": 0.04, "ratio_total": 4.0}, {"kl_vs_float": 0.01, "ratio_total": 2.0}]
    assert sys.modules["results_plans"].ratio_at(plans, np.log(distortion), True) == (ratio and pytest.approx(ratio))


def test_a_report_of_eval_becomes_rows(results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    from fmapzip.eval.request import Request
    from fmapzip.eval.run import run
    from fmapzip.registry import make

    monkeypatch.setattr(sys.modules["results_files"], "KEPT", tmp_path)
    source = tmp_path / "lossless.json"
    source.write_text(json.dumps(run(Request("demo", "demo", limit=10), [make("zvc")], lambda *_: None)))
    assert results.keep(source).name == "eval_lossless.json"
    text = results.document()
    assert "| demo | `zvc` |" in text
    assert "8 images of `demo`, calibrated on 2 others" in text


def test_what_metrics_judged_becomes_a_table(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    from fmapzip.eval.request import Request
    from fmapzip.eval.run import run
    from fmapzip.registry import make
    from fmapzip.torch.tasks import ready

    files = import_module("results_files")
    monkeypatch.setattr(files, "KEPT", tmp_path / "kept")
    found = run(Request("demo", "demo", limit=10), [make("zvc")], lambda *_: None, tasks=[ready("top1")])
    (tmp_path / "demo.json").write_text(json.dumps(found))
    files.keep(tmp_path / "demo.json")
    text = import_module("results_tables").evals(files.loaded("eval_*.json"))
    rows = [line for line in text.splitlines() if line.startswith("| demo") and "top1" in line]
    assert [row.split("|")[2].strip() for row in rows] == ["float", "8-bit", "`zvc`"]
    assert " to " in rows[0]


def test_networks_that_are_not_captured_are_listed_with_the_reason(results: ModuleType) -> None:
    captured = {"method": "fx", "taps": 3, "left_out": {}, "same_bits": True, "oracle": True, "ratio": 1.5, "notes": []}
    hidden = {"notes": ["what these read is not stored: a.attn (MultiheadAttention), b.einsum"], "left_out": {"c": "x"}}
    networks = [
        {"name": "timm:one", **captured},
        {"name": "timm:two", **captured, **hidden},
        {"name": "smp:three", **captured, "oracle": "AssertionError: other\nvalues", "method": "hooks"},
        {"name": "smp:four", "error": "took more than 9 MB"},
    ]
    machine = {"cpu": "a", "cores": 1, "simd": "scalar", "python": "3", "packages": {}}
    for network in networks:
        network["commit"] = "abc"
    found = {"networks": networks, "packages": {}, "environment": machine, "asked": {"timm": 2, "smp": 3}}
    text = sys.modules["results_breadth"].breadth(found)
    assert "| timm | 2 | 2 | 2 | 0 | 2 | 2 | 2 | 1 of 6 maps |" in text
    assert "| smp | 2 | 1 | 0 | 1 | 1 | 0 | 1 | 0 of 3 maps |" in text
    for line in (
        "- what `MultiheadAttention` reads inside is not stored, and named: timm:two",
        "- what `einsum` reads inside is not stored, and named: timm:two",
        "- a map is left out, as x: timm:two",
        "- differs from the oracle (AssertionError: other): smp:three",
        "- not examined or not captured (took more than 9 MB): smp:four",
        "The run ended before it had gone through all: 1 of 3 of smp are left.",
    ):
        assert line in text


def test_stored_passes_are_told_beside_the_float_one(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(sys.modules["results_files"], "KEPT", tmp_path)
    monkeypatch.syspath_prepend(str(BENCH))
    script = import_module("pass")
    monkeypatch.setattr(script, "ALLOCATORS", {"glibc's defaults": {}})
    command = ["pass.py", "demo", "demo", "--codec", "zvc", "--batch", "2", "--calibration", "2", "--repeat", "1"]
    monkeypatch.setattr(sys, "argv", [*command, "--json", str(tmp_path / "pass.json")])
    script.main()
    rows = {row["pass"]: row for row in json.loads((tmp_path / "pass.json").read_text())["rows"]}
    assert list(rows) == ["float", "copy", "zvc"]
    assert rows["float"]["x_float"] == 1
    assert rows["zvc"]["ratio_payload"] > 1
    text = results.document()
    assert "## A pass with stored maps" in text
    assert f"| `zvc` | {rows['zvc']['ratio_payload']:.2f} | {rows['zvc']['x_float']:.2f} (" in text


def test_a_tuning_counts_losses_from_the_better_network(results: ModuleType) -> None:
    epochs = [{"number": i, "real_bits": 2.0 - i / 10, "distortion": 0.01 * i, "seconds": 60.0} for i in range(2)]
    taps = [{"name": "conv", "bits_before": 2.0, "bits_after": 1.9, "expected_bits_after": 1.938}]
    shared = {"epochs": epochs, "taps": taps, "kl_vs_original": 0.02, "ratio_total": 4.2}
    images = {"tuning_images": 90, "calibration_images": 10}
    runs = [
        {"codec": "context-rans", "target_ratio": None, "top1": 0.83, "float_top1": 0.84, **shared, **images},
        {"codec": "zvc", "target_ratio": 4.0, "top1": 0.82, "float_top1": 0.85, **shared, **images},
    ]
    machine = {"cpu": "C", "cores": 2, "simd": "avx2", "python": "3", "packages": {}}
    found = {
        **{"model": "nets.py:cifar_resnet20", "data": "cifar", "tuned_on": "more.npz", "images": 40, "top1": 0.8},
        **{"settings": {"epochs": 1, "time_limit": None, "label_weight": 0.5}, "runs": runs},
        **{"environment": machine, "commit": "abc"},
    }
    text = sys.modules["results_tune"].tunings([found])
    assert "| `zvc` | 4 | 4.200 | 82.0% | 2.00 | 0.0200 | 60 s |" in text
    assert "at most 2.0%" in text


def test_the_table_of_ratios_and_multiplications_is_that_of_the_results(results: ModuleType) -> None:
    del results
    files = ("resnet50v2", "squeezenet", "mobilenetv2", "efficientnet_lite0", "cifar_resnet20")
    lines = (BENCH.parent / "docs" / "METHODS.md").read_text().splitlines()
    for level in ("fast", "default", "max", "ultra"):
        ratios = []
        for name in files:
            report = json.loads((BENCH / "results" / f"eval_{name}.json").read_text())
            settings = {"codec": "context-rans", "level": level, "step": 1}
            ratios += [found["ratio_total"] for found in report["codecs"] if found["config"] == settings]
        [row] = [line for line in lines if re.match(rf"\| `{level}`: \d", line)]
        assert row.split(" | ")[1:] == [*(f"{ratio:.3f}" for ratio in ratios[:-1]), f"{ratios[-1]:.3f} |"]
