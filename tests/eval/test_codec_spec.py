import json
from pathlib import Path

import pytest

from fmapzip import registry
from fmapzip.errors import InvalidInput, UnknownCodec
from fmapzip.eval.codec_spec import parse_codec


def test_settings_are_json_or_text_and_commas_in_brackets_do_not_part_them() -> None:
    made = parse_codec("dct-cm:path=transform,group=16,order=[3,1,0,2],zero-mask=true,step=2.5")
    assert made == registry.make("dct-cm", path="transform", group=16, order=[3, 1, 0, 2], zero_mask=True, step=2.5)
    assert parse_codec("zvc") == registry.make("zvc")


def test_a_settings_file_may_be_what_config_gives(tmp_path: Path) -> None:
    made = registry.make("dct-cm", step=2.0)
    (tmp_path / "x.json").write_text(json.dumps(made.config()))
    assert parse_codec(f"dct-cm:@{tmp_path}/x.json") == made
    with pytest.raises(InvalidInput, match="another codec"):
        parse_codec(f"zvc:@{tmp_path}/x.json")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("zvc:", "expected key=value"),
        ("zvc:=1", "expected key=value"),
        ("dct-cm:step=1,step=2", "step is given twice"),
        ("dct-cm:steps", "expected key=value"),
        ("dct-cm:speed=1", "no setting 'speed'; its settings: path"),
        ("dct-cm:group=7", "group is one of"),
        ('dct-cm:threshold="a"', "dct-cm"),
        ("zvc:@absent.json", "absent.json"),
    ],
)
def test_what_cannot_be_understood_is_told(spec: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_codec(spec)


def test_settings_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    for text in ("not json", "[1]"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(InvalidInput, match=r"x\.json"):
            parse_codec(f"zvc:@{tmp_path}/x.json")


def test_an_unknown_codec_lists_those_there_are() -> None:
    with pytest.raises(UnknownCodec, match="raw, zvc, dct-cm"):
        parse_codec("zvd:a=1")
