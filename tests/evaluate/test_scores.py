import numpy as np

from embodied_ssl.evaluate.scores import score
from embodied_ssl.evaluate.targets import Targets


def test_a_group_that_never_changes_is_left_out_of_the_mean():
    """A finger that touches nothing in the test episodes says nothing about an encoder."""
    generator = np.random.default_rng(0)
    moving = generator.normal(size=(60, 1))
    values = np.concatenate([moving, np.zeros((60, 1))], axis=1)
    targets = Targets(
        values, ("speed", "touch"), {"velocities": ("speed",), "contacts": ("touch",)}, np.arange(60) // 10
    )
    found = score([values + 0.1], targets, ("velocities", "contacts"), np.random.default_rng(1), num_resamples=20)
    assert found.mean == found.groups["velocities"]
    assert 0.9 < found.mean < 1.0
    assert np.isnan(found.groups["contacts"])
    assert np.isfinite(found.interval).all()
