"""Write the pages of the JSON documents from their declarations: `python docs/json_pages.py`."""

from __future__ import annotations

from pathlib import Path

from fmapzip.documents.pages import pages

if __name__ == "__main__":
    for name, text in pages().items():
        (Path(__file__).parent / name).write_text(text, "utf-8")
