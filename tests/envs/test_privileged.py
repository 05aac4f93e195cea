import numpy as np


def test_without_privileged_info_everything_else_is_the_same(make_envs, actions, run, assert_same):
    told = run(make_envs(4, episode_ticks=7), actions[:20, :4], seed=2)
    untold = run(make_envs(4, episode_ticks=7, privileged=False), actions[:20, :4], seed=2)
    for a, b in zip(told, untold, strict=True):
        assert_same(a[:4], b[:4])
        assert set(a[4]) - set(b[4]) == {"privileged", "clean"}


def test_without_cameras_everything_else_is_the_same(make_envs, actions, run, assert_same):
    seeing = run(make_envs(4, cameras=True), actions[:20, :4], seed=2)
    blind = run(make_envs(4), actions[:20, :4], seed=2)
    for a, b in zip(seeing, blind, strict=True):
        assert a[0].keys() - b[0].keys() == {"camera", "camera.age_s"}
        assert_same({key: a[0][key] for key in b[0]}, b[0])
        assert_same(a[1:], b[1:])


def test_layout_and_groups(make_envs):
    envs = make_envs(4)
    _, info = envs.reset(seed=0)
    assert {key: values.shape for key, values in info["privileged"].items()} == {
        "root_vel": (4, 3), "joint_vel": (4, 6), "contact": (4, 2), "contact_force": (4, 2), "root_pose": (4, 2),
        "joint_pos_clean": (4, 6), "friction": (4, 1), "payload_kg": (4, 1),
    }  # fmt: skip
    assert info["privileged"].keys() == envs.metadata["privileged"].keys()
    groups = {entry["group"] for entry in envs.metadata["privileged"].values()}
    assert groups == {"velocities", "contacts", "forces", "poses", "slow_dynamics"}


def test_privileged_keys_are_not_observed(make_envs):
    observation, info = make_envs(1).reset(seed=0)
    assert not observation.keys() & info["privileged"].keys()
    assert info["clean"].keys() == {"joint_pos", "accelerometer", "gyro", "touch"}
    assert all(values.shape == observation[key].shape for key, values in info["clean"].items())


def test_dynamics_are_drawn_from_their_ranges_and_matter(make_envs):
    envs = make_envs(64)
    _, info = envs.reset(seed=0)
    friction, payload_kg = (info["privileged"][key][:, 0] for key in ("friction", "payload_kg"))
    assert 0.6 <= friction.min() < 0.75 < 1.05 < friction.max() <= 1.2
    assert 0.1 <= payload_kg.min() < 0.5 < 1.6 < payload_kg.max() <= 2.0
    for _ in range(19):
        _, _, _, _, info = envs.step(np.zeros((64, 6)))
    # A heavier robot sinks deeper into its springs.
    assert np.corrcoef(payload_kg, info["privileged"]["root_pose"][:, 0])[0, 1] < -0.5
