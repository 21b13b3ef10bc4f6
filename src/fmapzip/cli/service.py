"""What ``serve`` and ``send`` share: the groups of their options, and what both need installed."""

from __future__ import annotations

from importlib import import_module

import typer

from fmapzip.errors import MissingExtra

WHERE, WHO = "Where", "Who may ask"


def file_option(name: str, text: str, default: str | None = None) -> typer.models.OptionInfo:
    """A file that says who somebody is."""
    found: typer.models.OptionInfo = typer.Option(
        name, metavar="FILE", help=text, show_default=default or False, rich_help_panel=WHO
    )
    return found


def require_grpc() -> None:
    """Refuse to go on without gRPC or PyTorch.

    Raises
    ------
    MissingExtra
        One is not installed.
    """
    try:
        import_module("grpc_health.v1.health")
        import_module("grpc_reflection.v1alpha.reflection")
        import_module("prometheus_client")
    except ImportError as error:
        raise MissingExtra("serving and asking need gRPC: pip install 'fmapzip[serve]'") from error
    from fmapzip.eval.request import require_torch

    require_torch()
