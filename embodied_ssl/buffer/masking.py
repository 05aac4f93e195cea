"""Zeros where nothing is to be seen, at the cost of what is masked rather than of all."""

from __future__ import annotations

from torch import Tensor


def clear(values: Tensor, mask: Tensor) -> Tensor:
    """Write zeros into ``values (*mask, ...)`` where ``mask`` is false, in place, and return them.

    On the host only the masked rows are touched, and mostly there are none. On a device finding them would wait for
    it, so all are written.
    """
    if values.device.type != "cpu":
        return values.masked_fill_(~mask.view(*mask.shape, *[1] * (values.dim() - mask.dim())), 0)
    gone = (~mask).nonzero(as_tuple=True)
    if len(gone[0]):
        values[gone] = 0
    return values
