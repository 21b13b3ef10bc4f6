"""The bench on files: what it counts, that it verifies, and that it goes on after an interruption."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from fmapzip import QuantParams, encode, fit
from fmapzip.archive import ArchiveWriter
from fmapzip.bench import run as run_module
from fmapzip.bench.break_even import break_even, break_even_of, mbit
from fmapzip.bench.measure import measure, timed
from fmapzip.bench.methods import BaselineMethod, OurMethod
from fmapzip.bench.run import PARTIAL, bench
from fmapzip.bench.source import FileSource
from fmapzip.bench.specs import choose
from fmapzip.bench.summary import sentences
from fmapzip.bench.table import render, write_csv
from fmapzip.cli.app import run as command
from fmapzip.cli.exits import Exit
from fmapzip.errors import InvalidInput, UnknownCodec
from fmapzip.registry import make
from fmapzip.report.model import model_of
from strategies import make_map

CODECS = ("zvc", "ebpc:block=16", "huffman", "deflate:level=1", "jpeg-act")


def quiet(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    path = tmp_path / "maps.fmz"
    with ArchiveWriter(path) as archive:
        for i in range(2):
            archive.add("early", i, make("zvc").encode(make_map((8, 12, 12), "smooth", np.uint8, i)))
            archive.add("late", i, make("zvc").encode(make_map((16, 6, 6), "sparse", np.int8, i)))
    return path


def report_of(path: Path, codecs: Sequence[str] = CODECS, **options: Any) -> dict[str, Any]:
    source = FileSource([path], "minmax")
    try:
        return bench(source, choose(codecs), options.pop("repeat", 1), 1, quiet, **options)
    finally:
        source.close()


def test_every_byte_is_counted_once(maps: Path) -> None:
    report = report_of(maps)
    assert [tap["name"] for tap in report["taps"]] == ["early", "late"]
    assert report["totals"]["raw_bytes"] == 2 * 8 * 144 + 2 * 16 * 36
    for tap in report["taps"]:
        assert sum(tap["histogram"]) == tap["raw_bytes"]
    for entry in report["codecs"]:
        assert entry["status"] == "ok"
        assert sum(entry["parts"].values()) == entry["bytes"] == sum(tap["bytes"] for tap in entry["taps"])
        assert entry["total_bytes"] == entry["bytes"] + entry["side_bytes"]
    sizes = [entry["total_bytes"] for entry in report["codecs"]]
    assert sizes == sorted(sizes)
    json.dumps(report, allow_nan=False)


def test_zeros_are_as_cheap_for_every_lossless_method_wherever_they_lie(tmp_path: Path) -> None:
    q = np.minimum(make_map((8, 12, 12), "sparse", np.uint8, 3), 200)
    codecs, found = ("zvc", "context-rans", "ebpc:block=16", "huffman", "zero-bursts", "deflate:level=1"), []
    for zero_point in (0, 40):
        moved = q + np.uint8(zero_point)
        plan = fit({"map": moved[None]}, "zvc", quantizer=QuantParams("uint8", (0.5,), "network", zero_point))
        with ArchiveWriter(tmp_path / f"{zero_point}.fmz", plan=plan) as archive:
            archive.add("map", 0, encode(moved, plan=plan))
        report = report_of(tmp_path / f"{zero_point}.fmz", codecs)
        assert all(entry["status"] == "ok" for entry in report["codecs"])
        found.append({entry["codec"]: entry["bytes"] for entry in report["codecs"]})
    assert all(abs(found[1][codec] - size) <= 0.02 * size + 8 for codec, size in found[0].items())


def test_general_codecs_show_the_better_layout(maps: Path) -> None:
    (entry,) = report_of(maps, ["deflate"])["codecs"]
    assert entry["layout"] in ("planar", "channels-last")
    assert entry["other_layout_bytes"] >= entry["total_bytes"]
    (entry,) = report_of(maps, ["deflate:layout=channels-last"])["codecs"]
    assert entry["other_layout_bytes"] is None


def test_a_method_that_breaks_its_promise_is_named(maps: Path) -> None:
    from fmapzip.baselines.huffman import Huffman

    class Careless(Huffman):
        def decode(self, *args: Any, **options: Any) -> Any:
            return super().decode(*args, **options) ^ 1

    source = FileSource([maps], "minmax")
    method = BaselineMethod("careless", baseline=Careless())
    tap = source.taps[0]
    found = measure(method, method.job(tap, 0, None), [tap.load(0)], 1)
    source.close()
    assert found.wrong == "is said to be lossless and differs by up to 1"


def test_an_interrupted_bench_goes_on_where_it_stopped(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = maps.with_name("report.json")
    real, calls = run_module.measure, []

    def interrupted(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(run_module, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report_of(maps, report_file=target)
    assert target.with_name(target.name + PARTIAL).exists()
    report = report_of(maps, report_file=target)
    assert len(calls) == 4 + 2 * len(choose(CODECS).methods) - 3
    assert len(report["codecs"]) == 5
    assert not target.with_name(target.name + PARTIAL).exists()


def test_a_bench_that_is_interrupted_at_every_measurement_measures_each_once(
    maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = maps.with_name("report.json")
    partial = target.with_name(target.name + PARTIAL)
    real, calls = run_module.measure, []

    def once_a_run(*args: Any) -> Any:
        if partial.read_bytes().count(b"\n") - 1 > finished:
            raise KeyboardInterrupt
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(run_module, "measure", once_a_run)
    methods = len(choose(CODECS).methods)
    for done in range(2 * methods - 1):
        finished = done
        with pytest.raises(KeyboardInterrupt):
            report_of(maps, report_file=target)
        with partial.open("ab") as file:  # killed within the next line
            file.write(b'01234567 ["late')
    finished = 2 * methods - 1
    assert len(report_of(maps, report_file=target)["codecs"]) == 5
    assert len(calls) == 2 * methods


def test_a_foreign_file_beside_the_report_is_refused_and_left_alone(maps: Path) -> None:
    target = maps.with_name("report.json")
    foreign = target.with_name(target.name + PARTIAL)
    foreign.write_text("my notes\n")
    assert command(["bench", str(maps), "--codec", "zvc", "--json", str(target)]) == Exit.INPUT
    assert foreign.read_text() == "my notes\n"
    assert not target.exists()


def test_other_conditions_start_afresh(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = maps.with_name("report.json")
    journal = target.with_name(target.name + PARTIAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module.MeasurementCache, "remove", lambda self: None)
        report_of(maps, ["zvc"], report_file=target)
    assert len(journal.read_text().splitlines()) == 3
    calls: list[Any] = []
    real = run_module.measure
    monkeypatch.setattr(run_module, "measure", lambda *args: calls.append(args) or real(*args))
    report_of(maps, ["zvc"], report_file=target, repeat=2)
    assert len(calls) == 2


def test_specifications_name_settings_after_a_comma() -> None:
    labels = [
        method.label for method in choose(["zvc", "jpeg-act:table=optH,coding=huffman", "lz4:layout=planar"]).methods
    ]
    assert labels == ["zvc", "jpeg-act:table=optH,coding=huffman", "lz4:layout=planar"]
    assert isinstance(choose(["zvc"], threads=2).methods[0], OurMethod)
    with pytest.raises(UnknownCodec, match=r"ours: raw, zvc.*baselines: eyeriss-rlc"):
        choose(["gzip"])
    with pytest.raises(InvalidInput, match="no setting"):
        choose(["huffman:level=3"])
    with pytest.raises(InvalidInput, match="measures each map by itself"):
        choose(["context-rans:level=ultra,references=2"])


def test_layouts_keep_the_other_settings() -> None:
    methods = choose(["blosc2:cname=zstd,shuffle=none"]).methods
    assert [(m.layout, m.facts["config"]["cname"]) for m in methods] == [("planar", "zstd"), ("channels-last", "zstd")]


def test_a_missing_package_is_a_row(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmapzip.baselines.general import Zstd

    monkeypatch.setattr(Zstd, "package", "no_such_module")
    report = report_of(maps, ["zvc", "zstd:level=1"])
    assert [entry["label"] for entry in report["codecs"]] == ["zvc", "zstd:level=1"]
    assert report["codecs"][1]["status"] == "missing: the module 'no_such_module' (extra 'baselines')"
    render(report)


def test_floats_are_quantized_and_integers_are_not(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3, 4, 4), np.float32), y=make_map((4, 5), "sparse", np.uint8, 1))
    report = report_of(tmp_path / "a.npz", ["zvc"])
    assert [(tap["samples"], tap["shape"]) for tap in report["taps"]] == [(2, [3, 4, 4]), (1, [4, 5])]
    assert report["source"]["quantizer"] == "minmax"
    with pytest.raises(InvalidInput, match="no such file"):
        FileSource([tmp_path / "b.npy"], "minmax")


def test_the_summary_says_where_a_baseline_is_ahead(maps: Path) -> None:
    text = " ".join(sentences(report_of(maps, ["zvc", "deflate:level=9"])))
    assert "Smallest without loss: deflate" in text
    assert "a baseline; " in text
    assert "on 1 of 2 taps" in text or "on 2 of 2 taps" in text


def test_the_summary_says_how_many_images_a_plan_needs(maps: Path) -> None:
    report = report_of(maps, ["zvc", "context-rans", "deflate"])
    by_name = {entry["codec"]: entry for entry in report["codecs"]}
    for name, size, side in (("zvc", 900, 40), ("context-rans", 400, 300), ("deflate", 500, 0)):
        by_name[name].update(bytes=size, side_bytes=side)
    report["source"]["images"] = None
    assert not any("which needs no plan" in line for line in sentences(report))
    report["source"]["images"] = 10  # of 40 and 50 bytes: 31 * 40 + 300 < 31 * 50
    assert "Plan and frames are smaller than deflate, which needs no plan: " in (text := " ".join(sentences(report)))
    assert "context-rans from 31 images on" in text
    assert "zvc never" in text


def test_lossless_and_lossy_methods_stand_apart(maps: Path) -> None:
    console = Console(width=200, record=True, file=StringIO())
    console.print(render(report_of(maps, ["context-rans:step=4", "zvc", "raw"])))
    starts = [line.split()[0] for line in console.export_text().splitlines() if line.strip()]
    assert (
        starts.index("lossless:") < starts.index("raw") < starts.index("lossy:") < starts.index("context-rans:step=4")
    )


def test_csv_has_a_line_for_each_method_and_tap(maps: Path) -> None:
    file = StringIO()
    write_csv(report_of(maps), file)
    lines = list(csv.DictReader(StringIO(file.getvalue())))
    assert len(lines) == 5 * 2
    assert {line["tap"] for line in lines} == {"early", "late"}


@settings(max_examples=30)
@given(st.integers(2, 10**7), st.floats(0.01, 0.99), st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_coding_pays_below_the_bandwidth_at_which_both_ways_take_the_same(
    raw: int, share: float, encode: float, decode: float
) -> None:
    coded = int(raw * share)
    found = break_even(raw, coded, encode, decode)
    assert encode + 8 * coded / found.serial + decode == pytest.approx(8 * raw / found.serial)
    assert max(encode, 8 * coded / found.overlapped, decode) == pytest.approx(8 * raw / found.overlapped)
    assert break_even(raw, raw, encode, decode) == (0.0, 0.0)


def test_the_table_the_page_and_the_csv_say_below_which_bandwidth_a_method_pays(maps: Path) -> None:
    report = report_of(maps, ["zvc"])
    wanted = break_even_of(report["codecs"][0], report["totals"]["raw_bytes"])
    console = Console(width=200, record=True, file=StringIO())
    console.print(render(report))
    text = console.export_text()
    assert "pays below" in text
    assert {mbit(wanted.serial), mbit(wanted.overlapped)} <= set(text.split())
    row = model_of(report)["rows"][0]
    assert (row["pays_below"], row["pays_overlapped"]) == wanted
    file = StringIO()
    write_csv(report, file)
    line = next(iter(csv.DictReader(StringIO(file.getvalue()))))
    tap, raw = report["codecs"][0]["taps"][0], report["taps"][0]["raw_bytes"]
    assert line["pays_below_mbit_per_s"] == mbit(break_even_of(tap, raw).serial)


def test_csv_hands_a_spreadsheet_no_formula(maps: Path) -> None:
    report = report_of(maps, ["zvc", "jpeg-act"])
    names = ["=HYPERLINK(1)", " @SUM(1)"]
    for tap, name in zip(report["taps"], names, strict=True):
        tap["name"] = name
    for entry in report["codecs"]:
        for tap in entry["taps"]:
            tap["sqnr_db"] = -3.0
    file = StringIO()
    write_csv(report, file)
    lines = list(csv.DictReader(StringIO(file.getvalue())))
    assert {line["tap"] for line in lines} == {f"'{name}" for name in names}
    assert {line["sqnr_db"] for line in lines} == {"-3.00"}


def test_a_broken_promise_has_an_exit_code_of_its_own(maps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmapzip.baselines.huffman import Huffman

    right = Huffman.decode
    monkeypatch.setattr(Huffman, "decode", lambda *args, **options: right(*args, **options) ^ 1)
    assert (
        command(["bench", str(maps), "--codec", "zvc", "--codec", "huffman", "--repeat", "1"])
        == Exit.BROKEN_PROMISE
        == 7
    )


def test_the_command_on_files(maps: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.json"
    code = command(["bench", str(maps), "--codec", "zvc", "--codec", "huffman", "--repeat", "1", "--json", str(target)])
    assert code == Exit.OK
    assert "zvc *" in capfd.readouterr().out
    assert json.loads(target.read_text())["kind"] == "bench"
    assert command(["bench", str(maps), "extra", "third"]) == Exit.INPUT
    assert command(["bench", str(maps), "--codec", "gzip"]) == Exit.USAGE


def test_the_command_on_a_network_measures_distortion(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    target = tmp_path / "report.json"
    arguments = [
        "bench",
        "demo",
        "demo",
        "--limit",
        "5",
        "--codec",
        "zvc",
        "--codec",
        "jpeg-act:table=optH",
        "--codec",
        "pca",
    ]
    assert command([*arguments, "--repeat", "1", "--json", str(target)]) == Exit.OK
    report = json.loads(target.read_text())
    distortion = {entry["label"]: entry["distortion"] for entry in report["codecs"]}
    assert distortion["zvc"] is None
    assert distortion["jpeg-act:table=optH"]["output_sqnr_db"] < report["int8"]["output_sqnr_db"]
    assert distortion["pca"]["output_sqnr_db"] > distortion["jpeg-act:table=optH"]["output_sqnr_db"]
    side = {entry["label"]: entry["side_bytes"] for entry in report["codecs"]}
    assert side["zvc"] > 0
    assert side["pca"] > side["zvc"]


def clock_of(durations: Sequence[float]) -> Callable[[], float]:
    """A clock by which runs take these times, one after the other."""
    times = [0.0]
    for duration in durations:
        times += [times[-1], times[-1] + duration]
    return iter(times[1:]).__next__


@pytest.mark.parametrize(
    ("durations", "seconds", "excess"),
    [
        ([9, 1, 1, 1], 1, 0),  # steady: as often as was asked for, the first uncounted
        ([9, 1, 2, 2, 1, 1, 1], 1, 0),  # not steady: until it is
        ([9, 1, *[2] * 11], 2, 1),  # never steady: four times as often
        ([60], 60, 0),  # takes long: once
        ([9, 30, 60, 30], 30, 0),  # takes long and differs: until it is steady
        ([9, 30, 60, 60, 60], 60, 30),  # for four times as long as is enough
    ],
)
def test_runs_are_repeated_until_their_times_agree(durations: list[float], seconds: float, excess: float) -> None:
    thousandths = [duration / 1000 for duration in durations]
    found = timed(lambda: None, 3, clock_of(thousandths))
    assert found.seconds * 1000 == pytest.approx(seconds)
    assert found.excess * 1000 == pytest.approx(excess, abs=1e-9)


def test_times_that_differ_are_named(maps: Path) -> None:
    report = report_of(maps, ["zvc", "deflate"])
    for entry in report["codecs"]:
        entry["encode_spread"] = entry["decode_spread"] = 0.02
    assert not any("differ much" in line for line in sentences(report))
    report["codecs"][0]["decode_spread"] = 0.4
    label = report["codecs"][0]["label"]
    assert (
        sentences(report)[-1] == f"Times that differ much between runs, as on a busy machine: {label} to decode (40 %)."
    )
