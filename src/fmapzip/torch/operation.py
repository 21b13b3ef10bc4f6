"""Layers that are not torch's own and still are one operation to every capture."""

from __future__ import annotations

from torch import nn


class Operation(nn.Module):
    """A layer that captures do not look into.

    Attributes
    ----------
    op : str
        Base name of what it computes, in the vocabulary of `fmapzip.torch.ops`; by default its lower-case class name.
    """

    def __init__(self, op: str = "") -> None:
        super().__init__()
        self.op = op or type(self).__name__.lower()
