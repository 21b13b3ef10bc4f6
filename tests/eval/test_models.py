import sys
import types
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.models import load_model
from fmapzip.eval.request import only_batch

SOURCE = """
import torch
from helper import width
def net(): return torch.nn.Sequential(torch.nn.Conv2d(3, width, 1), torch.nn.BatchNorm2d(width))
def number(): return 7
def broken(): raise RuntimeError("no weights here")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("width = 5")
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path / "mine.py"


def test_a_function_in_a_file_gives_its_network_in_eval_mode(file: Path) -> None:
    net = load_model(f"{file}:net")
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert net(torch.zeros(1, 3, 4, 4)).shape == (1, 5, 4, 4)


def test_a_function_in_a_package_is_found_from_the_working_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert isinstance(load_model("mine:net"), torch.nn.Module)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nonsense", "expected demo, torchvision:NAME"),
        ("{file}:", "expected demo"),
        ("{file}:absent", "no function 'absent'"),
        ("{file}:number", "gave a int"),
        ("{file}:broken", "broken.. failed: RuntimeError: no weights here"),
        ("{folder}/none.py:net", "no such file"),
        ("no.such.package:net", "importing no.such.package failed"),
    ],
)
def test_a_model_that_cannot_be_had_is_refused_with_the_reason(file: Path, spec: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_model(spec.format(file=file, folder=file.parent))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_come_from_a_local_file(file: Path, tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    state = load_model(f"{file}:net").state_dict()
    state["0.bias"] = torch.full((5,), 3.0)
    weights = tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save(state, weights)
    else:
        save_file(state, weights)
    assert load_model(f"{file}:net", weights).state_dict()["0.bias"].tolist() == [3.0] * 5
    with pytest.raises(InvalidInput, match="weights"):
        load_model("demo", weights)
    with pytest.raises(InvalidInput, match="no such file"):
        load_model(f"{file}:net", tmp_path / "absent.pt")


def test_what_a_network_keeps_as_meta_is_its_own(tmp_path: Path) -> None:
    source = "import torch\n\ndef net():\n    made = torch.nn.Sequential(torch.nn.Linear(2, 2))\n"
    (tmp_path / "meta_net.py").write_text(source + "    made.meta = 'mine'\n    return made\n")
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict(), tmp_path / "w.pt")
    net = load_model(f"{tmp_path / 'meta_net.py'}:net", tmp_path / "w.pt")
    assert net.meta == "mine"
    assert only_batch(net) is None


def test_weights_files_are_never_run(file: Path, tmp_path: Path) -> None:
    torch.save(Path, tmp_path / "w.pt")
    with pytest.raises(InvalidInput, match="weights"):
        load_model(f"{file}:net", tmp_path / "w.pt")


def library(downloads: list[object]) -> types.ModuleType:
    """What torchvision.models offers, as far as it is used here."""
    module = types.ModuleType("torchvision.models")

    def get_model(name: str, weights: object) -> torch.nn.Module:
        downloads.append(weights)
        if weights is not None:
            raise OSError("<urlopen error no network>")
        return torch.nn.Linear(2, 2)

    module.list_models = lambda: ["resnet18", "resnet50"]  # type: ignore[attr-defined]
    module.get_model = get_model  # type: ignore[attr-defined]
    return module


def test_torchvision_weights_are_fetched_unless_a_file_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    downloads: list[object] = []
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", library(downloads))
    with pytest.raises(InvalidInput, match=r"no network.*--weights FILE"):
        load_model("torchvision:resnet18")
    with pytest.raises(InvalidInput, match="close to it: resnet18"):
        load_model("torchvision:resnet8")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    load_model("torchvision:resnet18", tmp_path / "w.pt")
    assert downloads == ["DEFAULT", None]


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    for name in (package, f"{package}.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=package):
        load_model(f"{package}:resnet18")
