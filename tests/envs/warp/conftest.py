"""Warp on its CPU device with few lanes. Building an environment loads fifty kernels: tests share them and reset.

The first run on a machine compiles the kernels (about half a minute); Warp caches them in the user's cache folder.
"""

from __future__ import annotations

import pytest

pytest.importorskip("mujoco_warp", reason="needs the extra [warp]")
torch = pytest.importorskip("torch")

from embodied_envs.batch_vector_env import BatchVectorEnv  # noqa: E402
from embodied_envs.warp import WarpVectorEnv  # noqa: E402

LANES = 4
TICKS = 12


@pytest.fixture(scope="session")
def blind():
    """Four Runners without cameras."""
    env = WarpVectorEnv("Runner", LANES, device="cpu", cameras=False, episode_ticks=TICKS)
    yield env
    env.close()


@pytest.fixture(scope="session")
def seeing():
    """Two Runners with small cameras of every kind."""
    kinds = ("rgb", "depth", "segmentation")
    env = WarpVectorEnv("Runner", 2, device="cpu", camera_kinds=kinds, camera_px=24, episode_ticks=TICKS)
    yield env
    env.close()


@pytest.fixture(scope="session")
def batch():
    """The same four Runners on mujoco.batch."""
    env = BatchVectorEnv("Runner", LANES, cameras=False, episode_ticks=TICKS, num_threads=1)
    yield env
    env.close()


@pytest.fixture
def actions():
    """Twenty ticks of random actions [tick, lane, action]."""
    return 2.0 * torch.rand(20, LANES, 6, generator=torch.Generator().manual_seed(5)) - 1.0
