"""Whether this commit can be tagged: builds, checks and tries the distributions, then says what is missing.

Run by ``nox -s release``. The distributions are left in ``build/dist``. ``release.py FOLDER`` checks those of a
folder and nothing else: CI's wheels, of which those of Python 3.12 are of the stable ABI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "build" / "dist"
LARGEST_WHEEL = 3_000_000
TRIED = """
import numpy as np, fmapzip
q = np.maximum(np.random.default_rng(0).normal(0, 20, (64, 28, 28)), 0).astype(np.uint8)
for codec in ("zvc", "dct-cm", "context-rans"):
    frame = fmapzip.encode(q, codec=codec)
    print(codec, fmapzip.decode(frame).shape, round(fmapzip.inspect(frame).ratio, 2))
    assert (fmapzip.decode(frame) == q).all() or codec == "dct-cm"
"""


def main() -> int:
    """Check everything, or the distributions of a folder; 1 if something is missing."""
    if len(sys.argv) > 1:
        return told(list(distributions(Path(sys.argv[1]))), "distributions to publish")
    shutil.rmtree(DIST, ignore_errors=True)
    built = (
        subprocess.run([sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT)], check=False).returncode == 0
    )
    missing = [*distributions(DIST), *installed()] if built else ["distributions that can be built"]
    missing += [*sessions(), *marks()]
    return told(missing, "ready to tag")


def told(missing: list[str], wanted: str) -> int:
    """Say what is missing; 1 if something is."""
    for each in missing:
        print(f"missing: {each}")
    print(wanted if not missing else f"not {wanted}: {len(missing)} missing")
    return bool(missing)


def distributions(folder: Path) -> Iterator[str]:
    """What the package index and other machines would refuse."""
    files = sorted(map(str, folder.iterdir()))
    wheels = [file for file in files if file.endswith(".whl")]
    commands = {
        "metadata that the index shows": ["twine", "check", "--strict", *files],
        "a clean wheel": ["check_wheel_contents", *wheels],
    }
    linux = [wheel for wheel in wheels if "linux" in wheel]
    if linux:
        commands["a wheel for other Linux machines"] = ["auditwheel", "show", *linux]
    stable = [wheel for wheel in wheels if "-abi3-" in wheel]
    if stable:
        commands["an extension of the stable ABI alone"] = ["abi3audit", "--strict", "--report", *stable]
    else:
        print("not checked: the stable ABI, whose wheel Python 3.12 and newer make")
    for what, command in commands.items():
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            yield what
    for wheel in map(Path, wheels):
        size = wheel.stat().st_size
        print(f"{wheel.name}: {size} bytes")
        if size > LARGEST_WHEEL:
            yield f"a wheel of at most {LARGEST_WHEEL} bytes"


def installed() -> Iterator[str]:
    """Whether the wheel works in an environment of its own, without a compiler."""
    (wheel,) = DIST.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "venv", folder)
        python = Path(folder, "bin", "python")
        without = {**os.environ, "CC": "false", "CXX": "false"}
        run(str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(wheel), env=without)
        for command in (["-c", TRIED], ["-m", "fmapzip", "codecs"]):
            if subprocess.run([str(python), *command], check=False, cwd=folder).returncode:
                yield f"a wheel that works by itself (python {command[0]} {command[1].strip()[:20]} fails)"


def sessions() -> Iterator[str]:
    """Whether the site's links lead somewhere and its pages serve everyone, and whether the workflows are sound."""
    for tool in ("npm", os.environ.get("CHROMIUM", "chromium")):
        if shutil.which(tool) is None:
            yield f"{tool}, without which the site and the workflows are not checked"  # nox would skip them in silence
    what = {"accessible": "a site without dead links, for every reader", "workflows": "sound workflows"}
    for name, wanted in what.items():
        if subprocess.run([sys.executable, "-m", "nox", "-s", name], check=False, cwd=ROOT).returncode:
            yield f"{wanted} (nox -s {name})"


def marks() -> Iterator[str]:
    """What a person has to decide or write before a tag."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    base = re.match(r"\d+\.\d+\.\d+", version)
    if base is None or base[0] != version:
        yield f"a version to release: pyproject.toml says {version}"
    if re.search(rf"^## {re.escape(base[0] if base else version)} \(\d{{4}}-\d\d-\d\d\)$", changes(), re.M) is None:
        yield "its date in CHANGELOG.md"
    from fmapzip import _core

    if _core.FORMAT_VERSION < 1:
        yield f"a format that is promised: its version is {_core.FORMAT_VERSION}"
    if not (ROOT / "tests" / "compat" / str(_core.FORMAT_VERSION) / "manifest.json").exists():
        yield "what this release writes, for later ones to read: python tests/compat/make.py"
    if run("git", "status", "--porcelain"):
        yield "a clean checkout"


def changes() -> str:
    """The changelog."""
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """Standard output of a command, which must succeed."""
    return subprocess.run(command, check=True, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
