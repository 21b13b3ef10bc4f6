"""The training loop of docs/TUNE.md, run on a real network."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "TUNE.md"
DATA = os.environ.get("FMAPZIP_TEST_DATA")


@pytest.mark.skipif(DATA is None, reason="FMAPZIP_TEST_DATA names no folder of real networks")
def test_the_loop_of_the_page_trains_resnet20(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DATA)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    import nets

    found = re.search(r"<!-- example: loop -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    arrays = np.load(Path(str(DATA)) / "cifar_train10k.npz")
    images = torch.from_numpy(arrays["images"][:48]).float() / 127 - 1
    labels = torch.from_numpy(arrays["labels"][:48]).long()
    net = nets.load("cifar_resnet20")
    space = {"net": net, "images": images[:40], "labels": labels[:40], "calibration": images[40:]}
    torch.manual_seed(0)
    exec(found[1].replace("epochs=8, batch=64", "epochs=2, batch=20"), space)
    with torch.inference_mode():
        outputs = space["stored"](images[:8])
    report = space["stored"].report()
    assert outputs.shape == (8, 10)
    assert report.raw_bytes / report.payload_bytes > 2
    assert not torch.equal(space["network"].conv1.weight, net.conv1.weight)
