import numpy as np
import pytest

from embodied_envs.rendering.lane_appearance import LaneAppearance
from embodied_envs.robots import load_robot
from embodied_envs.sensors import Camera
from embodied_envs.suite import SUITE

pytestmark = pytest.mark.usefixtures("needs_models")


def test_the_string_of_the_ball_is_drawn_from_cup_to_ball_and_shows_when_it_is_taut(simulate):
    batch = simulate("ball-in-cup-catch", 2).batch
    batch.bind("qpos")[:, 3] = 0.02, -0.1  # a slack string, and one that is pulled longer than it is
    appearance = LaneAppearance(batch.model)
    appearance.attach(batch)
    lengths_m, num_limits = [], []
    for lane in range(2):
        appearance.show(lane)
        assert appearance.data.ten_wrapnum[0] == 2
        ends = appearance.data.wrap_xpos.reshape(-1, 3)[:2]
        lengths_m.append(np.linalg.norm(ends[1] - ends[0]))
        num_limits.append(appearance.data.nefc)
    np.testing.assert_allclose(lengths_m, [0.272, 0.392], atol=1e-9)
    assert num_limits == [0, 1]  # the engine draws it red while its limit acts


@pytest.mark.parametrize("task", SUITE)
def test_the_picture_is_the_models_first_camera_as_in_published_results(task):
    camera = load_robot(task).sensors[-1]
    assert isinstance(camera.source, Camera)
    assert load_robot(task).build().compile().camera(0).name == camera.source.camera
    assert camera.shape == (84, 84, 3)
    assert camera.rate_hz == load_robot(task).control_hz
