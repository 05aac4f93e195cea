"""Bodies do not depend on what else computes derived fields: renderers, restored states."""

# pyright: reportAttributeAccessIssue=false
import mujoco
import numpy as np
import pytest

from embodied_envs.rendering import probe


@pytest.fixture
def rovers(make_envs):
    """Two Rovers among floating bodies, which their lidars see; and 30 ticks of actions [tick, lane, action]."""

    def make(**kwargs):
        return make_envs(
            2, **({"robot": "Rover", "distractors": ["bodies"], "difficulty": "hard", "cameras": True} | kwargs)
        )

    return make, np.random.default_rng(2).uniform(-1.0, 1.0, (30, 2, 2))


@pytest.mark.parametrize("cameras", [True, False])
@pytest.mark.parametrize("ticks_before", [3, 4, 8, 9])
def test_restored_rovers_read_the_same(rovers, run, assert_same, ticks_before, cameras):
    make, actions = rovers
    source, target = make(cameras=cameras), make(cameras=cameras)
    run(source, actions[:ticks_before], seed=0)
    state = source.get_state()
    continued = run(source, actions[10:16])
    run(target, actions[:5], seed=99)
    target.set_state(state)
    assert_same(run(target, actions[10:16]), continued)


@pytest.mark.skipif(not probe.gl_platform_works("egl"), reason="EGL does not work here")
def test_readings_do_not_depend_on_the_back_end(rovers, run):
    make, actions = rovers
    rays, graphics, blind = (
        run(make(**kwargs), actions, seed=0) for kwargs in ({}, {"camera_backend": "egl"}, {"cameras": False})
    )
    assert "lidar" in blind[0][0]
    for others in (graphics, blind):
        for a, b in zip(rays, others, strict=True):
            for key in blind[0][0]:
                np.testing.assert_array_equal(a[0][key], b[0][key], err_msg=key)


def test_a_forward_pass_before_the_step_changes_no_reading(rovers, run, assert_same):
    """What `Bodies.step` relies on: kinematics write no sample into the sensors' histories."""
    make, actions = rovers
    plain, refreshed = (make(distractors=(), cameras=False) for _ in range(2))
    expected = run(plain, actions, seed=0)
    refreshed.reset(seed=0)
    for action, (observation, *_) in zip(actions, expected[1:], strict=True):
        refreshed.batch.forward(np.ones(2, bool), stage=mujoco.mjtStage.mjSTAGE_POS)
        assert_same(refreshed.step(action)[0], observation)
