"""What the log benchmark writes and reads: ticks of workload A (benchmarks of the buffer), rendered or noisy frames."""

from __future__ import annotations

import numpy as np
from buffer_workload import CASES

__all__ = ["BLOCK_TICKS", "CASE", "KEYS", "Content", "window_starts"]

CASE = CASES["pixels"]
BLOCK_TICKS = 64
"""Ticks written at once; with fsync all of it is on disk before the next block."""
KEYS = {**CASE.keys, "reward": ((), "float32")}
POOL_TICKS = 128


class Content:
    """Blocks of ticks ``(BLOCK_TICKS, lanes, ...)`` by key; frames repeat after `POOL_TICKS` ticks."""

    def __init__(self, kind: str, num_blocks: int, seed: int = 0) -> None:
        """Make the frames; ``noisy`` adds noise of sigma 3 to what ``rendered`` shows."""
        rng = np.random.default_rng(seed)
        frames = _frames(POOL_TICKS)
        if kind == "noisy":
            frames = np.clip(frames + rng.normal(0, 3, frames.shape).astype(np.float32), 0, 255).astype(np.uint8)
        self.num_blocks, self.num_ticks = num_blocks, num_blocks * BLOCK_TICKS
        self._blocks = []
        for start in range(0, POOL_TICKS, BLOCK_TICKS):
            block = {"rgb": frames[start : start + BLOCK_TICKS]}
            for name, (shape, dtype) in KEYS.items():
                if name != "rgb":
                    size = (BLOCK_TICKS, CASE.lanes, *shape)
                    block[name] = np.cumsum(rng.normal(0, 0.01, size), axis=0).astype(dtype)
            self._blocks.append(block)

    def block(self, number: int) -> dict[str, np.ndarray]:
        """Return block ``number``."""
        return self._blocks[number % len(self._blocks)]

    @property
    def nbytes(self) -> int:
        """Raw bytes of all blocks."""
        return self.num_blocks * sum(array.nbytes for array in self._blocks[0].values())


def _frames(num_ticks: int) -> np.ndarray:
    """Return frames ``(ticks, lanes, 84, 84, 3)`` of the Runner's own camera."""
    from embodied_envs.batch_vector_env import BatchVectorEnv

    envs = BatchVectorEnv("Runner", CASE.lanes, camera_px=84)
    envs.reset(seed=0)
    rng, frames = np.random.default_rng(0), []
    for _ in range(num_ticks):
        observation, *_ = envs.step(rng.uniform(-1, 1, envs.action_space.shape or ()).astype(np.float32))
        frames.append(observation["camera"].copy())
    envs.close()
    return np.stack(frames)


def window_starts(num_ticks: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return lanes and last ticks of random windows."""
    return rng.integers(0, CASE.lanes, count), rng.integers(CASE.span - 1, num_ticks, count)
