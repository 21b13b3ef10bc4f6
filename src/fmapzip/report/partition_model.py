"""What the page shows of a report of ``fmapzip split``: the ways to run a network, against the link's bandwidth."""

from __future__ import annotations

from typing import Any

from fmapzip.report.names import short

Values = dict[str, Any]
_GOALS = {
    "latency": ("latencies", "least latency"),
    "images": ("intervals", "most images a second"),
    "energy": ("latencies", "least energy of the device"),
}


def model_of_partition(report: Values, conditions: list[tuple[str, str]]) -> Values:
    """The page's data.

    Parameters
    ----------
    report
        As docs/PARTITION_JSON.md describes it.
    conditions
        Names and values of the environment.
    """
    link = report["conditions"]
    names = [short(report[key]) for key in ("model", "data")]
    return {
        "title": f"Split: {names[0]} on {names[1]}",
        "kind": "partition",
        "facts": [
            ("link", f"{link['bandwidth'] / 1e6:g} Mbit/s, {1000 * link['round_trip']:g} ms"),
            ("device", f"{link['client_slower']:g} times slower"),
            ("goal", _GOALS[report["goal"]][1]),
            ("images", str(report["images"])),
            ("cuts", f"{report['measured_cuts']} of {report['cuts']} measured"),
        ],
        "summary": _words(report),
        "environment": conditions,
        "taps": [],
        "rows": [],
        "bandwidth": link["bandwidth"],
        "bandwidths": report["bandwidths"],
        "lines": [_line(way) for way in drawn(report)],
        "kl": report["distortion"] == "kl",
        "ways": [_way(way, link["client_slower"]) for way in report["ways"]],
        "notes": [
            "Latency is device + round trip + bytes over bandwidth + server, of times that were measured apart on one "
            "machine; the time between outputs is that of the slowest of device, link and server.",
            "Pays below: the bandwidth below which coding is better than plain 8-bit integers at the same cut.",
        ],
    }


def drawn(report: Values) -> list[Values]:
    """The ways that have lines.

    The best one at some bandwidth, running all on the device, the best image, the best cut, and its plain integers.
    """
    allowed = [way for way in report["ways"] if way["allowed"]]
    if not allowed:
        return []
    key = _GOALS[report["goal"]][0]
    bests = (
        min(range(len(allowed)), key=times.__getitem__) for times in zip(*(way[key] for way in allowed), strict=True)
    )
    found = [allowed[i] for i in bests]
    found += [way for way in allowed if not way["sent"]]
    found += [way for way in allowed if way["sent"] and not way["at"]][:1]
    cut = next((way for way in allowed if way["at"] and way["codec"] != "raw"), None)
    if cut is not None:
        found += [cut, next(way for way in report["ways"] if way["at"] == cut["at"] and way["codec"] == "raw")]
    names = list(dict.fromkeys(way["name"] for way in found))
    return [next(way for way in report["ways"] if way["name"] == name) for name in names]


def _words(report: Values) -> list[str]:
    allowed = [way for way in report["ways"] if way["allowed"]]
    if not allowed:
        return ["No way keeps to the distortion that is allowed."]
    best = allowed[0]
    found = [f"Best at this link: {best['name']}, {1000 * best['latency']:.1f} ms from an image to its output."]
    cut = next((way for way in allowed if way["at"] and way["codec"] != "raw"), None)
    if cut is None:
        return [*found, "No coded cut keeps to the distortion that is allowed."]
    if cut is not best:
        found.append(f"The best cut: {cut['name']}, {1000 * cut['latency']:.1f} ms.")
    below = cut["break_even"]["latency"]
    words = "at any bandwidth" if below is None else f"below {below / 1e6:.3g} Mbit/s"
    found.append(f"Coding what crosses there pays {words} against plain 8-bit integers.")
    return found


def _line(way: Values) -> Values:
    kind = "cut" if way["at"] else "image" if way["sent"] else "here"
    return {key: way[key] for key in ("name", "latencies", "intervals", "sent")} | {"kind": kind}


def _way(way: Values, client_slower: float) -> Values:
    pays = way["break_even"] or {"latency": None, "interval": None}
    kept = ("name", "latency", "interval", "server", "sent", "distortion", "allowed", "energy")
    coded = bool(way["at"]) and way["codec"] != "raw"
    return {
        **{key: way[key] for key in kept},
        "device": client_slower * way["device"],
        "coded": coded,
        "pays_below": pays["latency"],
        "pays_overlapped": pays["interval"],
    }
