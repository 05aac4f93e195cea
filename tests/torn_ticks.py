"""Ticks whose every value says lane and tick, so that a window of mixed ages is seen."""

from __future__ import annotations

import numpy as np
import torch

from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

NUM_LANES, CAPACITY, EPISODE = 3, 40, 64
SHAPE = WindowShape(4, 4)
LANES = np.arange(NUM_LANES)
SPEC = StreamSpec(
    (
        SensorSpec("plain", "joint", (8,), rate_hz=20.0),
        SensorSpec("fast", "imu", (4,), rate_hz=60.0),
        SensorSpec("camera", "camera", (24, 24, 3), dtype="uint8", rate_hz=20.0),
    ),
    action_size=2,
    control_hz=20.0,
)


def tick_of(number):
    """Every lane's tick ``number``: rows hold it, rows of the fast sensor also which of three they are."""
    plain = np.full((NUM_LANES, 1, 8), number, np.float32) + LANES[:, None, None] / 8
    fast = (3 * number + np.arange(3)[None, :, None] + np.zeros((NUM_LANES, 3, 4))).astype(np.float32)
    camera = np.full((NUM_LANES, 1, 24, 24, 3), number % 251, np.uint8)
    rows = {"plain": plain, "fast": fast, "camera": camera}
    return Tick(
        lanes=LANES,
        rows=rows,
        fresh={k: np.ones(v.shape[:2], bool) for k, v in rows.items()},
        age_s={k: np.full(v.shape[:2], number, np.float32) for k, v in rows.items()},
        action=np.full((NUM_LANES, 2), number, np.float32),
        reward=np.full(NUM_LANES, number, np.float32),
        is_first=np.full(NUM_LANES, number % EPISODE == 0),
        terminated=np.full(NUM_LANES, number % 2 == 0),
        truncated=np.zeros(NUM_LANES, bool),
    )


def num_torn(windows):
    """Return how many values that are not masked are of another tick than theirs."""
    tick, valid = windows.tick, windows.valid
    plain, fast, camera = windows.rows["plain"], windows.rows["fast"], windows.frames["camera"]
    moved = windows.action_mask
    wrong = (windows.start[:, None] != tick // EPISODE * EPISODE) & valid
    wrong |= moved & ((windows.reward != tick) | (windows.action != tick[..., None]).any(-1))
    wrong |= moved & (windows.terminated != (tick % 2 == 0))
    expected = tick[..., None, None] + windows.lane[:, None, None, None] / 8
    wrong |= ((plain.values != expected).any(-1) & plain.mask).any(-1)
    wrong |= ((plain.age_s != tick[..., None]) & plain.mask).any(-1)
    rows = 3 * tick[..., None] + torch.arange(3)
    wrong |= ((fast.values != rows[..., None]).any(-1) & fast.mask).any(-1)
    colours = camera.values[torch.arange(len(tick))[:, None], camera.slot].flatten(2)
    wrong |= (colours != (tick % 251)[..., None]).any(-1) & camera.mask
    wrong |= (camera.age_s != tick) & camera.mask
    return int(wrong.sum())
