"""What the site has besides docs/: the repository's own pages, notebooks, and the references made from the code."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OWN_PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
MODULES = (
    "fmapzip",
    "fmapzip.torch",
    "fmapzip.split",
    "fmapzip.onnx",
    "fmapzip.archive",
    "fmapzip.registry",
    "fmapzip.codecs.base",
    "fmapzip.quantize",
    "fmapzip.traffic",
    "fmapzip.hardware",
    "fmapzip.reference",
    "fmapzip.errors",
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the parts of the navigation that mkdocs.yml leaves open."""
    docs = ROOT / "docs"
    parts: dict[str, list[Any]] = {
        "Python": [{name: _module_page(name)} for name in MODULES],
        "Reports and files in JSON": [path.name for path in sorted(docs.glob("*_JSON.md"))],
        "Decisions": [f"decisions/{path.name}" for path in sorted(docs.glob("decisions/*.md"))],
        "Notebooks": [_notebook_page(path) for path in sorted(docs.glob("*.ipynb"))],
    }
    _fill(config.nav or [], parts)
    return config


def _fill(entries: list[Any], parts: dict[str, list[Any]]) -> None:
    for entry in entries:
        for title, below in entry.items() if isinstance(entry, dict) else ():
            if title in parts:
                entry[title] = parts[title]
            elif isinstance(below, list):
                _fill(below, parts)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    made = {"reference/cli.md": _page_of("cli_reference"), "plots.md": _page_of("plots")}
    made |= {name: _moved_into_docs((ROOT / name).read_text("utf-8")) for name in OWN_PAGES}
    made |= {_module_page(name): f"# `{name}`\n\n::: {name}\n" for name in MODULES}
    made |= {_notebook_page(path): _notebook(path) for path in sorted((ROOT / "docs").glob("*.ipynb"))}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links to pages of the repository that lie beside docs/, and to notebooks, lead to theirs on the site."""
    markdown = re.sub(r"\]\(((?:\.\./)*)(\w+)\.ipynb", r"](\1notebooks/\2.md", markdown)
    return re.sub(rf"\]\(((?:\.\./)*)\.\./({'|'.join(OWN_PAGES)})", r"](\1\2", markdown)


def _module_page(name: str) -> str:
    return f"reference/{name}.md"


def _notebook_page(path: Path) -> str:
    return f"notebooks/{path.stem}.md"


def _moved_into_docs(text: str) -> str:
    return text.replace("](docs/", "](")


def _page_of(script: str) -> str:
    """What the `page()` of a script beside this one gives."""
    spec = importlib.util.spec_from_file_location(script, Path(__file__).with_name(f"{script}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"docs/site/{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.page()
    return text


def _notebook(path: Path) -> str:
    """A notebook as a page: its texts, its code, and what the code gave."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            parts.append("```text\n" + "".join(output["data"]["text/plain"]) + "\n```")
    return "\n\n".join(parts) + "\n"
