"""Layers that are not torch's own and still are one operation to every capture."""

from __future__ import annotations

from torch import nn

from fmapzip.quantize import QuantParams


class Operation(nn.Module):
    """A layer that captures do not look into.

    Attributes
    ----------
    op : str
        Base name of what it computes, in the vocabulary of `fmapzip.torch.ops`; by default its lower-case class name.
    quantizer : QuantParams, optional
        Of the 8-bit integers that its result stands for.
    """

    quantizer: QuantParams | None = None

    def __init__(self, op: str = "") -> None:
        super().__init__()
        self.op = op or type(self).__name__.lower()
