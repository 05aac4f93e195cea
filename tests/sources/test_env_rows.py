import gymnasium as gym
import numpy as np
import pytest

from embodied_ssl.errors import SpecError
from embodied_ssl.sources.env_rows import check_arrays


@pytest.mark.parametrize("space", [gym.spaces.MultiBinary(4), gym.spaces.Box(0, 1, (4,), np.int8)])
def test_validity_may_be_a_box_or_multi_binary(space):
    spaces: dict[str, gym.Space] = {"imu.valid": space}
    check_arrays({"imu.valid": np.array([[0, 1, 1, 0]] * 2, np.int8)}, spaces, 2, "reset")
    with pytest.raises(SpecError, match=r"'imu.valid' holds 2, expected \[0, 1\]"):
        check_arrays({"imu.valid": np.array([[0, 1, 2, 0]] * 2, np.int8)}, spaces, 2, "reset")


def test_other_spaces_are_named():
    with pytest.raises(SpecError, match="expected a Box, or MultiBinary"):
        check_arrays({"x": np.zeros((2, 2), np.int64)}, {"x": gym.spaces.MultiDiscrete([2, 2])}, 2, "reset")
