"""What capture stores on one network of each family, against an oracle that watches the networks run.

    python benchmarks/breadth.py --json benchmarks/results/breadth.json [--only 'timm:*'] [--again]

Networks have random weights; families that are not installed are said to be missing. Of each network is told how it
was captured and what is left out; whether it computes the same bits as before; whether the tensors that its layers
read are the taps, under the same names, with the same values, and the whole network computes the same where they are
changed (the oracle: `tests/torch/oracle.py`); and the ratio of `compress_model(network, "zvc")` at its defaults.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "torch"))
import oracle
import zoo
from common import git_hash, rows_on_lines

from fmapzip.eval.environment import environment
from fmapzip.torch import capture, compress_model
from fmapzip.torch.capture import Captured
from fmapzip.torch.inputs import Inputs, first_sample


def examine(name: str, samples: int) -> dict[str, Any]:
    """Capture one network on a sample and check it on some; say how it went."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    entry: dict[str, Any] = {"name": name, "samples": samples}
    try:
        net, inputs = zoo.make(name)
        inputs = inputs if samples > 1 else first_sample(inputs)
    except Exception as error:
        return entry | {"error": f"cannot be made: {_told(error)}"}
    try:
        captured = capture(net, first_sample(inputs))
    except Exception as error:
        return entry | {"error": f"not captured: {_told(error)}"}
    entry |= {
        "method": captured.method,
        "taps": len(captured.taps),
        "left_out": {tap.name: tap.problem for tap in captured.taps if tap.problem},
        "notes": list(captured.notes),
    }
    return entry | {
        "same_bits": _outcome(lambda: _same_bits(captured, net, inputs)),
        "oracle": _outcome(lambda: bool(oracle.check(captured, net, inputs, everywhere=True))),
        "ratio": _outcome(lambda: _stored_ratio(net, inputs)),
    }


def _outcome(trial: Callable[[], bool | float]) -> bool | float | str:
    """Return what `trial` returns, or what it raises in words."""
    try:
        return trial()
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:600]


def _same_bits(captured: Captured, net: torch.nn.Module, inputs: Inputs) -> bool:
    """Whether the captured network's outputs are the network's, bit for bit."""
    ours, theirs = (tree_leaves(oracle.run(module, inputs)) for module in (captured.module, net))
    return len(ours) == len(theirs) and all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(ours, theirs, strict=True)
        if isinstance(b, torch.Tensor | int | float)
    )


def _stored_ratio(net: torch.nn.Module, inputs: Inputs) -> float:
    stored = compress_model(net, "zvc", calibration=inputs if isinstance(inputs, torch.Tensor) else [inputs])
    oracle.run(stored, inputs)
    return round(stored.report().ratio, 3)


def _examine_to(connection: Any, name: str, samples: int) -> None:
    warnings.simplefilter("ignore")
    connection.send(examine(name, samples))


def examine_within(name: str, seconds: float, megabytes: float) -> dict[str, Any]:
    """Examine a network on two samples, or on one where two take too much memory."""
    found = _examine_apart(name, 2, seconds, megabytes)
    return _examine_apart(name, 1, seconds, megabytes) if found.get("error") == _too_much(megabytes) else found


def _too_much(megabytes: float) -> str:
    return f"took more than {megabytes:.0f} MB"


def _examine_apart(name: str, samples: int, seconds: float, megabytes: float) -> dict[str, Any]:
    """Examine a network in a process of its own, whose memory is then free."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_examine_to, args=(theirs, name, samples))
    process.start()
    theirs.close()
    try:
        while not ours.poll(0.2):
            if _processor_seconds(process.pid) > seconds:
                return {"name": name, "error": f"took more than {seconds:.0f} s of processor time"}
            if _resident_megabytes(process.pid) > megabytes:
                return {"name": name, "error": _too_much(megabytes)}
        return dict(ours.recv())
    except EOFError:
        return {"name": name, "error": "the process died"}
    finally:
        process.kill()
        process.join()


def _processor_seconds(process: int | None) -> float:
    """What a process has worked: unlike the time of day, the same on a busy machine."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(process: int | None) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def in_words(entry: dict[str, Any]) -> str:
    """One line of progress."""
    if "error" in entry:
        return f"{entry['name']}: {entry['error']}"
    found = [f"{entry['taps'] - len(entry['left_out'])}/{entry['taps']} taps by {entry['method']}"]
    found += [f"{key} {entry[key]}"[:200] for key in ("same_bits", "oracle", "ratio")]
    return f"{entry['name']}: {', '.join(found)} ({entry['seconds']} s)"


def _write(path: Path, networks: list[dict[str, Any]]) -> None:
    distributions = ("torch", *(package for package in zoo.PACKAGES.values() if importlib.util.find_spec(package)))
    content = {
        "benchmark": "breadth",
        "environment": environment(1),
        "packages": {name: version(name) for name in distributions},
        "asked": dict(Counter(name.partition(":")[0] for name in zoo.NAMES)),
        "networks": networks,
    }
    path.write_text(rows_on_lines(content))


def main() -> None:
    """Examine all networks that are asked for and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--json", type=Path, help="where to write the results; networks that it has are not examined again"
    )
    parser.add_argument("--only", default="*", help="a glob over names like timm:resnet18")
    parser.add_argument("--again", action="store_true", help="examine networks that the file has, too")
    parser.add_argument("--seconds", type=float, default=600.0, help="limit of a network, of processor time")
    parser.add_argument("--megabytes", type=float, default=2500.0, help="limit of a network")
    options = parser.parse_args()
    names = [name for name in zoo.NAMES if fnmatchcase(name, options.only)]
    families = sorted({name.partition(":")[0] for name in names})
    missing = [family for family in families if not importlib.util.find_spec(zoo.PACKAGES[family])]
    for family in set(families) - set(missing):
        zoo.load(family)
    found: dict[str, dict[str, Any]] = {}
    if options.json and options.json.exists():
        found = {entry["name"]: entry for entry in json.loads(options.json.read_text())["networks"]}
    for name in names:
        if name.partition(":")[0] in missing or (name in found and not options.again):
            continue
        start = perf_counter()
        entry = examine_within(name, options.seconds, options.megabytes)
        found[name] = entry | {"seconds": round(perf_counter() - start, 1), "commit": git_hash()}
        print(in_words(found[name]), flush=True)
        if options.json:
            _write(options.json, [found[name] for name in zoo.NAMES if name in found])
    print(*(f"missing: {family}" for family in missing))


if __name__ == "__main__":
    main()
