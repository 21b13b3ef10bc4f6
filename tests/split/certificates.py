"""Certificates for servers and clients of a test, by openssl."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> None:
    """Write ``name.pem`` and ``name.key``: who signs."""
    openssl("req", "-x509", *_KEY, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem",
            "-subj", f"/CN={name}", "-days", "30")  # fmt: skip


def certificate(folder: Path, name: str, days: int = 30, places: Sequence[str] = ("127.0.0.1",)) -> None:
    """Write ``name.pem`` and ``name.key``, for localhost and the addresses, signed by ``ca``; expired if days < 0."""
    names = ",".join(["DNS:localhost", *(f"IP:{place}" for place in places)])
    (folder / "names").write_text(f"subjectAltName={names}\n")
    openssl("req", *_KEY, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr", "-subj", f"/CN={name}")
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", str(days), "-extfile", folder / "names",
            "-out", folder / f"{name}.pem")  # fmt: skip
