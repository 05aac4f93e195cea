import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

RUNNER = "embodied_envs:Embodied/Runner-v0"


def test_final_observation_is_an_ordinary_step_and_the_next_step_resets(make_envs, actions, run):
    envs = make_envs(2, episode_ticks=5)
    ticks = run(envs, actions[:7, :2], seed=0)
    assert [bool(tick[3].all()) for tick in ticks[1:]] == [False] * 4 + [True, False, False]
    assert not any(tick[2].any() for tick in ticks[1:])
    final, first, second = ticks[5], ticks[6], ticks[7]
    assert final[0]["accelerometer.valid"].all()
    assert not first[0]["accelerometer.valid"].any()
    assert (first[1] == 0).all()
    assert (np.abs(first[0]["joint_pos"]) < 0.25).all()
    assert second[0]["accelerometer.valid"].all()


def test_reset_step_ignores_its_action(make_envs, actions, run, assert_same):
    played = [actions[:, :2].copy(), actions[:, :2].copy()]
    played[1][5] = 1.0
    a, b = (run(make_envs(2, episode_ticks=5), acts[:9], seed=0) for acts in played)
    assert_same(a, b)


def test_friction_and_payload_change_with_the_episode_only(make_envs, actions, run):
    ticks = run(make_envs(2, episode_ticks=5), actions[:8, :2], seed=0)
    for key in ("friction", "payload_kg"):
        values = [tick[4]["privileged"][key] for tick in ticks]
        assert all((value == values[0]).all() for value in values[:6])
        assert (values[6] != values[0]).all()
        assert values[0][0] != values[0][1]


def test_same_seed_same_bits_at_any_thread_count(make_envs, actions, run, assert_same):
    runs = [run(make_envs(8, num_threads=threads), actions[:30], seed=7) for threads in (1, 2, 3)]
    assert_same(runs[0], runs[1])
    assert_same(runs[0], runs[2])


def test_another_seed_another_episode(make_envs, assert_same):
    envs = make_envs(2)
    first, again, other = (envs.reset(seed=seed)[0] for seed in (0, 0, 1))
    assert_same(first, again)
    assert (first["joint_pos"] != other["joint_pos"]).all()


def test_reset_without_seed_goes_on_drawing(make_envs):
    envs = make_envs(2)
    first, second = envs.reset(seed=0)[0], envs.reset()[0]
    assert (first["joint_pos"] != second["joint_pos"]).all()


def test_a_lane_does_not_depend_on_the_others(make_envs, actions, run, assert_same):
    other = actions[:30].copy()
    other[:, 2:] *= -1
    many, few = run(make_envs(8), actions[:30], seed=3), run(make_envs(3), other[:, :3], seed=3)
    for a, b in zip(many, few, strict=True):
        for lane in (0, 1):
            for key in a[0]:
                np.testing.assert_array_equal(a[0][key][lane], b[0][key][lane])
            for key in a[4]["privileged"]:
                np.testing.assert_array_equal(a[4]["privileged"][key][lane], b[4]["privileged"][key][lane])


def test_single_env_is_lane_zero(make_envs, actions, run):
    ticks = run(make_envs(2, cameras=True), actions[:12, :2], seed=5)
    env = gym.make(RUNNER, camera_backend="ray", episode_ticks=20)
    observation, _ = env.reset(seed=5)
    for k, tick in enumerate(ticks):
        for key in observation:
            np.testing.assert_array_equal(tick[0][key][0], observation[key])
        if k < 12:
            observation, *_ = env.step(actions[k, 0])
    env.close()


def test_one_seed_per_lane_gives_single_lane_runs(make_envs, assert_same):
    both, alone = make_envs(2).reset(seed=[8, 9])[0], make_envs(1).reset(seed=9)[0]
    for key in both:
        np.testing.assert_array_equal(both[key][1], alone[key][0])


def test_reset_mask_leaves_the_other_lanes_alone(make_envs, actions, run):
    envs = make_envs(3)
    last = run(envs, actions[:4, :3], seed=0)[-1]
    mask = np.array([False, True, False])
    observation, info = envs.reset(options={"reset_mask": mask})
    for key in observation:
        np.testing.assert_array_equal(observation[key][~mask], last[0][key][~mask])
    assert info["privileged"]["friction"][1] != last[4]["privileged"]["friction"][1]
    truncated = [envs.step(action)[3] for action in actions[:20, :3]]
    assert [int(np.argmax([t[lane] for t in truncated])) for lane in range(3)] == [15, 19, 15]


def test_a_seed_with_a_mask_reseeds_the_masked_lanes_only(make_envs, actions, run):
    mask = np.array([False, True])
    seeded, unseeded = make_envs(2), make_envs(2)
    for envs, seed in ((seeded, 5), (unseeded, None)):
        run(envs, actions[:3, :2], seed=0)
        envs.reset(seed=seed, options={"reset_mask": mask})
    a, b = (envs.step(actions[3, :2])[0]["joint_pos"] for envs in (seeded, unseeded))
    np.testing.assert_array_equal(a[0], b[0])
    assert (a[1] != b[1]).all()


def test_reward_is_forward_speed_minus_action_cost(make_envs):
    envs = make_envs(2, episode_ticks=200)
    envs.reset(seed=0)
    action = np.full((2, 6), 0.5, np.float32)
    speeds, rewards = [], []
    for _ in range(20):
        _, reward, _, _, info = envs.step(action)
        speeds.append(info["privileged"]["root_vel"][:, 0])
        rewards.append(reward + 0.1 * 6 * 0.25)
    # The reward holds the mean speed over the tick, the probe target the speed at its end.
    np.testing.assert_allclose(np.mean(rewards, 0), np.mean(speeds, 0), atol=0.15)


def test_misuse_is_refused(make_envs):
    envs = make_envs(2)
    with pytest.raises(ResetNeeded, match="reset"):
        envs.step(np.zeros((2, 6)))
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"expected \(2, 6\)"):
        envs.step(np.zeros(6))
    with pytest.raises(ValueError, match="2 \\(one per lane\\)"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.ones(3, bool)})
    with pytest.raises(ValueError, match="did you mean 'reset_mask'"):
        envs.reset(options={"reset_masks": np.ones(2, bool)})
