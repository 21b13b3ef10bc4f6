"""Exported Verilog with its test bench, on maps of the demo network, by the commands that people run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("torch")

import fmapzip
from fmapzip.cli.app import run
from fmapzip.hardware.blocks import block
from fmapzip.hardware.testbench import COUNTS
from verilog_runs import by_day, chosen_blocks, has_simulator, said

if not has_simulator():
    pytest.skip("no iverilog: the exported Verilog is not run", allow_module_level=True)

PLAYED = [pytest.param(form.values, marks=form.marks) for form in by_day(chosen_blocks(4))]
"""Golden frames go through all forms by day too (test_blocks_against_software.py)."""
CHANNELS_OF_A_LANE = 8
"""Of the map: so many are coded on one lane of `context-rans`."""


def settings_of(name: str) -> str:
    """The codec whose tiles a block takes, as on the command line."""
    chosen = block(name)
    given = ",".join(f"{key}={str(value).lower()}" for key, value in chosen.settings.items())
    return f"{chosen.codec}:{given}" if given else chosen.codec


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """A small map of the demo network, by a codec."""
    folder = tmp_path_factory.mktemp("archives")
    chosen = ["--codec", "zvc", "--limit", "4", "--taps", "stages.2.conv2", "-o", str(folder / "maps.fmz")]
    assert run(["capture", "demo", "demo", *chosen]) == 0
    with fmapzip.open(folder / "maps.fmz") as opened:
        q = opened[next(iter(opened))]

    def coded(settings: str, lanes: int) -> Path:
        archive, source = folder / f"{settings.replace(':', '_')}_{lanes}.fmz", folder / "map.npy"
        np.save(source, q[: lanes * CHANNELS_OF_A_LANE])
        assert archive.exists() or run(["encode", str(source), str(archive), "--codec", settings]) == 0
        return archive

    return coded


@pytest.fixture(scope="module", params=PLAYED, ids=str)
def played(
    request: pytest.FixtureRequest,
    archives: Callable[[str, int], Path],
    compiled: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[Path]]:
    """A compiled test bench and its cases."""
    name, values = request.param
    target = tmp_path_factory.mktemp("vectors")
    chosen = ["--values", str(values), "--limit", "1", "-o", str(target)]
    lanes = values if block(name).codec == "context-rans" else 1
    assert run(["vectors", name, str(archives(settings_of(name), lanes)), *chosen]) == 0
    folder = target / block(name).module_name(values)
    return compiled(folder), [path.parent for path in sorted(folder.glob("*/case.json"))]


def test_cases_pass_with_and_without_stalls_and_after_a_reset(played: tuple[Path, list[Path]]) -> None:
    program, cases = played
    assert len(cases) == 1
    for case in cases:
        told = json.loads((case / "case.json").read_text())
        assert said(program, case, budget=told["budget"]).startswith("PASS")
        stalled = {"stall": told["stall"], "seed": told["seed"], "budget": told["budget"]}
        assert said(program, case, reset=100, **stalled).startswith("PASS")


def test_pass_tells_cycles_from_input_to_output(
    archives: Callable[[str, int], Path], compiled: Callable[[Path], Path], tmp_path: Path
) -> None:
    source, chosen = str(archives("zvc", 4)), ["--values", "8", "--limit", "1", "-o", str(tmp_path)]
    assert run(["vectors", "zvc-encoder", source, *chosen]) == 0
    folder = tmp_path / "zvc_encoder_8"
    (case,) = [path.parent for path in folder.glob("*/case.json")]
    assert ": first out 1 after first in, last out 1 after last in" in said(compiled(folder), case)


def test_a_case_describes_itself(played: tuple[Path, list[Path]]) -> None:
    case = played[1][0]
    told = json.loads((case / "case.json").read_text())
    values, body = np.load(case / "values.npy"), np.load(case / "body.npy")
    assert list(values.shape) == told["shape"]
    assert len(body) == told["body_bytes"]
    assert told["crc32"] == {"values": crc32(values.tobytes()), "body": crc32(body.tobytes())}
    assert [int(line) for line in (case / COUNTS).read_text().split()] == list(told["words"].values())


def test_a_wrong_word_fails(played: tuple[Path, list[Path]], tmp_path: Path) -> None:
    program, cases = played
    for file in cases[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    output = "values.hex" if (tmp_path / "status.hex").exists() else sorted(tmp_path.glob("*.hex"))[0].name
    first, *rest = (tmp_path / output).read_text().splitlines()
    changed = f"{int(first, 16) ^ 1:0{len(first)}x}"
    (tmp_path / output).write_text("\n".join([changed, *rest]) + "\n")
    assert said(program, tmp_path).startswith("FAIL")


def test_rtl_names_what_a_block_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["rtl", "zvc", "--values", "3", "-o", str(tmp_path)]) == 3
    assert "zvc-encoder (1, 2, 4, 8, 16, 32)" in capsys.readouterr().err
    assert run(["rtl", "jpeg", "-o", str(tmp_path)]) == 3
    assert "zvc-encoder" in capsys.readouterr().err


def test_what_the_blocks_of_dct_cm_do_not_take_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.tile(np.arange(64, dtype=np.uint8), (8, 4, 1)))
    archive = str(tmp_path / "maps.fmz")
    assert run(["encode", str(tmp_path / "in.npy"), archive, "--codec", "dct-cm:path=transform,coding=bitmap"]) == 0
    for name, path in (("dct-cm-mask-decoder", "mask path"), ("dct-cm-inverse-16", "transform path of groups of 16")):
        assert run(["vectors", name, archive, "-o", str(tmp_path / "out")]) == 3
        assert path in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
