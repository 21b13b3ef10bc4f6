"""``fmapzip`` and ``python -m fmapzip``: the command line."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line; an interrupt while it is still being imported ends it without a traceback."""
    try:
        from fmapzip.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
