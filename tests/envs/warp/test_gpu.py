"""What only a GPU can show: thousands of lanes on it, in torch's own queue, with the numbers of the CPU device."""

from __future__ import annotations

import pytest
import torch

from embodied_envs.warp import WarpVectorEnv

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def run(env):
    """The observation after ten random steps."""
    observation, info = env.reset(seed=0)
    generator = torch.Generator("cuda").manual_seed(0)
    for _ in range(10):
        action = 2 * torch.rand(env.num_envs, 6, generator=generator, device="cuda") - 1
        observation, _, _, _, info = env.step(action)
    assert not info["engine_fault"].any()
    return observation


def test_thousands_of_lanes_live_on_the_device():
    env = WarpVectorEnv("Runner", 4096, device="cuda", camera_px=32, deterministic=True)
    first, second = (run(env) for _ in range(2))
    assert {value.device.type for value in first.values()} == {"cuda"}
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert first["touch"].max() > 10


def test_the_device_computes_what_the_cpu_does(blind, actions):
    env = WarpVectorEnv("Runner", blind.num_envs, device="cuda", cameras=False)
    blind.reset(seed=0)
    env.reset(seed=0)
    for action in actions[:10]:
        for name in ("qpos", "qvel"):
            env.physics.bind(name).copy_(blind.physics.bind(name))
        for name in ("geom_friction", "body_mass", "body_inertia"):
            env.physics.expand(name).copy_(blind.physics.expand(name))
        env.physics.reset(torch.zeros(blind.num_envs, dtype=torch.bool, device="cuda"), lambda: None)  # constants
        env.step(action)
        blind.step(action)
        torch.testing.assert_close(env.physics.bind("qpos").cpu(), blind.physics.bind("qpos"), atol=1e-5, rtol=0)
