"""What capture stores on one network of each family, against an oracle that watches the networks run.

    python benchmarks/breadth.py --json breadth.json [--only 'timm:*'] [--store]

Networks have random weights; families that are not installed are said to be missing. A network is in order if the
tensors that its layers read are the taps, under the same names, with the same values, and if the whole network
computes the same where they are changed (`tests/torch/oracle.py`). With ``--store`` it also runs through
`compress_model(network, "zvc")` at its defaults.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import sys
import warnings
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "torch"))
import oracle
import zoo

from fmapzip.errors import FmapzipError
from fmapzip.torch import capture, compress_model


def examine(name: str, store: bool) -> dict[str, Any]:
    """Capture one network and check it; say how it went."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    start = perf_counter()
    try:
        net, inputs = zoo.make(name)
    except Exception as error:
        return {"name": name, "state": "cannot be made", "why": f"{type(error).__name__}: {error}"[:300]}
    entry: dict[str, Any] = {"name": name}
    try:
        captured = capture(net, inputs)
        entry |= {"method": captured.method, "taps": len(captured.taps), "notes": list(captured.notes)}
        entry["left_out"] = [tap.name for tap in captured.taps if tap.problem]
        oracle.check(captured, net, inputs)
        entry["state"] = "agrees"
        if store:
            batch = inputs if isinstance(inputs, torch.Tensor) else [inputs]
            stored = compress_model(net, "zvc", calibration=batch, example=inputs)
            oracle.run(stored, inputs)
            entry["ratio"] = stored.report().ratio
    except FmapzipError as error:
        entry |= {"state": "not captured" if "taps" not in entry else "not stored", "why": str(error)[:600]}
    except AssertionError as error:
        entry |= {"state": "differs", "why": str(error)[:600]}
    except Exception as error:
        entry |= {"state": "failed", "why": f"{type(error).__name__}: {error}"[:600]}
    entry["seconds"] = round(perf_counter() - start, 1)
    return entry


def _examine_to(connection: Any, name: str, store: bool) -> None:
    warnings.simplefilter("ignore")
    connection.send(examine(name, store))


def examine_apart(name: str, store: bool, limit: float) -> dict[str, Any]:
    """Examine a network in a process of its own, whose memory is then free, for at most `limit` seconds."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_examine_to, args=(theirs, name, store))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(limit) else {"name": name, "state": f"took more than {limit:.0f} s"}
    except EOFError:
        return {"name": name, "state": "the process died"}
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Examine all networks that are asked for and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--only", default="*", help="a glob over names like timm:resnet18")
    parser.add_argument("--store", action="store_true", help="also run each network stored")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds a network")
    options = parser.parse_args()
    names = [name for name in zoo.NAMES if fnmatchcase(name, options.only)]
    families = sorted({name.partition(":")[0] for name in names})
    missing = [family for family in families if not importlib.util.find_spec(zoo.PACKAGES[family])]
    for family in set(families) - set(missing):
        zoo.load(family)
    found = []
    for name in names:
        if name.partition(":")[0] in missing:
            continue
        entry = examine_apart(name, options.store, options.limit)
        found.append(entry)
        print(f"{entry['state']:>14} {entry.get('method', ''):>7} {name} {entry.get('why', '')[:160]}", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"missing": missing, "networks": found}, indent=1) + "\n")
    counted = Counter(entry["state"] for entry in found)
    print(", ".join(f"{count} {state}" for state, count in counted.most_common()), *(f"missing: {m}" for m in missing))


if __name__ == "__main__":
    main()
