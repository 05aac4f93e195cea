"""An optimiser's state as a flat table of tensors, so that it fits into safetensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

PREFIX = "optimizer."


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the per-parameter state as ``optimizer.<parameter index>.<name>``; empty before the first step."""
    state = optimizer.state_dict()["state"]
    return {f"{PREFIX}{index}.{name}": value for index, entry in state.items() for name, value in entry.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore `flatten_optimizer`; hyper-parameters stay those of the optimiser."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(PREFIX):
            index, name = key.removeprefix(PREFIX).split(".", 1)
            # The optimiser keeps what it is given and writes to it: the caller's tensors stay the caller's.
            state.setdefault(int(index), {})[name] = value.clone()
    rates = [group["lr"] for group in optimizer.param_groups]
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # load_state_dict copies; the learning rate is one shared tensor that the update fills
