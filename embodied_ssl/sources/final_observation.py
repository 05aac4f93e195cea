"""The final observation of an episode, where the env has already returned the first one of the next (`SAME_STEP`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.nested import flat_observation
from embodied_ssl.sources.rows import on_device


def with_final(observation: Any, final: Any, ended: np.ndarray) -> Any:
    """Return the observation, flat, with the rows of ended lanes replaced by their final observation.

    Args:
        observation: batched arrays or tensors, possibly a dict, possibly nested.
        final: ``info["final_obs"]``: an object array of per-lane observations, or a dict of batches.
        ended: ``(N,)`` bool.

    Raises:
        SpecError: there is no final observation.
    """
    if final is None:
        raise SpecError("autoreset mode SAME_STEP without info['final_obs']; pass info to observe()")
    if not isinstance(observation, Mapping):
        return _merge(observation, final, ended)
    flat = _flat_final(final)
    return {key: _merge(value, _pick(flat, key, ended), ended) for key, value in flat_observation(observation).items()}


def _flat_final(final: Any) -> Any:
    """Return ``info["final_obs"]`` by leaf name: a dict of batches, or an object array of one dict a lane."""
    if isinstance(final, Mapping):
        return flat_observation(final)
    if isinstance(final, np.ndarray) and final.dtype == object and any(isinstance(one, Mapping) for one in final):
        flat = np.empty_like(final)
        flat[:] = [flat_observation(one) if isinstance(one, Mapping) else one for one in final]
        return flat
    return final


def _merge(observation: Any, final: Any, ended: np.ndarray) -> Any:
    if isinstance(final, Tensor):
        mask = on_device(ended, final).view(-1, *[1] * (final.ndim - 1))
        return torch.where(mask, final, torch.as_tensor(observation, device=final.device))
    merged = observation.clone() if isinstance(observation, Tensor) else np.array(observation, copy=True)
    for lane in np.flatnonzero(ended):
        merged[lane] = final[lane]
    return merged


def _pick(final: Any, key: str, ended: np.ndarray) -> Any:
    if isinstance(final, Mapping):
        return final[key]
    return {lane: final[lane][key] for lane in np.flatnonzero(ended)}
