import numpy as np
import pytest

from embodied_envs.distractors.difficulty import SCALES


def test_a_stuck_sensor_repeats_itself_for_its_share_of_time(history):
    told = history(8, 400, distractors={"stuck": {"sensor": "joint_pos"}}, difficulty="hard")
    reading, stuck = told["observation/joint_pos"], told["privileged/stuck_strength"][..., 0].astype(bool)
    repeats = (reading[1:] == reading[:-1]).all(axis=-1)
    np.testing.assert_array_equal(repeats, stuck[1:])
    assert not stuck[0].any()
    assert stuck.mean() == pytest.approx(SCALES["hard"], abs=0.08)
    starts = (stuck[1:] & ~stuck[:-1]).sum()
    assert stuck.sum() / starts == pytest.approx(10.0, rel=0.35)


def test_a_lagged_sensor_shows_the_past_with_fresh_ages(history):
    plain = history(3, 30)
    lagged = history(3, 30, distractors={"lagged": {"sensor": "accelerometer"}}, difficulty="medium")
    key = "observation/accelerometer"
    np.testing.assert_array_equal(lagged[key][2:], plain[key][:-2])
    np.testing.assert_array_equal(lagged[key][:2], np.stack([plain[key][0]] * 2))
    np.testing.assert_array_equal(lagged[f"{key}.valid"][2:], plain[f"{key}.valid"][:-2])
    np.testing.assert_array_equal(lagged[f"{key}.age_s"], plain[f"{key}.age_s"])
    np.testing.assert_allclose(lagged["privileged/lagged_strength"], 2 / 20.0)


def test_a_desynchronised_sensor_falls_behind_and_is_set_right(history):
    plain = history(3, 40)["observation/joint_pos"]
    told = history(3, 40, distractors={"desynchronised": {"sensor": "joint_pos"}})
    lags = np.array([tick // 5 % 3 for tick in range(41)])
    for tick, lag in enumerate(lags):
        np.testing.assert_array_equal(told["observation/joint_pos"][tick], plain[tick - lag])
    np.testing.assert_allclose(told["privileged/desynchronised_strength"][:, 0, 0], lags / 20.0, rtol=1e-6)


def test_dropped_readings_are_zero_and_invalid(history):
    told = history(8, 300, distractors={"dropped": {"sensor": "gyro"}}, difficulty="medium")
    lost = told["privileged/dropped_strength"][..., 0].astype(bool)
    assert lost.mean() == pytest.approx(SCALES["medium"], abs=0.06)
    assert not told["observation/gyro"][lost].any()
    assert not told["observation/gyro.valid"][lost].any()
    assert told["observation/gyro.valid"][1:][~lost[1:]].all()


def test_an_episode_draws_which_sensor_fails(make_envs):
    envs = make_envs(64, distractors=["lagged"])
    _, info = envs.reset(seed=0)
    failing = info["privileged"]["lagged_sensor"][:, 0]
    assert set(failing) == {0, 1, 2, 3}
    _, info = envs.reset()
    assert (info["privileged"]["lagged_sensor"][:, 0] != failing).any()


@pytest.mark.parametrize("corr", [0.9, 0.3, 0.0])
def test_the_spurious_channel_correlates_as_told_and_flips(history, corr):
    for split, sign in (("train", 1), ("test", -1)):
        told = history(
            8, 300, distractors={"spurious": {"corr": corr, "split": split, "factor": "joint_pos", "index": 2}}
        )
        channel, factor = told["observation/spurious"][50:, :, 0], told["observation/joint_pos"][50:, :, 2]
        per_lane = [np.corrcoef(a, b)[0, 1] for a, b in zip(channel.T, factor.T, strict=True)]
        assert np.mean(per_lane) == pytest.approx(sign * corr, abs=0.08)
        assert channel.std() == pytest.approx(1.0, abs=0.15)


def test_the_spurious_channel_may_tell_the_episode(make_envs):
    envs = make_envs(400, distractors={"spurious": {"corr": -0.8}})
    observation, info = envs.reset(seed=0)
    factor = info["privileged"]["spurious_factor"][:, 0]
    assert np.corrcoef(observation["spurious"][:, 0], factor)[0, 1] == pytest.approx(-0.8, abs=0.06)
    _, _, _, _, after = envs.step(np.zeros((400, 6)))
    np.testing.assert_array_equal(after["privileged"]["spurious_factor"][:, 0], factor)


DYNAMICS = {
    ("Runner", "payload"): "payload_kg",
    ("Runner", "friction"): "friction",
    ("Rover", "friction"): "friction",
    ("Rover", "motor"): "motor_asymmetry",
    ("Quadruped", "motor"): "motor_gain",
    ("Hand", "payload"): "cube_mass_kg",
    ("Hand", "friction"): "friction",
}
"""Robot and factor -> the privileged quantity that tells it."""


@pytest.mark.parametrize(("robot", "factor"), DYNAMICS)
def test_the_spurious_channel_tells_the_dynamics_from_the_first_episode_on(make_envs, robot, factor):
    for split, sign in (("train", 1), ("test", -1)):
        asked = {"spurious": {"corr": 0.8, "factor": factor, "split": split}}
        envs = make_envs(256, robot=robot, distractors=asked)
        observation, info = envs.reset(seed=0)
        channel, score = observation["spurious"][:, 0], info["privileged"]["spurious_factor"][:, 0]
        truth = info["privileged"][DYNAMICS[robot, factor]][:, 0]
        assert abs(np.corrcoef(score, truth)[0, 1]) > 0.999
        assert score.mean() == pytest.approx(0.0, abs=0.2)
        assert score.std() == pytest.approx(1.0, abs=0.1)
        assert np.corrcoef(channel, score)[0, 1] == pytest.approx(sign * 0.8, abs=0.08)


@pytest.mark.parametrize("factor", ["episode", "payload", "gyro"])
def test_the_spurious_channel_does_not_depend_on_former_episodes(make_envs, actions, run, assert_same, factor):
    envs = make_envs(3, distractors={"spurious": {"factor": factor}}, episode_ticks=5)
    first, again = run(envs, actions[:20, :3], seed=7), run(envs, actions[:20, :3], seed=7)
    assert_same(first, again)


def test_a_stuck_fast_sensor_repeats_its_newest_row(history):
    asked = {"stuck": {"sensor": "accelerometer"}}
    plain = history(8, 100)["observation/accelerometer"]
    told = history(8, 100, distractors=asked, difficulty="hard")
    stuck = told["privileged/stuck_strength"][..., 0].astype(bool)
    reading = told["observation/accelerometer"]
    np.testing.assert_array_equal(reading[~stuck], plain[~stuck])
    before = np.concatenate([reading[:1], reading[:-1]])[:, :, -1:]
    np.testing.assert_array_equal(reading[stuck], np.broadcast_to(before, reading.shape)[stuck])
    assert stuck.any()
