"""Add golden frames for codecs that have none yet. Frames that exist are never written again.

    python tests/golden/make.py --add NAME     # the codec NAME of tests/battery.py, all its SUBJECTS

A golden frame that no longer matches is a change of format: that needs a new format version, not a new file. Only
where an encoder may choose freely (the tables that it fits to a map) and now chooses otherwise, its entry is marked
``"earlier": true``: it must decode for ever, and a frame of the present choice joins it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import battery
import fmapzip

MANIFEST = HERE / "golden.json"


def entries() -> list[dict[str, Any]]:
    """What the manifest lists: file, map and the codec's settings."""
    return json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", required=True, metavar="NAME")
    name = parser.parse_args().add
    listed = entries()
    known = {entry["file"] for entry in listed}
    earlier = {entry["file"] for entry in listed if entry.get("earlier")}
    for number, codec in enumerate(c for c in battery.SUBJECTS if c.id == name):
        for path in sorted((HERE / "maps").glob("*.npy")):
            file = f"{name}-{number}-{path.stem}.fmap"
            while file in earlier:
                file = file.replace(".fmap", "-again.fmap")
            if file in known:
                continue
            (HERE / file).write_bytes(fmapzip.encode(np.load(path), codec))
            listed.append({"file": file, "map": path.name, "codec": codec.config()})
    sizes = "".join(f"{entry['file']}\t{(HERE / entry['file']).stat().st_size}\n" for entry in listed)
    (HERE / "sizes.tsv").write_text("file\tbytes\n" + sizes)
    MANIFEST.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in listed) + "\n]\n")


if __name__ == "__main__":
    main()
