"""Functions of the user's, named by ``path/to/file.py:function`` or ``package.module:function``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from fmapzip.errors import InvalidInput


def user_function(spec: str, what: str) -> Callable[..., object]:
    """The function that ``spec`` names; its file is run.

    Parameters
    ----------
    spec
        ``path/to/file.py:function`` or ``package.module:function``.
    what
        What it is for, for errors.

    Raises
    ------
    InvalidInput
        There is no such file or function, or the file failed.
    """
    source, _, name = spec.rpartition(":")
    with importing(source):
        function = getattr(_module(spec, source, what), name, None)
    if not callable(function):
        raise InvalidInput(f"{what} {spec!r}: {source} has no function {name!r}")
    found: Callable[..., object] = function
    return found


@contextmanager
def importing(source: str) -> Iterator[None]:
    """Find what lies beside a file, or in the working directory of a module, as its own imports do."""
    inserted = os.getcwd() if not source.endswith(".py") else str(Path(source).resolve().parent)
    sys.path.insert(0, inserted)
    try:
        yield
    finally:
        sys.path.remove(inserted)


def _module(spec: str, source: str, what: str) -> ModuleType:
    try:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        if not Path(source).is_file():
            raise InvalidInput(f"{what} {spec!r}: no such file: {source}")
        name = f"fmapzip_user_{Path(source).stem}"
        loader = SourceFileLoader(name, source)
        module = sys.modules[name] = ModuleType(name)
        module.__file__, module.__loader__ = source, loader
        loader.exec_module(module)
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{what} {spec!r}: importing {source} failed: {first_line(error)}") from error
    return module


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {' '.join(x.strip() for x in lines[:2])}" if lines else type(error).__name__
