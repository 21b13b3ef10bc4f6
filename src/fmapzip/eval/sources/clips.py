"""Videos as folders of frames: each folder is one sample ``[C, T, H, W]``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmapzip.errors import InvalidInput
from fmapzip.eval.dataset import Dataset
from fmapzip.eval.preprocess import Pixels, Preprocessing
from fmapzip.eval.sources.folders import folder_indexes, images_in, subfolders


def from_clips(spec: str, root: Path, preprocessing: Preprocessing, frames: int) -> Dataset:
    """The clips of ``CLIP/FRAME.jpg``, or with labels of ``CLASS/CLIP/FRAME.jpg``.

    Parameters
    ----------
    spec
        What the user typed.
    root
        The folder.
    preprocessing
        Of each frame.
    frames
        How many evenly spread frames of a clip to take.

    Raises
    ------
    InvalidInput
        There is no clip, or one of fewer frames.
    """
    outer = subfolders(root)
    labelled = bool(outer) and all(subfolders(root / name) for name in outer)
    if labelled:
        indexes, rule = folder_indexes(root, outer)
        found = [(f"{x}/{y}", i) for x, i in zip(outer, indexes, strict=True) for y in subfolders(root / x)]
    else:
        rule, found = "none: a folder of clips alone", [(name, 0) for name in outer]
    if not found:
        raise InvalidInput(f"{root}: no folders of frames")
    pictures = {name: images_in(root / name) for name, _ in found}
    for name, files in pictures.items():
        if len(files) < frames:
            raise InvalidInput(f"{root / name}: {len(files)} frames, {frames} are asked for")
    names = tuple(name for name, _ in found)

    def read(i: int) -> Pixels:
        files = pictures[names[i]]
        chosen = [files[k * len(files) // frames] for k in range(frames)]
        read_frames = [preprocessing.read(path) for path in chosen]
        for path, frame in zip(chosen, read_frames, strict=True):
            if frame.shape != read_frames[0].shape:
                raise InvalidInput(f"{path} is {list(frame.shape)}, other frames are {list(read_frames[0].shape)}")
        return np.stack(read_frames, 1)

    labels = np.array([label for _, label in found], np.int64) if labelled else None
    return Dataset(spec, names, labels, rule, read)
