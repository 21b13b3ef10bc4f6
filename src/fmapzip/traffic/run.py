"""One run of ``fmapzip traffic``: frames measured on images, moved as the model of a chip says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fmapzip.codecs.base import Codec
from fmapzip.documents.traffic import TRAFFIC
from fmapzip.eval.request import Progress, Request, load
from fmapzip.eval.run import run as evaluate
from fmapzip.plan import Plan
from fmapzip.torch.inputs import first_sample
from fmapzip.traffic.chip import Chip, Reading, reading
from fmapzip.traffic.codec_energy import estimate
from fmapzip.traffic.layers import Layer, layers


def run(request: Request, codec: Codec | Plan, chip: Chip, progress: Progress) -> dict[str, Any]:
    """What a chip would move for one image, without and with a codec.

    Every map is written once and read by each of its layers; bytes are whole frames, mean over the images and largest.
    The network's outputs and what layers add on the way are not counted; weights and the network's input are, in 8
    bits, alike in both.

    Returns
    -------
    dict
        The report, as docs/TRAFFIC_JSON.md describes it.

    Examples
    --------
    >>> from fmapzip import registry
    >>> report = run(Request("demo", "demo", limit=10), registry.make("zvc"), Chip(), lambda *_: None)
    >>> report["total"]["coded_bytes"] < report["total"]["raw_bytes"]
    True
    """
    measured = evaluate(request, [codec], progress)
    inputs = load(request)
    images = next(iter(inputs.images))[0]
    known = layers(inputs.model, first_sample(images))
    entry = measured["codecs"][0]
    coding = {tap["name"]: _coding(codec, tap["name"], chip) for tap in entry["taps"]}
    taps = [_tap(tap, measured["images"], known, coding[tap["name"]], chip) for tap in entry["taps"]]
    read = {name for tap in entry["taps"] for name in tap["readers"]}
    others = [layer for name, layer in known.items() if name not in read]
    input_bytes = sum(reading(layer, layer.input_values, chip.buffer_bytes).bytes for layer in others)
    report = {
        "schema": 1,
        "kind": "traffic",
        "model": request.model,
        "data": request.data,
        "images": measured["images"],
        "codec": entry["codec"],
        "config": entry["config"],
        "chip": asdict(chip),
        "environment": measured["environment"],
        "left_out": sorted(read - known.keys()),
        "without_energy": [tap["name"] for tap in taps if None in (tap["encode_pj"], tap["decode_pj"])],
        "input_bytes": input_bytes,
        "input_layers": [
            _told(_layer(layer.name, layer, layer.input_values, layer.input_values, chip)) for layer in others
        ],
        "taps": taps,
        "total": _total(taps, sum(layer.macs for layer in others), input_bytes, chip),
    }
    return TRAFFIC.checked(report)


Energies = tuple[float | None, float | None]  # of encoding and of decoding a value, in picojoules


def _coding(codec: Codec | Plan, name: str, chip: Chip) -> Energies:
    if chip.codec_pj_per_value is not None:
        return chip.codec_pj_per_value, chip.codec_pj_per_value
    return estimate(codec[name].codec if isinstance(codec, Plan) else codec, chip.gate_fj)


def _told(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key != "coded_passes"}


def _tap(
    tap: Mapping[str, Any], images: int, known: Mapping[str, Layer], coding: Energies, chip: Chip
) -> dict[str, Any]:
    raw, mean, worst = tap["raw_bytes"] // images, tap["total_bytes"] / images, tap["frame_bytes_max"]
    found = [_layer(name, known.get(name), raw, mean, chip) for name in tap["readers"]]
    raw_bytes = raw + sum(layer["raw_bytes"] for layer in found)
    coded_bytes = mean + sum(layer["coded_bytes"] for layer in found)
    weights = sum(_weights(layer) for layer in found)
    macs = sum(layer["macs"] for layer in found)
    computing = macs / chip.macs_per_second
    raw_moving, coded_moving = raw_bytes / chip.bandwidth, coded_bytes / chip.bandwidth
    return {
        "name": tap["name"],
        "shape": tap["shape"],
        "raw_frame": raw,
        "mean_frame": mean,
        "worst_frame": worst,
        "layers": [_told(layer) for layer in found],
        "raw_bytes": raw_bytes,
        "coded_bytes": coded_bytes,
        "worst_bytes": weights + (coded_bytes - weights) * worst / mean,
        "encode_pj": coding[0],
        "decode_pj": coding[1],
        "macs": macs,
        "raw_macs_per_byte": macs / raw_bytes,
        "coded_macs_per_byte": macs / coded_bytes,
        "raw_seconds": max(computing, raw_moving),
        "coded_seconds": max(computing, coded_moving),
        "raw_bound": "memory" if raw_moving > computing else "compute",
        "coded_bound": "memory" if coded_moving > computing else "compute",
    }


def _weights(layer: Mapping[str, Any]) -> float:
    """Bytes of weights that it reads with the codec."""
    passes = layer["coded_passes"] if layer["coded_order"] == "rows" else 1
    return float(layer["weight_bytes"] * passes)


def _layer(name: str, layer: Layer | None, raw: int, mean: float, chip: Chip) -> dict[str, Any]:
    if layer is None:
        layer = Layer(name, 0, 0, 1, 1, 1, raw)
    plain: Reading = reading(layer, raw, chip.buffer_bytes)
    coded = reading(layer, mean, chip.buffer_bytes)
    return {
        "name": name,
        "macs": layer.macs,
        "weight_bytes": layer.weights,
        "order": plain.order,
        "coded_order": coded.order,
        "passes": plain.passes,
        "coded_passes": coded.passes,
        "reads": plain.reads,
        "raw_bytes": plain.bytes,
        "coded_bytes": coded.bytes,
        "coded_reads": coded.reads,
        "loops": None if layer.loops is None else asdict(layer.loops),
    }


def _total(taps: list[dict[str, Any]], other_macs: int, input_bytes: float, chip: Chip) -> dict[str, Any]:
    raw, coded, worst = (
        input_bytes + sum(tap[key] for tap in taps) for key in ("raw_bytes", "coded_bytes", "worst_bytes")
    )
    before = max(input_bytes / chip.bandwidth, other_macs / chip.macs_per_second)
    coding = sum(_coding_picojoules(tap) for tap in taps)
    return {
        "raw_bytes": raw,
        "coded_bytes": coded,
        "worst_bytes": worst,
        "raw_millijoules": raw * 8 * chip.dram_pj_per_bit / 1e9,
        "coded_millijoules": (coded * 8 * chip.dram_pj_per_bit + coding) / 1e9,
        "codec_millijoules": coding / 1e9,
        "worst_over_mean": sum(tap["worst_frame"] for tap in taps) / sum(tap["mean_frame"] for tap in taps),
        "ridge": chip.ridge,
        "raw_seconds": before + sum(tap["raw_seconds"] for tap in taps),
        "coded_seconds": before + sum(tap["coded_seconds"] for tap in taps),
    }


def _coding_picojoules(tap: Mapping[str, Any]) -> float:
    """Of a map: encoded once, decoded as often as it is read."""
    reads = sum(layer["coded_reads"] for layer in tap["layers"])
    return float(tap["raw_frame"] * ((tap["encode_pj"] or 0.0) + reads * (tap["decode_pj"] or 0.0)))
