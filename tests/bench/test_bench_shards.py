"""A bench in shards: the report is that of one run but for times, and what is of another run is refused by name."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from fmapzip.bench.merging import merge
from fmapzip.cli.app import run
from fmapzip.errors import InvalidInput
from fmapzip.eval.shard_file import _digest

BENCH = ["bench", "demo", "demo", "--images", "10", "--batch", "4", "--repeat", "1"]
CODECS = ["zvc", "context-rans:level=fast,step=8", "huffman", "jpeg-act", "deflate:level=1"]
TIMES = {"encode_seconds", "decode_seconds", "encode_spread", "decode_spread", "peak_bytes", "others_cpu"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run's report, and shards of 2 and of 5, of which two have no images."""
    folder = tmp_path_factory.mktemp("bench")
    arguments = [*BENCH, *(word for codec in CODECS for word in ("--codec", codec))]
    assert run([*arguments, "--json", str(folder / "whole.json")]) == 0
    for count in (2, 5):
        for i in range(1, count + 1):
            assert run([*arguments, "--shard", f"{i}/{count}", "-o", str(folder / f"{i}of{count}")]) == 0
    return folder


def of(folder: Path, count: int) -> list[Path]:
    return [folder / f"{i}of{count}" for i in range(1, count + 1)]


@pytest.mark.parametrize("count", [2, 5])
def test_any_number_and_order_of_shards_gives_the_report_of_one_run(made: Path, count: int) -> None:
    files = of(made, count)
    random.Random(count).shuffle(files)
    whole = json.loads((made / "whole.json").read_text())
    assert without_times(merge(files)) == without_times(whole)
    assert {tap["samples"] for tap in whole["taps"]} == {10}
    assert sum(entry["distortion"] is not None for entry in whole["codecs"]) == 2
    assert whole["int8"]["kl_vs_float"] > 0


def test_the_command_writes_report_page_and_lines(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {option: tmp_path / f"report{option}" for option in ("--json", "--html", "--csv")}
    words = [word for option, file in names.items() for word in (option, str(file))]
    assert run(["merge", *map(str, of(made, 2)), *words]) == 0
    assert "huffman" in capsys.readouterr().out
    assert without_times(json.loads(names["--json"].read_text())) == without_times(
        json.loads((made / "whole.json").read_text())
    )
    assert len(names["--csv"].read_text().splitlines()) == 1 + 7 * 5
    assert names["--html"].read_text().startswith("<!doctype html>")


def test_a_finished_shard_is_not_measured_again_and_another_is_left_alone(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made / "2of2"
    before = file.read_bytes()
    arguments = [*BENCH, *(word for codec in CODECS for word in ("--codec", codec))]
    assert run([*arguments, "--shard", "2/2", "-o", str(file)]) == 0
    assert "was there already" in capsys.readouterr().out
    assert run([*arguments, "--shard", "1/2", "-o", str(file)]) == 3
    assert "exists and is shard 2/2, not 1/2" in capsys.readouterr().err
    assert run([*BENCH, "--codec", "zvc", "--shard", "2/2", "-o", str(file)]) == 3
    assert "exists and is of other codecs or plans" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_missing_doubled_damaged_and_foreign_shards_are_refused_by_name(made: Path, tmp_path: Path) -> None:
    first, second = of(made, 2)
    with pytest.raises(InvalidInput, match="1 of 2 shards are missing, the first is 2/2"):
        merge([first])
    with pytest.raises(InvalidInput, match=r"1of2 and .*1of2 are both shard 1/2"):
        merge([first, first, second])
    with pytest.raises(InvalidInput, match=r"1of5: not of the same run as .*1of2: one of 5 shards, not of 2"):
        merge([first, made / "1of5"])
    found = json.loads(second.read_text())
    other = tmp_path / "other"
    for key, words in (("versions", "other versions"), ("model", "another network"), ("images", "other images"),
                       ("calibration", "other calibration images"), ("settings", "other settings")):  # fmt: skip
        value = found["asked"][key]
        changed = {**found["asked"], key: {**value, "torch": "1"} if isinstance(value, dict) else "0" * 64}
        _write(other, {**found, "asked": changed})
        with pytest.raises(InvalidInput, match=f"other: not of the same run as .*1of2: of {words}"):
            merge([first, other])
    methods = [{**each, "plan": "0" * 64} for each in found["figures"]["methods"]]
    _write(other, {**found, "figures": {**found["figures"], "methods": methods}})
    with pytest.raises(InvalidInput, match=r"other: not of the same run as .*: of another calibration"):
        merge([first, other])
    other.write_text(second.read_text().replace('"samples": 2', '"samples": 3'))
    with pytest.raises(InvalidInput, match="other: damaged"):
        merge([first, other])


def test_files_are_not_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", str(tmp_path / "maps.fmz"), "--shard", "1/2", "-o", str(tmp_path / "x")]) == 3
    assert "methods are trained on all their maps" in capsys.readouterr().err


def _write(file: Path, document: dict[str, Any]) -> None:
    file.write_text(json.dumps({**document, "digest": _digest(document)}))
