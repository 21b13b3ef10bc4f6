"""Pages of the documents, from their declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import msgspec

from fmapzip.documents.document import Document

OPENING = """Names carry their units; shares and accuracies are fractions of 1; 1 MB is 10^6 bytes. What does not apply,
or is infinite (the SQNR of what is exact), is `null`. New keys may be added under the same schema number; a key
that changes its meaning changes the number. Readers should refuse a `schema` that they do not know.

This page is made from the declaration that the program checks reports by: `python docs/json_pages.py`."""


_NULL = "`null`"


def page(document: Document) -> str:
    """The page of a document, in Markdown."""
    heads = (document.root, *document.others)
    _, schemas = msgspec.json.schema_components(heads, ref_template="{name}")
    written = document.written or f"`{document.command} ... --json FILE` writes one JSON object"
    parts = [f"# {document.title}", f"{written}. {OPENING}"]
    for name in _in_order([head.__name__ for head in heads], schemas):
        parts.append(_section(name, schemas, heading=name != document.root.__name__))
    return "\n\n".join([*parts, document.closing.strip()]).rstrip() + "\n"


def _in_order(names: list[str], schemas: dict[str, Any]) -> list[str]:
    """Names of all objects, each after the one that first mentions it."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting = [*_references(schemas[name]), *waiting]
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"]
        for key, value in schema.items():
            if key != "$ref":
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _section(name: str, schemas: dict[str, Any], heading: bool) -> str:
    text = inspect.cleandoc(schemas[name].get("description", name))
    title, _, more = text.partition("\n\n")
    lines = [f"## {title.rstrip('.')}", ""] if heading else []
    lines += [" ".join(more.split()), ""] if more else []
    lines += ["| key | value | meaning |", "|---|---|---|"]
    required = schemas[name].get("required", [])
    for key, field in schemas[name]["properties"].items():
        meaning = field.get("description", "")
        absent = "" if key in required or field.get("default", 0) is None else "; may be absent"
        lines.append(f"| `{key}` | {_kind(field, schemas)}{absent} | {meaning} |")
    return "\n".join(lines)


def _kind(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    """What a value may be, in words and links."""
    if "$ref" in field:
        title = inspect.cleandoc(schemas[field["$ref"]]["description"]).partition("\n")[0].rstrip(".")
        return f"[{field['$ref']}](#{_anchor(title)})"
    if "anyOf" in field:
        kinds = [_kind(each, schemas) for each in field["anyOf"]]
        return " or ".join(sorted(kinds, key=lambda kind: kind == _NULL))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    kind = str(field.get("type", "anything"))
    inside = field.get("items") or field.get("additionalProperties")
    if isinstance(inside, dict):
        return f"{'list' if kind == 'array' else 'object'} of {_kind(inside, schemas)}"
    return _NULL if kind == "null" else kind


def _anchor(title: str) -> str:
    """The address that a heading gets."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def pages() -> dict[str, str]:
    """Text of every document's page, by its name below ``docs/``."""
    from fmapzip.documents.bench import BENCH
    from fmapzip.documents.bench_shard import BENCH_SHARD
    from fmapzip.documents.evaluation import EVALUATION
    from fmapzip.documents.partition import PARTITION
    from fmapzip.documents.planning import PLANNING
    from fmapzip.documents.shard import SHARD
    from fmapzip.documents.store import STORE
    from fmapzip.documents.traffic import TRAFFIC
    from fmapzip.documents.tuning import TUNING

    documents = {
        "EVAL": EVALUATION,
        "SHARD": SHARD,
        "BENCH": BENCH,
        "BENCH_SHARD": BENCH_SHARD,
        "PLAN": PLANNING,
        "STORE": STORE,
        "PARTITION": PARTITION,
        "TRAFFIC": TRAFFIC,
        "TUNE": TUNING,
    }
    return {f"{name}_JSON.md": page(document) for name, document in documents.items()}
