"""Transitions for reinforcement learning from the same storage: n-step returns that never leave an episode."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.buffer.windows import Windows


@dataclass(frozen=True)
class Transitions:
    """``B`` transitions from tick t to tick t + n'.

    Attributes:
        observation: ``(B, C)`` windows that end at t.
        action: ``(B, A)`` float32, the action given at t (it is stored with the tick that it led to).
        reward: ``(B,)`` float32, ``sum_k gamma^k r_{t+1+k}`` over k < n'.
        next_observation: ``(B, C)`` windows that end at t + n'.
        discount: ``(B,)`` float32, ``gamma^n'``, or 0 where the episode terminated at t + n': the target is
            ``reward + discount * value(next_observation)``. A truncated episode goes on in value from its last
            observation.
        num_steps: ``(B,)`` int64, n'.
        mask: ``(B,)`` bool: everything was still stored when it was read.
    """

    observation: Windows
    action: Tensor
    reward: Tensor
    next_observation: Windows
    discount: Tensor
    num_steps: Tensor
    mask: Tensor


def transition_shape(context_ticks: int) -> WindowShape:
    """Return the window shape whose legal ends are the ticks t + 1 of all transitions, each once.

    Give it to the `StreamBuffer`, and any sampler over it draws transitions.
    """
    return WindowShape(context_ticks, 1)


def transitions(
    buffer: StreamBuffer, lanes: np.ndarray, ends: np.ndarray, context_ticks: int, n_step: int, gamma: float
) -> Transitions:
    """Gather n-step transitions.

    Args:
        buffer: the ring.
        lanes: ``(B,)``.
        ends: ``(B,)`` ticks t + 1, legal ends of `transition_shape`.
        context_ticks: C, ticks that an observation sees.
        n_step: n; ``n' = min(n, ticks left of the episode)``, so it shrinks to 1 at an episode's end, and at the
            newest tick of an episode that still goes on.
        gamma: discount a tick.

    Returns:
        Transitions on the buffer's device.
    """
    with buffer.lock:
        _, last = buffer.table.bounds(lanes, ends)
    steps = np.minimum(n_step, last - ends + 1)

    def to(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(buffer.device, non_blocking=True)

    lane, before, after, num_steps = to(lanes), to(ends - 1), to(ends - 1 + steps), to(steps)
    # One window holds the observation after the steps and all that happened in them.
    path = buffer.gather(lane, after, max(context_ticks, n_step))
    observation = buffer.gather(lane, before, context_ticks)
    back = torch.arange(path.valid.shape[1] - 1, -1, -1, device=buffer.device)  # ticks before the last
    inside = back < num_steps[:, None]
    powers = gamma ** (num_steps[:, None] - 1 - back).clamp(min=0).to(path.reward.dtype)
    first = path.valid.shape[1] - num_steps
    return Transitions(
        observation=observation,
        action=path.action[torch.arange(len(lanes), device=buffer.device), first],
        reward=(path.reward * powers * inside).sum(1),
        next_observation=newest_ticks(path, context_ticks),
        discount=gamma ** num_steps.to(path.reward.dtype) * ~path.terminated[:, -1],
        num_steps=num_steps,
        mask=(path.valid | ~inside).all(1) & observation.valid[:, -1],
    )


def newest_ticks(windows: Windows, length: int) -> Windows:
    """Return the last ``length`` ticks of windows."""
    if windows.valid.shape[1] == length:
        return windows

    def cut(value: Tensor) -> Tensor:
        return value[:, -length:]

    rows = {
        name: dataclasses.replace(
            rows, values=cut(rows.values), mask=cut(rows.mask), fresh=cut(rows.fresh), age_s=cut(rows.age_s)
        )
        for name, rows in windows.rows.items()
    }
    frames = {
        name: dataclasses.replace(frames, slot=cut(frames.slot), mask=cut(frames.mask), age_s=cut(frames.age_s))
        for name, frames in windows.frames.items()
    }
    return dataclasses.replace(
        windows,
        rows=rows,
        frames=frames,
        action=cut(windows.action),
        action_mask=cut(windows.action_mask),
        reward=cut(windows.reward),
        terminated=cut(windows.terminated),
        valid=cut(windows.valid),
        tick=cut(windows.tick),
    )
