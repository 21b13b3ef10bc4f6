"""What ``--metric`` takes: ``NAME``, ``NAME:key=value,...`` or ``path/to/file.py:function``."""

from __future__ import annotations

from fmapzip.errors import InvalidInput
from fmapzip.eval.codec_spec import read_spec
from fmapzip.eval.user_code import user_function
from fmapzip.torch.tasks import READY, Metric, OfFunction, ready


def parse_metric(spec: str) -> Metric:
    """The metric that ``spec`` describes.

    Raises
    ------
    InvalidInput
        There is none of that name, it has no such setting, or there is no such function.
    MissingExtra
        It needs a package that is not installed.

    Examples
    --------
    >>> parse_metric("psnr:peak=255").name
    'psnr'
    """
    source, _, name = spec.rpartition(":")
    if spec.partition(":")[0] in READY or not source or "=" in name:
        return _ready(spec)
    function = user_function(spec, "--metric")
    if isinstance(function, type) and issubclass(function, Metric):
        return function()
    return OfFunction(name, function)


def _ready(spec: str) -> Metric:
    name, settings = read_spec(spec)
    decoder = settings.get("decoder")
    if isinstance(decoder, str) and ":" in decoder:
        settings["decoder"] = user_function(decoder, f"--metric {name}: decoder")
    if name not in READY and ":" in spec:
        raise InvalidInput(f"there is no metric {name!r}; there are {', '.join(READY)}, path/to/file.py:function")
    return ready(name, **settings)
