"""Run the notebooks and write into them what their cells give: `python docs/notebooks.py`."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def executed(notebook: Path) -> str:
    """The notebook's text, each cell with what its last expression gave when it ran just now."""
    content = json.loads(notebook.read_text("utf-8"))
    names: dict[str, Any] = {"__name__": notebook.stem}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = _outputs("".join(cell["source"]), names)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(tree, "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if value is None:
        return []
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    return [{"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"}]


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        text = executed(path)
        path.write_text(text, "utf-8")
