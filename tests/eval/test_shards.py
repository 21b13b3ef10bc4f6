import copy
import json
import random

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import contextlib
import itertools

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmapzip.cli.app import run
from fmapzip.documents.shard import EvidenceSums, NetworkSums, TapSums
from fmapzip.errors import InvalidInput
from fmapzip.eval import shards
from fmapzip.eval.merging import merge
from fmapzip.eval.metric_spec import parse_metric
from fmapzip.eval.shard_file import _digest, read_shard
from fmapzip.plan import TapPlan
from fmapzip.quantize import QuantParams
from fmapzip.registry import make
from fmapzip.sums import ExactSum
from fmapzip.torch.metrics import ClassEvidence, OutputFigures, Scores
from fmapzip.torch.statistics import TapStatistics
from fmapzip.torch.tap_coder import Stored
from fmapzip.torch.tasks.keeping import of_json, to_json

EVAL = ["eval", "demo", "demo", "--codec", "dct-cm", "--limit", "30", "--batch", "4", "--torch-threads", "1"]
TIMES = {"seconds", "encode_mb_per_s", "decode_mb_per_s", "others_cpu"}
WHOLE_SET = """
def share(outputs, targets):
    hits = [int(output.argmax()) == target for output, target in zip(outputs, targets)]
    return {"share": sum(hits) / len(hits)}
share.whole_set = True
"""


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole run's report, and the shards of the same run."""
    folder = tmp_path_factory.mktemp("shards")
    metric = folder / "metric.py"
    metric.write_text(WHOLE_SET)
    metrics = ["top1", f"{metric}:share"]
    arguments = [*EVAL, *(word for name in metrics for word in ("--metric", name))]
    assert run([*arguments, "--json", str(folder / "whole.json"), "--html", str(folder / "whole.html")]) == 0
    for count in (1, 3, 7):
        for i in range(1, count + 1):
            assert run([*arguments, "--shard", f"{i}/{count}", "-o", str(folder / f"{i}of{count}.json")]) == 0
    return folder, metrics


def merged(made, files):
    _, metrics = made
    return merge(files, [parse_metric(name) for name in metrics], metrics, pictures=True)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_any_number_and_order_of_shards_gives_the_report_of_one_run_digit_for_digit(made, count):
    folder, _ = made
    files = [folder / f"{i}of{count}.json" for i in range(1, count + 1)]
    random.Random(count).shuffle(files)
    whole = json.loads((folder / "whole.json").read_text())
    assert without_times(merged(made, files)) == without_times(whole)
    assert whole["images"] == 24
    assert whole["pictures"]["maps"]


def test_the_command_writes_the_report(made, capsys):
    folder, metrics = made
    files = [str(folder / f"{i}of3.json") for i in (2, 3, 1)]
    named = [word for name in metrics for word in ("--metric", name)]
    assert run(["merge", *files, *named, "--json", str(folder / "m.json")]) == 0
    assert "24" in capsys.readouterr().out
    whole = json.loads((folder / "whole.json").read_text())
    whole["pictures"] = None
    assert without_times(json.loads((folder / "m.json").read_text())) == without_times(whole)


def test_missing_doubled_and_foreign_shards_are_refused_by_name(made, tmp_path):
    folder, _metrics = made
    first, second, third = (folder / f"{i}of3.json" for i in (1, 2, 3))
    with pytest.raises(InvalidInput, match="1 of 3 shards are missing, the first is 2/3"):
        merged(made, [first, third])
    with pytest.raises(InvalidInput, match=r"1of3\.json and .*1of3\.json are both shard 1/3"):
        merged(made, [first, second, first, third])
    with pytest.raises(InvalidInput, match=r"4of7\.json: not of the same run as .*: one of 7 shards, not of 3"):
        merged(made, [first, folder / "4of7.json"])
    with pytest.raises(InvalidInput, match="judged by --metric top1"):
        merge([first, second, third])


@pytest.mark.parametrize(
    ("key", "words"),
    [("versions", "other versions"), ("model", "another network"), ("images", "other images"),
     ("calibration", "other calibration images"), ("settings", "other settings"), ("codecs", "other codecs or plans")],
)  # fmt: skip
def test_a_shard_of_another_run_is_refused_by_name(made, tmp_path, key, words):
    folder, _ = made
    found = json.loads((folder / "2of3.json").read_text())
    found["asked"][key] = {**found["asked"][key], "torch": "1"} if isinstance(found["asked"][key], dict) else (
        [] if key == "codecs" else "0" * 64
    )  # fmt: skip
    other = written(tmp_path / "other.json", found)
    with pytest.raises(InvalidInput, match=f"other.json: not of the same run as .*1of3.json: of {words}"):
        merged(made, [folder / "1of3.json", other, folder / "3of3.json"])


def test_a_run_with_another_quantizer_is_another_run(made, tmp_path, capsys):
    file = tmp_path / "s.json"
    assert run([*EVAL, "--quantizer", "mse", "--shard", "2/3", "-o", str(file)]) == 0
    assert run([*EVAL, "--shard", "2/3", "-o", str(file)]) == 3
    assert "exists and is of other settings" in capsys.readouterr().err
    with pytest.raises(InvalidInput, match="1of3"):
        merge([file, made[0] / "1of3.json"])


def test_an_interrupted_shard_goes_on_and_gives_the_same_sums(made, tmp_path, monkeypatch, capsys):
    folder, metrics = made
    file = tmp_path / "1of3.json"
    arguments = [*EVAL, *(word for name in metrics for word in ("--metric", name)), "--shard", "1/3", "-o", str(file)]
    monkeypatch.setattr(shards, "SAVE_SECONDS", 0.0)
    write, saved = shards.write_shard, []

    def interrupt(target, document):
        write(target, document)
        saved.append(document.done)
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "write_shard", interrupt)
    assert run(arguments) == 130
    assert saved == [1]
    with pytest.raises(InvalidInput, match=r"1of3\.json is unfinished: 1 of 2 batches"):
        merged(made, [file, folder / "2of3.json", folder / "3of3.json"])
    monkeypatch.setattr(shards, "write_shard", write)
    assert run(arguments) == 0
    assert "8 images in 2 batches, 1 of them known before" in capsys.readouterr().out
    again, whole = (json.loads(each.read_text()) for each in (file, folder / "1of3.json"))
    for found in (again, whole):
        found.pop("digest")
    times = {*TIMES, "encode_seconds", "decode_seconds"}
    assert json.dumps(_without(again, times)) == json.dumps(_without(whole, times))


def test_a_finished_shard_is_left_as_it_is(made):
    folder, metrics = made
    file = folder / "3of7.json"
    before = file.read_bytes()
    named = [word for name in metrics for word in ("--metric", name)]
    assert run([*EVAL, *named, "--shard", "3/7", "-o", str(file)]) == 0
    assert file.read_bytes() == before


def test_shards_without_a_batch_of_their_own_count_nothing(tmp_path):
    files = []
    for i in range(1, 4):
        files.append(tmp_path / f"{i}.json")
        few = ["eval", "demo", "demo", "--codec", "raw", "--limit", "4", "--batch", "2", "--torch-threads", "1"]
        assert run([*few, "--shard", f"{i}/3", "-o", str(files[-1])]) == 0
    assert merge(files)["images"] == 3
    assert sorted(read_shard(file).sums.images for file in files) == [0, 1, 2]


@pytest.mark.parametrize(
    "more",
    [["--shard", "1/3"], ["-o", "s.json"], ["--shard", "0/3", "-o", "s.json"], ["--shard", "4/3", "-o", "s.json"],
     ["--shard", "1/3", "-o", "s.json", "--json", "r.json"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(more, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run([*EVAL, *more]) == 3


def test_files_that_are_no_shards_are_refused(made, tmp_path):
    folder, _ = made
    data = (folder / "2of3.json").read_bytes()
    for bad in (b"", b"{", b"[]", b"[" * 100_000, b'{"kind": "eval shard", "schema": 2}', data[:-30], b"\xff" + data,
                data.replace(b'"nonzeros": ', b'"nonzeros": 1', 1)):  # fmt: skip
        file = tmp_path / "bad.json"
        file.write_bytes(bad)
        with pytest.raises(InvalidInput, match=r"bad\.json"):
            read_shard(file)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_hostile_values_give_a_typed_error_or_a_report(made, tmp_path, data):
    folder, _ = made
    number = data.draw(st.integers(1, 3))
    found = json.loads((folder / f"{number}of3.json").read_text())
    place, key = data.draw(st.sampled_from(leaves(found)))
    place[key] = data.draw(
        st.sampled_from([None, -1, 0, 1, 2**31, 2**53, 1e308, "", "x", "0x1p1024", "nan", [], {}, [[]], True])
    )
    file = written(tmp_path / "hostile.json", found)
    with contextlib.suppress(InvalidInput):
        merged(made, [file, *(folder / f"{i}of3.json" for i in (1, 2, 3) if i != number)])


def leaves(value):
    """Places of values in containers, a sample of those in long lists."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))[:3]
    found = []
    for key, each in items:
        found.append((value, key))
        if isinstance(each, dict | list):
            found += leaves(each)
    return found


def written(file, found):
    found["digest"] = _digest(found)
    file.write_text(json.dumps(found))
    return file


def _without(value, keys):
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value


def parted(items, cuts):
    """The items in neighbouring parts."""
    ends = sorted({0, len(items), *(cut % (len(items) + 1) for cut in cuts)})
    return [items[a:b] for a, b in itertools.pairwise(ends)]


energies = st.tuples(st.floats(0, 1e30), st.floats(0, 1e30))
frames = st.lists(st.tuples(st.integers(1, 9000), energies), min_size=1, max_size=20)


@given(frames, st.lists(st.integers(0, 100), max_size=4), st.randoms())
def test_sums_of_taps_are_the_same_for_any_division_and_order(samples, cuts, order):
    plan = TapPlan("tap", (8, 32, 32), QuantParams("uint8", (0.1,)), make("zvc"))

    def counted(part):
        found = TapStatistics(plan, ())
        for size, energy in part:
            found.add(Stored([size], [size // 2], [energy], 3, 0.1, 0.2, []))
            found.add_sections({"bitmap": size})
        return found

    total = TapStatistics(plan, ())
    for part in order.sample(parts := parted(samples, cuts), len(parts)):
        total.merge(through_json(counted(part).sums(), TapSums))
    assert total.sums() == counted(samples).sums()
    assert total.result() == counted(samples).result()


@given(st.integers(1, 12), st.integers(0, 2**32), st.lists(st.integers(0, 100), max_size=4), st.randoms())
@settings(deadline=None)
def test_sums_of_outputs_are_the_same_for_any_division_and_order(count, seed, cuts, order):
    made = torch.Generator().manual_seed(seed)
    exact, other = (torch.randn(count, 5, generator=made) * 10 for _ in range(2))
    labels = torch.randint(5, (count,), generator=made)

    def counted(rows):
        found, evidence = OutputFigures(), ClassEvidence()
        for i in rows:
            one, two, label = exact[i : i + 1], other[i : i + 1], labels[i : i + 1]
            found.add_scores(Scores(two), label)
            found.compare("float", Scores(one), Scores(two))
            found.add_outputs({"out": one, "more": one}, {"out": two, "more": two}, ["out"])
            evidence.add(two, label)
        return found, evidence

    total, seen = OutputFigures(), ClassEvidence()
    for part in order.sample(parts := parted(range(count), cuts), len(parts)):
        found, evidence = counted(part)
        total.merge(through_json(found.sums(ExactSum()), NetworkSums))
        seen.merge(through_json(evidence.sums(), EvidenceSums))
    whole, evidence = counted(range(count))
    assert total.sums(ExactSum()) == whole.sums(ExactSum())
    assert (seen.sums(), seen.class_scores) == (evidence.sums(), evidence.class_scores)


def through_json(value, kind):
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


@pytest.mark.parametrize(("hits", "wanted"), [(15, False), (300, True)])
def test_thousands_of_labelled_images_can_be_judged(hits, wanted):
    evidence = ClassEvidence()
    outputs = torch.zeros(10_000, 1000)
    outputs[:, 0] = 1
    evidence.add(outputs, (torch.arange(10_000) >= hits).long())
    assert evidence.class_scores is wanted


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(values)
def test_what_metrics_keep_survives_json(value):
    assert of_json(json.loads(json.dumps(to_json(copy.deepcopy(value))))) == value


def test_arrays_and_tensors_survive_json():
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    back = of_json(json.loads(json.dumps(to_json((array, torch.tensor([0.1, float("inf")]))))))
    np.testing.assert_array_equal(back[0], array)
    assert back[0].dtype == array.dtype
    assert torch.equal(back[1], torch.tensor([0.1, float("inf")]))
    assert of_json(json.loads(json.dumps(to_json({3: np.int64(7)})))) == {3: 7}
    assert hash(of_json(to_json(np.int64(7)))) == hash(7)
    with pytest.raises(InvalidInput, match="object that a metric keeps"):
        to_json(object())
