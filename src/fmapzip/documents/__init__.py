"""The JSON documents that commands write, each declared once: checked by the declaration, described from it."""

from __future__ import annotations
