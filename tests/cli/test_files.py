import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fmapzip
from fmapzip.archive import Archive, ArchiveWriter, StoreWriter
from fmapzip.cli.app import run
from fmapzip.cli.exits import Exit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def integers(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).normal(0, 40, shape)
    return np.clip(values, 0 if dtype is np.uint8 else -127, 127).astype(dtype)


def test_integers_of_an_npz_come_back_as_they_were() -> None:
    arrays = {
        "conv": integers(3, 8, 5, 4),
        "signed": integers(6, 7, 3, dtype=np.int8),
        "sequence": integers(4, 9),
        "features": integers(11),
        "one sample": integers(1, 4, 3, 2),
    }
    np.savez("in.npz", **arrays)
    assert run(["encode", "in.npz", "maps.fmz"]) == 0
    assert run(["decode", "maps.fmz", "out.npz"]) == 0
    with np.load("out.npz") as found:
        assert set(found.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
def test_floats_are_quantized_and_come_back_within_half_a_step(suffix: str) -> None:
    values = np.maximum(np.random.default_rng(1).normal(0, 2, (2, 6, 5, 5)), 0).astype(np.float32)
    np.save("in.npy", values)
    assert run(["encode", "in.npy", "maps.fmz", "--codec", "zvc"]) == 0
    assert run(["decode", "maps.fmz", f"out.{suffix}", "--dequantize"]) == 0
    if suffix == "safetensors":
        from safetensors.numpy import load_file

        found = load_file("out.safetensors")["in"]
    else:
        loaded = np.load(f"out.{suffix}")
        found = loaded if suffix == "npy" else loaded["in"]
    assert np.abs(found - values).max() <= values.max() / 255 / 2 * 1.0001


def test_batched_makes_the_first_axis_samples() -> None:
    np.save("in.npy", integers(5, 20))
    assert run(["encode", "in.npy", "maps.fmz", "--batched"]) == 0
    with Archive("maps.fmz") as archive:
        assert archive.samples("in") == [0, 1, 2, 3, 4]
        assert archive["in", 3].shape == (20,)


def test_inspect_tells_where_the_bytes_went(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("in.npy", integers(3, 8, 5, 4))
    run(["encode", "in.npy", "maps.fmz"])
    capsys.readouterr()
    assert run(["inspect", "maps.fmz", "--json", "--check"]) == 0
    found = json.loads(capsys.readouterr().out)
    entry = found["maps"]["in"]
    assert (entry["frames"], entry["shapes"], entry["raw_bytes"]) == (3, [[8, 5, 4]], 480)
    assert sum(entry["sections"].values()) == entry["total_bytes"]
    assert run(["inspect", "maps.fmz"]) == 0
    assert "bitmap" in capsys.readouterr().out


def test_a_codec_takes_its_settings_from_the_line_or_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("in.npy", integers(4, 4, 4))
    (folder / "settings.json").write_text("{}")
    assert run(["encode", "in.npy", "maps.fmz", "--codec", "zvc:@settings.json"]) == 0
    for codec, message in (
        ("nope", "there are: raw, zvc"),
        ("zvc:level=3", "no setting 'level'"),
        ("zvc:level", "expected key=value"),
        ("zvc:@absent.json", "absent.json: No such file"),
    ):
        assert run(["encode", "in.npy", "x.fmz", "--codec", codec]) != 0
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3), np.int32), "'in' holds int32"),
        (np.zeros((1, 1, 2, 3, 4, 5), np.uint8), "'in' has 5 dimensions"),
        (np.zeros((0, 3, 3), np.uint8), "'in' is empty"),
        (np.zeros((), np.uint8), "dimensions"),
        (np.full((2, 3), np.nan, np.float32), "'in': holds NaN"),
        (np.array([{}], object), "in.npy"),
    ],
)
def test_arrays_that_are_no_maps_are_refused_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str], array: np.ndarray, message: str
) -> None:
    np.save("in.npy", array)
    assert run(["encode", "in.npy", "maps.fmz"]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [x.name for x in folder.iterdir()] == ["in.npy"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["encode", "absent.npy", "x.fmz"], 3, "no such file"),
        (["encode", "text.txt", "x.fmz"], 3, "expected one of .npy, .npz, .safetensors"),
        (["encode", "bad.npz", "x.fmz"], 3, "bad.npz"),
        (["encode", "bad.safetensors", "x.fmz"], 3, "bad.safetensors"),
        (["encode", "in.npy", "x.zip"], 3, "named .fmz"),
        (["encode", "in.npy", "no/such/x.fmz"], 3, "no such directory"),
        (["decode", "absent.fmz", "x.npy"], 3, "absent.fmz: No such file"),
        (["decode", "text.txt", "x.npy"], 4, "not an archive"),
        (["decode", "maps.fmz", "x.csv"], 3, "expected one of"),
        (["decode", "maps.fmz", "x.npy", "--name", "z*"], 3, "no map named 'z*'; it has: in"),
        (["decode", "maps.fmz", "x.npy", "--dequantize"], 3, "holds no quantizer"),
        (["inspect", "text.txt"], 4, "not an archive"),
        (["inspect", "maps.fmz", "--sample", "5"], 3, "no such map or sample"),
        (["frobnicate"], 2, "No such command"),
        (["encode", "in.npy"], 2, "Missing argument"),
    ],
)
def test_errors_are_one_line_and_a_documented_code(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    np.save("in.npy", integers(4, 4, 4))
    run(["encode", "in.npy", "maps.fmz"])
    for name in ("text.txt", "bad.npz", "bad.safetensors"):
        (folder / name).write_text("something else entirely")
    capsys.readouterr()
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(folder.glob("x.*")) + list(folder.glob(".*"))


def test_a_damaged_archive_is_told_apart_and_leaves_no_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("in.npy", integers(3, 4, 4, 4))
    run(["encode", "in.npy", "maps.fmz"])
    data = bytearray((folder / "maps.fmz").read_bytes())
    data[80] ^= 1
    (folder / "maps.fmz").write_bytes(data)
    assert run(["decode", "maps.fmz", "x.npy"]) == 4
    assert run(["inspect", "maps.fmz", "--check"]) == 4
    assert not (folder / "x.npy").exists()


def test_what_is_left_of_a_cut_archive_decodes_with_a_word_on_stderr(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = integers(3, 4, 4, 4)
    np.save("in.npy", maps)
    run(["encode", "in.npy", "maps.fmz", "--codec", "raw"])
    (folder / "maps.fmz").write_bytes((folder / "maps.fmz").read_bytes()[:300])
    assert run(["decode", "maps.fmz", "x.npy"]) == 0
    assert "up to its last whole frame, 2 frames" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("x.npy"), maps[:2])


def test_an_error_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["decode", "\x1b[2Jabsent.fmz", "x.npy"]) == 3
    assert "\x1b" not in capsys.readouterr().err


def test_an_output_that_exists_is_kept_until_the_new_one_is_whole(folder: Path) -> None:
    (folder / "maps.fmz").write_bytes(b"before")
    np.save("in.npy", np.zeros((2, 3), np.int32))
    assert run(["encode", "in.npy", "maps.fmz"]) == 3
    assert (folder / "maps.fmz").read_bytes() == b"before"
    np.save("in.npy", integers(4, 4, 4))
    assert run(["encode", "in.npy", "maps.fmz"]) == 0
    with Archive(folder / "maps.fmz") as archive:
        assert len(archive) == 1


def test_help_and_version_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["encode", "--help"]):
        assert run(arguments) == 0
        assert "Usage" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fmapzip ")


def test_inspect_shows_plans_and_bare_frames(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fmapzip

    tap = fmapzip.TapPlan("conv", (4, 3, 3), fmapzip.QuantParams("uint8", (0.5,)), fmapzip.registry.make("zvc"))
    fmapzip.Plan((tap,)).save(folder / "x.fmzp")
    assert run(["inspect", "x.fmzp"]) == 0
    assert "conv" in capsys.readouterr().out
    (folder / "x.frames").write_bytes(b"".join(fmapzip.encode_batch(integers(3, 4, 3, 3))))
    assert run(["inspect", "x.frames", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 3
    (folder / "x.frames").write_bytes((folder / "x.frames").read_bytes()[:-1])
    assert run(["inspect", "x.frames"]) == 4


def test_a_frame_of_a_codec_that_is_not_installed_ends_as_a_frame_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import fmapzip
    from fmapzip.codecs.base import PythonCodec

    class Halves(PythonCodec):
        id = "absent-halves"
        lossless = False

        def encode_tile(self, tile: np.ndarray, parameters: bytes) -> bytes:
            return tile.tobytes()[: tile.size // 2]

        def decode_tile(self, body: bytes, shape: tuple[int, int, int], dtype: np.dtype, parameters: bytes) -> Any:
            raise NotImplementedError

    frame = fmapzip.encode(np.zeros((4, 4, 4), np.uint8), Halves())
    with ArchiveWriter("maps.fmz") as out:
        out.add("a", 0, frame)
    assert run(["decode", "maps.fmz", "x.npy"]) == 4
    assert "not installed" in capsys.readouterr().err


def test_the_largest_map_is_the_callers_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("in.npy", integers(4, 5, 5))
    assert run(["encode", "in.npy", "maps.fmz", "--max-values", "99"]) != 0
    assert "99" in capsys.readouterr().err
    assert not Path("maps.fmz").exists()
    assert run(["encode", "in.npy", "maps.fmz", "--max-values", "100"]) == 0
    for command in (["decode", "maps.fmz", "out.npy"], ["inspect", "maps.fmz"], ["verify", "maps.fmz"]):
        assert run([*command, "--max-values", "99"]) == 4
        assert run([*command, "--max-values", "100"]) == 0


def test_inspect_shows_all_shards_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "store"
    with StoreWriter(folder, shard_bytes=1) as out:
        for sample in range(3):
            q = np.full((2, 3, 3), sample, np.uint8)
            out.add(f"{sample}.png", {"a": fmapzip.encode(q, "zvc"), "b": fmapzip.encode(q[:1], "raw")})
    assert run(["inspect", str(folder), "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["samples"], found["shards"], found["frames"]) == ("store", 3, 3, 6)
    assert {name: each["frames"] for name, each in found["maps"].items()} == {"a": 3, "b": 3}
    assert run(["inspect", str(folder), "--name", "b", "--sample", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["maps"]["b"]["frames"] == 1
    assert run(["inspect", str(folder)]) == 0
    assert "3 samples in 3 shards" in capsys.readouterr().out
    for missing in (["--sample", "3"], ["--name", "c"]):
        assert run(["inspect", str(folder), *missing]) == Exit.INPUT
    capsys.readouterr()
    (folder / "0-00001.fmz").write_bytes(b"no archive")
    assert run(["inspect", str(folder)]) == Exit.CORRUPT
    assert "0-00001.fmz: not an archive" in capsys.readouterr().err
    assert run(["inspect", str(tmp_path)]) == Exit.INPUT
