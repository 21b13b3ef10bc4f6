"""Files from strangers: their text cannot move a terminal's cursor, their faults end in a documented exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import ArchiveWriter
from fmapzip.archive.records import HEADER, Kind, pack
from fmapzip.cli.app import run

HOSTILE = "conv\x1b[2J\x07\x9b1A\u202egnp\u2066\r\nnext"
FORBIDDEN = frozenset("\x1b\x07\x9b\u202e\u2066\r")
MAP = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(path: Path, tap: str = "stages.0.conv1", shape: tuple[int, ...] = (4, 4, 4)) -> None:
    quantizer = fmapzip.QuantParams("uint8", (0.5,), HOSTILE)
    fmapzip.Plan((fmapzip.TapPlan(tap, shape, quantizer, fmapzip.registry.make("zvc")),)).save(path)


def test_a_plans_text_reaches_the_terminal_escaped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(folder / "x.fmzp", HOSTILE)
    assert run(["inspect", "x.fmzp"]) == 0
    shown = capsys.readouterr().out
    assert not FORBIDDEN & set(shown)
    assert r"conv\x1b[2J" in shown
    assert r"\u202e" in shown


def test_columns_stay_in_line_where_text_is_escaped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(folder / "x.fmzp", HOSTILE)
    assert run(["inspect", "x.fmzp"]) == 0
    heading, _, row = capsys.readouterr().out.splitlines()[2:5]
    assert heading.index("shape") + len("shape") == row.index("4x4x4") + len("4x4x4")


def test_eval_of_a_hostile_plan_escapes_its_text(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from fmapzip.eval.request import Request, load
    from fmapzip.torch import compress_model

    inputs = load(Request("demo", "demo", limit=20))
    made = compress_model(inputs.model, "zvc", calibration=inputs.calibration).plan
    taps = [
        fmapzip.TapPlan(t.name, t.shape, fmapzip.QuantParams(t.quantizer.dtype, t.quantizer.scale, HOSTILE), t.codec)
        for t in made
    ]
    fmapzip.Plan(tuple(taps)).save(folder / "x.fmzp")
    assert run(["eval", "demo", "demo", "--plan", "x.fmzp", "--limit", "20"]) == 0
    captured = capsys.readouterr()
    assert not FORBIDDEN & set(captured.out + captured.err)


def test_one_damaged_frame_does_not_end_an_inspection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveWriter("x.fmz") as out:
        for name in ("a", "b"):
            for sample in range(3):
                out.add(name, sample, fmapzip.encode(MAP, "raw"))
    data = bytearray((folder / "x.fmz").read_bytes())
    data[data.index(MAP.tobytes()) + 5] ^= 1
    (folder / "x.fmz").write_bytes(data)
    for arguments in ([], ["--check"]):
        assert run(["inspect", "x.fmz", "--json", *arguments]) == 4
        captured = capsys.readouterr()
        found = json.loads(captured.out)
        assert {name: entry["frames"] for name, entry in found["maps"].items()} == {"a": 2, "b": 3}
        assert [each["what"] for each in found["unreadable"]] == ["a, sample 0"]
        assert "a, sample 0: record at byte" in captured.err
    assert run(["inspect", "x.fmz", "--name", "b"]) == 0
    capsys.readouterr()
    assert run(["inspect", "x.fmz", "--check"]) == 4
    captured = capsys.readouterr()
    assert "6 frames of 2 maps; 1 unreadable" in captured.out
    assert "every frame decodes" not in captured.out


def test_verify_tells_sound_archives_from_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveWriter("x.fmz") as out:
        for sample in range(20):
            out.add("a", sample, fmapzip.encode(MAP, "raw"))
    assert run(["verify", "x.fmz"]) == 0
    assert capsys.readouterr().out == "x.fmz: sound, 20 frames of 1 map\n"
    (folder / "y.fmz").write_bytes((folder / "x.fmz").read_bytes().replace(MAP.tobytes(), bytes(64)))
    (folder / "z.fmz").write_bytes(b"something else")
    assert run(["verify", "y.fmz", "z.fmz", "x.fmz"]) == 4
    captured = capsys.readouterr()
    assert captured.out == "x.fmz: sound, 20 frames of 1 map\n"
    lines = captured.err.splitlines()
    assert len(lines) == 12
    assert lines[10:] == [
        "fmapzip: y.fmz: and more",
        "fmapzip: z.fmz: not an archive: it does not begin as a .fmz file does",
    ]


@pytest.mark.parametrize("kind", [Kind.PLAN, Kind.METADATA])
def test_a_plan_or_metadata_that_cannot_be_read_do_not_end_an_inspection(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: Kind
) -> None:
    frame = pack(Kind.NAME, b"a") + pack(Kind.FRAME, bytes(8) + fmapzip.encode(MAP))
    (folder / "x.fmz").write_bytes(HEADER + pack(kind, b"nonsense") + frame)
    assert run(["inspect", "x.fmz", "--json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["maps"]["a"]["frames"] == 1
    assert [each["what"] for each in found["unreadable"]] == [kind.name.lower()]


def test_decode_refuses_to_write_two_maps_under_one_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveWriter("x.fmz") as out:
        out.add("b", 5, fmapzip.encode(MAP))
        out.add("b/5", 0, fmapzip.encode(MAP + 1))
        out.describe({"single maps": ["b/5"]})
    for target in ("out.npz", "out.safetensors"):
        assert run(["decode", "x.fmz", target]) == 3
        assert "two arrays would be named 'b/5'" in capsys.readouterr().err
        assert not (folder / target).exists()
    assert run(["decode", "x.fmz", "out.npz", "--name", "b"]) == 0


def test_decode_writes_no_member_that_leads_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ArchiveWriter("x.fmz") as out:
        out.add("../../x", 0, fmapzip.encode(MAP))
    assert run(["decode", "x.fmz", "out.npz"]) == 3
    assert "leads out of the folder" in capsys.readouterr().err


def _nested(folder: Path) -> list[str]:
    (folder / "deep.json").write_text("[" * 100_000)
    np.save("in.npy", MAP)
    return ["encode", "in.npy", "x.fmz", "--codec", "zvc:@deep.json"]


def _nested_option(folder: Path) -> list[str]:
    np.save("in.npy", MAP)
    return ["encode", "in.npy", "x.fmz", "--codec", "dct-cm:path=" + "[" * 100_000]


def _loop(folder: Path) -> list[str]:
    np.save("in.npy", MAP)
    (folder / "x.fmz").symlink_to("x.fmz")
    return ["encode", "in.npy", "x.fmz"]


def _full(folder: Path) -> list[str]:
    np.save("in.npy", MAP)
    (folder / "x.fmz").symlink_to("/dev/full")
    return ["encode", "in.npy", "x.fmz"]


def _renamed(folder: Path) -> list[str]:
    np.savez("in.npz", a=MAP)
    (folder / "in.npz").rename(folder / "in.npy")
    return ["encode", "in.npy", "x.fmz"]


def _foreign(folder: Path) -> list[str]:
    import zipfile

    np.savez("in.npz", a=MAP)
    with zipfile.ZipFile("in.npz", "a") as file:
        file.writestr("notes.txt", "hello")
    return ["encode", "in.npz", "x.fmz"]


@pytest.mark.parametrize("make", [_nested, _nested_option, _loop, _full, _renamed, _foreign])
def test_input_that_cannot_be_used_ends_with_3_and_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], list[str]]
) -> None:
    assert run(make(folder)) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "internal" not in error


def test_a_device_takes_an_archive_and_the_ratio_is_that_of_what_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("in.npy", MAP)
    (folder / "x.fmz").symlink_to("/dev/null")
    assert run(["encode", "in.npy", "x.fmz"]) == 0
    assert "64 values in" in capsys.readouterr().out
