"""The embedded default: a small trained CNN and the images to run it on, without network access.

``network()`` is a residual CNN for scikit-learn's handwritten digits, with its weights beside this
file; ``digits(part)`` gives the images it was trained on and those held out. ``train.py`` made the
weights.
"""

from __future__ import annotations

from fmapzip.demo.digits import TRAIN_ROWS, digits
from fmapzip.demo.network import network

__all__ = ["TRAIN_ROWS", "digits", "network"]
