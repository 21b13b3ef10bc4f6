"""The section of docs/RESULTS.md on networks of other packages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from textwrap import fill

from results_files import Values
from results_tables import WIDTH, conditions, table

INTRO = """
Networks with random weights, one of each family, captured on one sample and checked on two (`benchmarks/breadth.py`).
*Same bits*: the captured network computes what the network computes, bit for bit. *Equal to the oracle*: what its
layers read is what is stored, under the same names, and the whole network computes the same where those maps are
changed, as said by an oracle that watches the network run and knows no graph. *Stored*: `compress_model(network,
"zvc")` runs at its defaults. *Left out*: maps that cannot be stored, of all.
""".replace("\n", " ").strip()
HIDDEN = "what these read is not stored: "


def breadth(found: Values) -> str:
    """How many networks of each package are captured, and what is not."""
    families: defaultdict[str, list[Values]] = defaultdict(list)
    for network in found["networks"]:
        families[network["name"].partition(":")[0]].append(network)
    head = ["package", "networks", "captured", "one graph", "graphs of parts", "same bits", "equal to the oracle"]
    rows = [_row(family, networks) for family, networks in families.items()]
    rows.append(_row("all", found["networks"]))
    versions = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    parts = ["## Networks of other packages", fill(INTRO, WIDTH), table([*head, "stored", "left out"], rows)]
    parts += _unfinished(found["asked"], families)
    parts += ["What is not captured, and why:", "\n".join(_exceptions(found["networks"]))]
    commits = ", ".join(dict.fromkeys(network["commit"] for network in found["networks"]))
    return "\n\n".join([*parts, f"{versions}. {conditions(found | {'commit': commits})}"])


def _unfinished(asked: dict[str, int], families: dict[str, list[Values]]) -> list[str]:
    """How many networks of each package were not gone through."""
    left = {family: count - len(families.get(family, [])) for family, count in asked.items()}
    counts = ", ".join(f"{count} of {asked[family]} of {family}" for family, count in left.items() if count)
    return [fill(f"The run ended before it had gone through all: {counts} are left.", WIDTH)] if counts else []


def _row(family: str, networks: list[Values]) -> list[str]:
    captured = [network for network in networks if "error" not in network]
    hooked = sum(network["method"] == "hooks" for network in captured)
    taps, left_out = sum(network["taps"] for network in captured), sum(len(network["left_out"]) for network in captured)
    counts = [len(networks), len(captured), len(captured) - hooked, hooked]
    counts += [sum(network[key] is True for network in captured) for key in ("same_bits", "oracle")]
    counts += [sum(isinstance(network["ratio"], float) for network in captured)]
    return [family, *map(str, counts), f"{left_out} of {taps} maps"]


def _exceptions(networks: list[Values]) -> Iterable[str]:
    """One line for each reason."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for network in networks:
        for reason in dict.fromkeys(_reasons(network)):
            reasons[reason].append(network["name"])
    if not reasons:
        return ["- nothing"]
    return [fill(f"- {reason}: {', '.join(names)}", WIDTH, subsequent_indent="  ") for reason, names in reasons.items()]


def _reasons(network: Values) -> Iterable[str]:
    if "error" in network:
        yield f"not examined or not captured ({network['error']})"
        return
    if network["same_bits"] is not True:
        yield "computes the same but for rounding" if network["same_bits"] is False else "does not run on two samples"
    if network["oracle"] is not True:
        yield f"differs from the oracle ({str(network['oracle']).splitlines()[0]})"
    if not isinstance(network["ratio"], float):
        yield f"does not run stored ({str(network['ratio']).splitlines()[0]})"
    for problem in network["left_out"].values():
        yield f"a map is left out, as {problem}"
    for note in network["notes"]:
        if note.startswith(HIDDEN):
            for site in note.removeprefix(HIDDEN).split(", "):
                kind = site.rpartition(" (")[2].removesuffix(")") if " (" in site else site.rpartition(".")[2]
                yield f"what `{kind}` reads inside is not stored, and named"
        elif not note.startswith(("torch.", "tap ")):
            yield _general(note)


def _general(note: str) -> str:
    """A note without the names of the network's parts."""
    if "with graphs of " in note:
        return "captured by hooks with graphs of parts, outside which only layers read what was stored"
    return note.partition(":")[0]
