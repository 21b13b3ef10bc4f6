"""The HTML report: self-contained, safe to open, and working in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmapzip.archive import ArchiveWriter
from fmapzip.bench.run import bench
from fmapzip.bench.source import FileSource
from fmapzip.bench.specs import choose
from fmapzip.errors import InvalidInput
from fmapzip.registry import make
from fmapzip.report import to_html, write_html
from fmapzip.report.model import model_of
from strategies import make_map

EVIL = "</script><img src=x onerror=alert(1)>"

PROBE = """<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message)));
addEventListener("securitypolicyviolation", (event) => problems.push("blocked " + event.blockedURI));
console.error = (...words) => problems.push(words.join(" "));
function tell(found) {
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = JSON.stringify({ problems, ...found });
  document.body.append(result);
}
</script>"""

STEPS = """<script>
addEventListener("load", () => {
  const found = {};
  const all = (selector) => [...document.querySelectorAll(selector)];
  const names = () => all("table[aria-label=methods] tbody td:first-child").map((cell) => cell.textContent);
  const heads = all("table[aria-label=methods] th button");
  const press = (name) => heads.find((b) => b.textContent === name).click();
  found.byKind = names();
  press("ratio"); found.byRatio = names();
  press("method"); found.byName = names();
  press("method"); found.byNameDown = names();
  found.plots = all("figure").map((f) => [f.querySelector("h3").textContent, f.querySelectorAll("svg *").length]);
  const svg = document.querySelector("figure svg");
  found.saved = standalone(svg).slice(0, 200);
  document.querySelector(".chips button[aria-pressed=true]").click();
  document.getElementById("theme").click();
  found.theme = document.documentElement.dataset.theme;
  location.hash = "#/tap/1";
  show();
  found.tap = document.querySelector("h1").textContent;
  found.bars = document.querySelectorAll("figure:first-of-type rect").length;
  found.wide = document.documentElement.scrollWidth <= innerWidth;
  found.missing = missingMethods([{ label: "a", status: "missing" }, { label: "b", status: "missing" }])[0].textContent;
  tell(found);
});
</script>"""

EXPORTS = """<script>
const blobs = [], files = [];
URL.createObjectURL = (blob) => { blobs.push(blob); return "#"; };
HTMLAnchorElement.prototype.click = function () { files.push(this.download); };
addEventListener("load", async () => {
  const figure = document.querySelector("figure");
  const { width, height } = figure.querySelector("svg").viewBox.baseVal;
  for (const button of figure.querySelectorAll("figcaption button")) button.click();
  while (blobs.length < 2) await new Promise((wake) => setTimeout(wake, 20));
  const png = blobs.find((blob) => blob.type === "image/png");
  const header = new DataView(await png.arrayBuffer());
  tell({
    files: files.sort(), bytes: header.byteLength, signature: header.getUint32(0),
    scale: [header.getUint32(16) / width, header.getUint32(20) / height],
  });
});
</script>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("maps") / "maps.fmz"
    with ArchiveWriter(path) as archive:
        archive.add(EVIL, 0, make("zvc").encode(make_map((8, 12, 12), "smooth", np.uint8, 1)))
        archive.add("late", 0, make("zvc").encode(make_map((16, 6, 6), "sparse", np.int8, 1)))
    source = FileSource([path], "minmax")
    try:
        codecs = ["zvc", "huffman", "deflate:level=1", "jpeg-act", "jpeg-act:table=optH"]
        return bench(source, choose(codecs), 1, 1, lambda *_: None)
    finally:
        source.close()


def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium is installed: the page is not tried in a browser")


def in_browser(page: str, folder: Path, size: str, steps: str = STEPS) -> tuple[dict[str, Any], str]:
    """What the steps found in the page, and what the browser itself logged of it."""
    file = folder / "probed.html"
    file.write_text(page.replace("<head>", "<head>" + PROBE, 1).replace("</body>", steps + "</body>", 1), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}"]
    options += ["--virtual-time-budget=10000", f"--window-size={size}"]
    command = [browser(), *options, "--dump-dom", file.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip("the browser does not start here")
    text = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert text is not None, done.stdout[-2000:]
    unescaped = text[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(unescaped), done.stderr


@pytest.mark.parametrize("size", ["1280,900", "500,900"])
def test_it_works_in_a_browser(report: dict[str, Any], tmp_path: Path, size: str) -> None:
    found, log = in_browser(to_html(report), tmp_path, size)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert sorted(found["byRatio"]) == ["deflate:level=1", "huffman", "jpeg-act", "jpeg-act:table=optH", "zvc"]
    lossless_first = sorted(report["codecs"], key=lambda entry: not entry["lossless"])
    assert found["byKind"] == [entry["label"] for entry in lossless_first]
    assert found["byRatio"] == [entry["label"] for entry in report["codecs"]]
    assert found["byName"] == sorted(found["byRatio"])
    assert found["byNameDown"] == found["byName"][::-1]
    assert len(found["plots"]) == 5
    assert all(shapes > 10 for _, shapes in found["plots"])
    assert found["saved"].startswith("<svg")
    assert found["theme"] in ("dark", "light")
    assert found["tap"] == EVIL
    assert found["bars"] > 5
    assert found["wide"]
    assert found["missing"] == "a, b: missing."


def test_the_page_of_a_split_works_in_a_browser(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from fmapzip.eval.environment import environment
    from fmapzip.split.choice_report import report_of
    from fmapzip.split.partition import Conditions, Way
    from fmapzip.split.survey import Survey

    ways = (
        Way("here", (), "", 0.2, 0.0, 0.0, 0.0, 0.0, 0.0),
        Way("image", (), "", 0.01, 0.22, 60_000, 4000, 0.0, 0.3),
        Way(EVIL, ("a",), "raw", 0.05, 0.15, 100_000, 4000, 100_000, 0.01),
        Way("coded", ("a",), "context-rans", 0.06, 0.16, 30_000, 4000, 100_000, 0.01),
    )
    conditions = Conditions(1e7, 0.02, 4, device_watts=5, radio_watts=1)
    report = report_of(Survey(ways, 9, 1, True, 4), conditions, "latency", 0.1, ("net", "data"), environment(1))
    assert [way["name"] for way in report["ways"]] == ["image", "coded", EVIL, "here"]
    steps = """<script>addEventListener("load", () => tell({
      lines: [...document.querySelectorAll("figure")].map((one) => one.querySelectorAll("polyline").length),
      rows: [...document.querySelectorAll("table[aria-label=ways] tbody tr")].map((row) => row.cells[0].textContent),
      device: [...document.querySelectorAll("table[aria-label=ways] tbody tr")].map((row) => row.cells[3].textContent),
    }));</script>"""
    found, log = in_browser(to_html(report), tmp_path, "1280,900", steps)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert found["lines"] == [3, 3]  # the image is not allowed
    assert sorted(found["rows"]) == sorted(way.name for way in ways)
    assert sorted(map(float, found["device"])) == [40, 200, 240, 800]  # four times slower than measured


def test_plots_are_saved_as_svg_and_png(report: dict[str, Any], tmp_path: Path) -> None:
    found, log = in_browser(to_html(report), tmp_path, "1280,900", EXPORTS)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert [Path(name).suffix for name in found["files"]] == [".png", ".svg"]
    assert found["signature"] == 0x89504E47
    assert found["scale"] == [2, 2]
    assert found["bytes"] > 5000


def test_nothing_is_loaded_from_elsewhere(report: dict[str, Any]) -> None:
    page = to_html(report)
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', page)
    assert not re.search(r"@import|url\(", page)
    assert "default-src 'none'" in page


def test_names_of_maps_cannot_break_out(report: dict[str, Any]) -> None:
    page = to_html(report)
    assert "<img" not in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["taps"][0]["name"] == EVIL


def test_a_report_of_eval_becomes_the_same_page(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from fmapzip.eval.request import Request
    from fmapzip.eval.run import run

    found = run(Request("demo", "demo", limit=10), [make("zvc")], lambda *_: None, pictures=True)
    model = model_of(found)
    assert [row["label"] for row in model["rows"]] == ["zvc"]
    assert model["headline"][0]["words"] == "fewer bytes without changing an integer: zvc"
    assert "0 of 8 predictions differ" in model["summary"][0]
    write_html(found, tmp_path / "eval.html")
    assert (tmp_path / "eval.html").read_text().startswith("<!doctype html>")


def test_other_json_is_refused() -> None:
    with pytest.raises(InvalidInput, match="schema 9"):
        to_html({"schema": 9})
    with pytest.raises(InvalidInput, match="not a report"):
        to_html({"schema": 1})


def plan_report(metric: str) -> dict[str, Any]:
    """As `fmapzip plan` writes it, with one map and two candidates."""
    measured = {
        "images": 4,
        "frame_bytes": 500.0,
        "ratio": 4.0,
        "ratio_with_plan": 3.5,
        "kl_vs_float": 0.01 if metric == "kl" else None,
        "int8_kl_vs_float": 0.001 if metric == "kl" else None,
        "output_sqnr_db": None if metric == "kl" else 31.0,
        "int8_output_sqnr_db": None if metric == "kl" else 45.0,
    }
    settings = {"codec": "context-rans", "config": {"codec": "context-rans", "step": 2}, "clip_ratio": 1.0, "path": ""}
    figures = {"shaped": False, "distortion_alone": 0.004, "measured": True, "on_hull": True, "bytes": 500.0}
    chosen, other = {**settings, **figures, "step": 2.0}, {**settings, **figures, "step": 4.0, "bytes": 300.0}
    return {
        "schema": 1,
        "kind": "plan",
        "model": "demo",
        "data": "demo",
        "budget": {"kind": metric, "value": 0.02, "words": "at most 0.02"},
        "met": True,
        "metric": "kl" if metric == "kl" else "noise",
        "calibration_images": 5,
        "plan": {"hash": "00", "bytes": 300},
        "raw_bytes": 2000,
        "choosing": measured,
        "verifying": measured,
        "curve": [{"predicted": 0.008, "distortion": 0.01, "bytes": 500.0}],
        "taps": [
            {
                "name": EVIL,
                "shape": [4, 5, 100],
                "raw_bytes": 2000,
                "choice": chosen,
                "runner_up": other,
                "candidates": [chosen, other],
            }
        ],
        "notes": [],
        "environment": {"cpu": "any", "packages": {}},
    }


@pytest.mark.parametrize("metric", ["kl", "sqnr"])
def test_a_plan_explains_itself(metric: str) -> None:
    model = model_of(plan_report(metric))
    assert model["taps"][0]["choice"]["label"] == "context-rans, step 2"
    assert [candidate["chosen"] for candidate in model["taps"][0]["candidates"]] == [True, False]
    assert "ratio 4.00" in model["summary"][0]
    assert "causes the most distortion, 100.0% of the sum" in model["summary"][-1]
    assert model["budget"] == 0.02
    assert model["curve"][0]["distortion"] == pytest.approx(0.01 if metric == "kl" else 20)


def test_a_plan_works_in_a_browser(tmp_path: Path) -> None:
    steps = """<script>
addEventListener("load", () => {
  const found = { plots: [...document.querySelectorAll("figure")].map((f) => f.querySelectorAll("svg *").length) };
  found.cut = [...document.querySelectorAll(".scroll")].some((table) => table.scrollWidth > table.clientWidth);
  location.hash = "#/tap/1";
  show();
  found.tap = document.querySelector("h1").textContent;
  found.rows = document.querySelectorAll("table[aria-label=candidates] tbody tr").length;
  tell(found);
});
</script>"""
    found, log = in_browser(to_html(plan_report("kl")), tmp_path, "1400,900", steps)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert min(found["plots"]) >= 5
    assert not found["cut"]
    assert (found["tap"], found["rows"]) == (EVIL, 2)


def tuning_report() -> dict[str, Any]:
    """As `fmapzip tune` writes it: two epochs that beat the untuned network, and one map."""
    epochs = [
        {
            "number": n,
            "task": off,
            "distortion": off,
            "bits": bits,
            "real_bits": bits,
            "seconds": 9.0 * n,
            "lambda": 0.1,
        }
        for n, (bits, off) in enumerate([(2.0, 0.01), (1.5, 0.06), (1.4, 0.03)])
    ]
    tap = {
        **{"name": EVIL, "shape": [4, 5, 100], "codec": "context-rans", "config": {"codec": "context-rans", "step": 8}},
        **{"values": 4000, "bits_before": 2.0, "bits_after": 1.4, "expected_bits_after": 1.41},
        **{"zeros_before": 0.4, "zeros_after": 0.5},
    }
    return {
        **{"schema": 1, "kind": "tune", "model": "nets.py:net", "data": "some", "tuned_on": "more.npz"},
        **{"tuning_images": 90, "calibration_images": 10, "distortion": "kl", "epochs": epochs, "kept": 2},
        "untuned": [
            {"coarser": 1.4, "distortion": 0.04, "real_bits": 1.6},
            {"coarser": 2.0, "distortion": 0.16, "real_bits": 1.2},
        ],
        **{"stopped": "epochs", "taps": [tap], "plan": {"hash": "00", "bytes": 300}},
        "environment": {"cpu": "any", "packages": {}},
    }


def test_a_tuning_is_held_against_the_untuned_network() -> None:
    words = model_of(tuning_report())["summary"]
    assert "ratio 4.00 to 5.71, and KL from 0.01 to 0.03" in words[0]
    assert words[1] == "The untuned network stored in as many bits has KL 0.08."  # halfway in logarithms
    beyond = tuning_report()
    beyond["epochs"][2]["real_bits"] = 1.0
    assert not any("untuned" in sentence for sentence in model_of(beyond)["summary"])


def test_a_tuning_works_in_a_browser(tmp_path: Path) -> None:
    steps = """<script>addEventListener("load", () => tell({
      plots: [...document.querySelectorAll("figure")].map((one) => one.querySelectorAll("circle, rect").length),
      rows: document.querySelectorAll("table[aria-label=epochs] tbody tr").length,
      map: document.querySelector("table[aria-label='feature maps'] tbody td").textContent,
      wide: document.documentElement.scrollWidth <= innerWidth,
    }));</script>"""
    found, log = in_browser(to_html(tuning_report()), tmp_path, "500,900", steps)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert found["plots"] == [6, 2, 2]
    assert (found["rows"], found["map"], found["wide"]) == (3, EVIL, True)


def test_the_first_screen_shows_maps_and_one_colour_a_method(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from fmapzip.eval.request import Request
    from fmapzip.eval.run import run

    steps = """<script>
addEventListener("load", () => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const found = { cards: all(".card b").length, maps: all(".map").length };
  found.bad = all(".map img").filter((image) => !image.naturalWidth).length;
  found.same = all(".map .same").length;
  all("[aria-label='Method whose maps are shown'] button")[0].click();
  found.sameLossless = all(".map .same").length;
  found.painted = measured().map((row) => paintOf(row));
  location.hash = "#/tap/1";
  show();
  found.onItsPage = all(".alone img").length;
  tell(found);
});
</script>"""
    codecs = [make("zvc"), make("context-rans", step=4)]
    report = run(Request("demo", "demo", limit=10), codecs, lambda *_: None, pictures=True)
    found, log = in_browser(to_html(report), tmp_path, "900,900", steps)
    assert found["problems"] == []
    assert "CONSOLE" not in log
    assert (found["cards"], found["maps"], found["bad"]) == (3, 6, 0)
    assert (found["same"], found["sameLossless"]) == (0, 5)
    assert len(set(found["painted"])) == 2
    assert found["onItsPage"] == 3


def test_a_busy_machine_is_said_in_words(report: dict[str, Any]) -> None:
    busy = report | {"environment": report["environment"] | {"others_cpu": 0.62}}
    assert "used 62 % of the machine meanwhile" in model_of(busy)["summary"][-1]
    assert ("other programs", "used 62 % of the machine meanwhile") in model_of(busy)["environment"]
    calm = report | {"environment": report["environment"] | {"others_cpu": 0.01}}
    assert not any("machine" in sentence for sentence in model_of(calm)["summary"])
