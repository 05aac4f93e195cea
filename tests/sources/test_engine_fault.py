import gymnasium as gym
import numpy as np

from embodied_ssl.sources.simulation import TickMaker


def test_a_lane_whose_simulator_broke_has_no_new_rows():
    envs = gym.make_vec("embodied_envs:Embodied/Runner-v0", num_envs=2, cameras=False)
    maker = TickMaker(envs)
    maker.reset(*envs.reset(seed=0))
    action = np.zeros((2, 6), np.float32)
    assert maker.step(action, *envs.step(action))[0].fresh["joint_pos"].all()
    broken = action.copy()
    broken[1] = np.nan
    fresh = maker.step(action, *envs.step(broken))[0].fresh
    assert all(rows[0].all() and not rows[1].any() for rows in fresh.values())
    assert maker.step(action, *envs.step(action))[0].fresh["joint_pos"].all()
    envs.close()
