import json

import numpy as np

from embodied_ssl.rl.noise import ColouredNoise


def noise(seed: int = 0, time_constant_ticks: float = 4.0, lanes: int = 64) -> ColouredNoise:
    return ColouredNoise(lanes, 3, np.random.default_rng(seed), time_constant_ticks)


def test_actions_are_float32_inside_the_box_and_nearly_uniform():
    source = noise(lanes=512)
    draws = np.concatenate([source.sample() for _ in range(40)])
    assert draws.shape == (512 * 40, 3)
    assert draws.dtype == np.float32
    assert np.abs(draws).max() <= 1.0
    counts, _ = np.histogram(draws, bins=10, range=(-1, 1))
    assert counts.max() / counts.min() < 1.5


def test_correlation_falls_to_one_over_e_after_the_time_constant():
    source = noise(lanes=2048)
    values = np.stack([source.sample_normal() for _ in range(5)])
    assert abs(values.std() - 1.0) < 0.03
    assert abs((values[0] * values[4]).mean() - np.exp(-1.0)) < 0.05


def test_time_constant_zero_is_white():
    source = noise(time_constant_ticks=0.0, lanes=2048)
    first, second = source.sample_normal(), source.sample_normal()
    assert abs((first * second).mean()) < 0.05


def test_resume_through_json_is_exact():
    source, resumed = noise(1), noise(2)
    source.sample()
    resumed.load_state(json.loads(json.dumps(source.state())))
    for _ in range(3):
        np.testing.assert_array_equal(source.sample(), resumed.sample())
