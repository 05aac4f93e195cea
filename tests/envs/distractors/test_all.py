"""What holds for every distractor, alone and together."""

import numpy as np
import pytest

from embodied_envs.distractors import DISTRACTORS
from embodied_envs.robots.robot_spec import GROUPS

SENSOR_LEVEL = ["stuck", "lagged", "dropped", "desynchronised", "spurious"]
VISUAL = ["background", "colour", "camera", "light", "bodies"]


@pytest.mark.parametrize("name", DISTRACTORS)
def test_same_seed_same_bits_other_seed_others(make_envs, actions, run, assert_same, name):
    options = {"distractors": [name], "cameras": True, "episode_ticks": 7}
    first, second, third = (run(make_envs(2, **options), actions[:16, :2], seed=seed) for seed in (3, 3, 4))
    assert_same(first, second)
    assert (first[-1][0]["joint_pos"] != third[-1][0]["joint_pos"]).any()


def test_a_lane_does_not_depend_on_the_others(make_envs, actions, run, assert_same, everything):
    """Lane 0 of one and of four; and while lane 1 is reset, lane 0 goes on as if it were not."""
    options = {"distractors": everything, "cameras": True, "episode_ticks": 9}
    one, four = make_envs(1, **options), make_envs(4, **options)
    alone, among = run(one, actions[:20, :1], seed=5), run(four, actions[:20, :4], seed=5)
    _assert_first_lane(assert_same, alone, among)
    others = np.array([False, True, True, False])
    four.reset(seed=8, options={"reset_mask": others})
    _assert_first_lane(assert_same, run(one, actions[20:30, :1]), run(four, actions[20:30, :4]))


def _assert_first_lane(assert_same, alone: list, among: list) -> None:
    for a, b in zip(alone, among, strict=True):
        for section in (0, 4):
            assert_same(_lane(a[section]), _lane(b[section]))
        assert a[1] is None or a[1][0] == b[1][0]


def _lane(tree):
    return {key: _lane(value) for key, value in tree.items()} if isinstance(tree, dict) else np.asarray(tree[0])


@pytest.mark.parametrize("ticks_before", [0, 3, 7, 8, 9, 15, 16, 20])
def test_restored_environment_goes_on_with_the_same_bits(
    make_envs, actions, run, assert_same, everything, ticks_before
):
    options = {"distractors": everything, "cameras": True, "episode_ticks": 8}
    source, target = make_envs(3, **options), make_envs(3, **options)
    run(source, actions[:ticks_before, :3], seed=0)
    state = source.get_state()
    assert not any(value.dtype == object for value in state.values() if isinstance(value, np.ndarray))
    continued = run(source, actions[20:45, :3])
    run(target, actions[:5, :3], seed=99)
    target.set_state(state)
    assert_same(run(target, actions[20:45, :3]), continued)


@pytest.mark.parametrize("name", SENSOR_LEVEL)
def test_other_keys_keep_their_bits_under_sensor_faults(history, name):
    options = {} if name == "spurious" else {"sensor": "gyro"}
    plain, disturbed = history(), history(distractors={name: options}, difficulty="hard")
    own = {f"observation/{key}" for key in (name, "gyro", "gyro.valid")}
    for key, values in plain.items():
        if key not in own:
            np.testing.assert_array_equal(disturbed[key], values, err_msg=key)
    changed = [key for key in own & plain.keys() if (plain[key] != disturbed[key]).any()]
    assert bool(changed) == (name != "spurious")


@pytest.mark.parametrize("name", VISUAL)
def test_visual_distractors_change_pictures_only(history, name):
    plain, disturbed = history(cameras=True), history(cameras=True, distractors=[name], difficulty="hard")
    for key, values in plain.items():
        if key != "observation/camera":
            np.testing.assert_array_equal(disturbed[key], values, err_msg=key)
    changed = (plain["observation/camera"] != disturbed["observation/camera"]).any(axis=(2, 3, 4))
    assert changed.all()


def test_all_together_fit_the_declared_spaces_and_name_their_factors(make_envs, everything):
    envs = make_envs(2, distractors=everything, cameras=True, camera_kinds=("rgb", "depth", "segmentation"))
    observation, info = envs.reset(seed=0)
    assert envs.observation_space.contains(observation)
    assert info["privileged"].keys() == envs.metadata["privileged"].keys()
    groups = {entry["group"] for entry in envs.metadata["privileged"].values()}
    assert groups <= set(GROUPS)
    assert "nuisance" in groups
    assert observation.keys() >= {"spurious"}
    assert not observation.keys() & info["privileged"].keys()
