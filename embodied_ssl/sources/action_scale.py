"""Actions between [-1, 1] and the bounds of an env's Box, arrays or tensors of any device."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.rows import to_host


class ActionScale:
    """The linear map of each action value; a value without bounds is left as it is."""

    def __init__(self, space: gym.spaces.Box) -> None:
        """Bind to the space of one lane's action."""
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        with np.errstate(invalid="ignore"):  # infinite bounds, replaced by the choice beside them
            self._centre = np.where(bounded, (space.high + space.low) / 2, 0).astype(np.float32).reshape(-1)
            self._half = np.where(bounded, (space.high - space.low) / 2, 1).astype(np.float32).reshape(-1)
        self._scale = np.where(self._half > 0, self._half, 1)  # an action with one legal value is read as 0
        self.shape = space.shape
        self._on_device: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def size(self) -> int:
        """Number of action values."""
        return len(self._half)

    def _parts(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        if device not in self._on_device:
            arrays = (self._centre, self._half, self._scale)
            centre, half, scale = (torch.from_numpy(array).to(device) for array in arrays)
            self._on_device[device] = centre, half, scale
        return self._on_device[device]

    def to_env(self, action: np.ndarray | Tensor) -> np.ndarray | Tensor:
        """Return actions ``(N, A)`` in [-1, 1] in the env's own bounds and shape."""
        if isinstance(action, Tensor):
            centre, half, _ = self._parts(action.device)
            return (action.float() * half + centre).reshape(len(action), *self.shape)
        scaled = np.asarray(action, np.float32) * self._half + self._centre
        return scaled.reshape(len(scaled), *self.shape)

    def from_env(self, action: np.ndarray | Tensor) -> np.ndarray | Tensor:
        """Return actions ``(N, ...)`` of the env as ``(N, A)`` float32, not yet clipped to [-1, 1]."""
        if isinstance(action, Tensor):
            centre, _, scale = self._parts(action.device)
            return (action.reshape(len(action), -1).float() - centre) / scale
        return (action.reshape(len(action), -1).astype(np.float32) - self._centre) / self._scale

    def check(self, action: np.ndarray | Tensor, num_lanes: int) -> None:
        """Raise SpecError unless there is one finite action a lane."""
        expected = (num_lanes, *self.shape)
        if tuple(np.shape(action)) != expected:
            raise SpecError(f"action has shape {tuple(np.shape(action))}, expected {expected}: one row a lane")
        if isinstance(action, Tensor):
            finite = to_host(action.reshape(num_lanes, -1).isfinite().all(1))
        else:
            finite = np.isfinite(np.asarray(action, np.float64)).reshape(num_lanes, -1).all(1)
        if not finite.all():
            raise SpecError(f"action of lanes {np.flatnonzero(~finite).tolist()} is not finite; look at the policy")
