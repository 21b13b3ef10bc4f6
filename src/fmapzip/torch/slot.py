"""The place in a captured network where a feature map can be watched or replaced."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Action = Callable[[Tensor], Tensor]


class TapSlot(nn.Module):
    """Hands its tensor on, through `action` where one is set.

    The action gets the stored tensor as the network made it, batch first, and returns what all its readers are to see.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.action: Action | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return what the readers are to see instead of `x`."""
        return x if self.action is None else self.action(x)

    def extra_repr(self) -> str:
        """Show the tap's name."""
        return self.name
