"""What ``MODEL`` on the command line names: a network, from torchvision, timm or a function of the user's."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from torch import nn

from fmapzip.errors import InvalidInput, MissingExtra
from fmapzip.eval.user_code import first_line, importing, user_function
from fmapzip.torch.image_list import TakesImageList

FORMS = "demo, torchvision:NAME, timm:NAME, path/to/file.py:function, package.module:function or path/to/file.onnx"


def load_model(spec: str, weights: str | os.PathLike[str] | None = None) -> nn.Module:
    """The network that ``spec`` names, in eval mode, on the CPU, its parameters not requiring gradients.

    A detector of torchvision's, which takes a list of images, comes as one that takes a batch.

    Parameters
    ----------
    spec
        ``demo``; ``torchvision:NAME`` or ``timm:NAME``, with pretrained weights, which the library downloads on
        first use; ``path/to/file.py:function`` or ``package.module:function``, a function without arguments that
        returns an ``nn.Module``; ``path/to/file.onnx``, with the extra ``onnx``.
    weights
        A ``.safetensors`` or torch state dict file to load into the network instead of pretrained weights (nothing
        is downloaded then). An ONNX file is imported with its own first; then it is no longer what the file holds.

    Raises
    ------
    InvalidInput
        Not of one of these forms, no such file, function or network, the function failed or returned something
        else, the weights cannot be downloaded or do not fit.
    UnsupportedModel
        An ONNX file that cannot be imported.
    MissingExtra
        torchvision, timm or the extra ``onnx`` is not installed.

    Examples
    --------
    >>> load_model("demo").training
    False
    """
    source, colon, name = spec.rpartition(":")
    if spec == "demo":
        net = _demo()
    elif spec.endswith(".onnx"):
        net = _onnx(spec, own_weights=weights is None)
    elif not (source and colon and name):
        raise InvalidInput(f"model {spec!r}: expected {FORMS}")
    elif source == "torchvision":
        net = _torchvision(name, pretrained=weights is None)
    elif source == "timm":
        net = _timm(name, pretrained=weights is None)
    else:
        net = _from_function(spec, source)
    if weights is not None:
        _load_weights(net, Path(weights))
    if type(net).__module__.startswith("torchvision.models.detection"):
        net = TakesImageList(net)
    return net.cpu().eval().requires_grad_(False)


def _demo() -> nn.Module:
    from fmapzip.demo.network import network

    return network()


def _onnx(spec: str, own_weights: bool) -> nn.Module:
    from fmapzip.onnx import load_onnx

    net = load_onnx(spec)
    if not own_weights:
        del net.meta["file"]
    return net


def _torchvision(name: str, pretrained: bool) -> nn.Module:
    models = _library("torchvision.models", "torchvision")
    known = models.list_models()
    if name not in known:
        raise InvalidInput(f"torchvision has no model {name!r}{_alike(name, known)}")
    return _fetched(f"torchvision:{name}", lambda: models.get_model(name, weights="DEFAULT" if pretrained else None))


def _timm(name: str, pretrained: bool) -> nn.Module:
    timm = _library("timm", "timm")
    if not timm.is_model(name):
        raise InvalidInput(f"timm has no model {name!r}{_alike(name, timm.list_models())}")
    return _fetched(f"timm:{name}", lambda: timm.create_model(name, pretrained=pretrained))


def _library(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{package} is not installed: pip install {package}") from error
    except (ImportError, RuntimeError) as error:
        raise InvalidInput(f"{package} is installed but cannot be imported: {first_line(error)}") from error


def _fetched(spec: str, build: Callable[[], object]) -> nn.Module:
    try:
        net = build()
    except Exception as error:
        hint = "--weights FILE loads weights from a local file"
        raise InvalidInput(f"model {spec!r}: {first_line(error)} ({hint})") from error
    return _checked(spec, net)


def _from_function(spec: str, source: str) -> nn.Module:
    function = user_function(spec, "model")
    try:
        with importing(source):
            net = function()
    except (Exception, SystemExit) as error:
        name = spec.rpartition(":")[2]
        raise InvalidInput(f"model {spec!r}: {name}() failed: {first_line(error)}") from error
    return _checked(spec, net)


def _checked(spec: str, net: object) -> nn.Module:
    if not isinstance(net, nn.Module):
        raise InvalidInput(f"model {spec!r} gave a {type(net).__name__}, not an nn.Module")
    return net


def _load_weights(net: nn.Module, file: Path) -> None:
    import torch

    if not file.is_file():
        raise InvalidInput(f"weights: no such file: {file}")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(str(file))
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
        net.load_state_dict(state)
    except Exception as error:
        raise InvalidInput(f"weights {file}: {first_line(error)}") from error


def _alike(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 3)
    return f"; close to it: {', '.join(close)}" if close else ""
