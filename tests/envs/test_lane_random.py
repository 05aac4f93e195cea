import numpy as np
import pytest

from embodied_envs.lane_random import MOST_DRAWN, LaneRandom

ALL = np.ones(4, bool)


@pytest.mark.parametrize("num_values", [8, MOST_DRAWN + 200])
def test_normals_are_normal_and_white(num_values):
    random = LaneRandom(4)
    random.seed(0, ALL)
    draws = np.stack([random.normals(ALL, num_values) for _ in range(400)])
    assert abs(draws.mean()) < 0.03
    assert draws.std() == pytest.approx(1.0, abs=0.03)
    assert np.mean(draws**4) == pytest.approx(3.0, abs=0.3)
    for other in (draws[1:, :, :], draws[:, ::-1, :][1:]):  # the next tick, another lane at another tick
        assert abs(np.mean(draws[:-1] * other)) < 0.03
    assert abs(np.mean(draws[..., 1:] * draws[..., :-1])) < 0.03


@pytest.mark.parametrize("num_values", [8, MOST_DRAWN + 200])
def test_lanes_draw_on_their_own(num_values):
    """A lane that pauses goes on where it was, and nobody else notices."""
    steady, paused = LaneRandom(4), LaneRandom(4)
    for random in (steady, paused):
        random.seed(3, ALL)
    expected = [steady.normals(ALL, num_values) for _ in range(40)]
    some = np.array([True, False, True, True])
    received = []
    for tick in range(40):
        mask = some if tick % 3 == 0 else ALL
        received.append(paused.normals(mask, num_values))
        np.testing.assert_array_equal(received[-1][some], np.stack(expected)[tick][some])
        assert mask[1] or not received[-1][1].any()
    lane_one = [draw[1] for tick, draw in enumerate(received) if tick % 3]
    np.testing.assert_array_equal(lane_one, [draw[1] for draw in expected[: len(lane_one)]])


@pytest.mark.parametrize("num_values", [8, MOST_DRAWN + 200])
def test_state_restores_what_was_drawn_ahead(num_values):
    source, target = LaneRandom(4), LaneRandom(4)
    for _ in range(21):
        source.normals(ALL, num_values)
    target.set_state(source.get_state())
    for _ in range(30):
        np.testing.assert_array_equal(source.normals(ALL, num_values), target.normals(ALL, num_values))
