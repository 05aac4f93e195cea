"""Beginning with another learner's encoder: same sensors, some new, some gone; what does not fit is refused by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from learners import NUM_LANES, fed_learner, feed, make_learner, small_config
from streams import SPEC, TickSource

from embodied_ssl.errors import CheckpointError, ConfigError, EmbodiedSSLError, RunError, SpecError
from embodied_ssl.learner.inherit import describe, inherit, keep_statistics
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.spec import SensorSpec, StreamSpec


@pytest.fixture(scope="module")
def donor() -> OnlineLearner:
    learner = fed_learner()
    learner.update()
    learner.publish()
    return learner


@pytest.fixture(scope="module")
def folder(donor, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "donor"
    donor.save(path)
    return path


def sensors(*names: str) -> StreamSpec:
    """`SPEC` with sensors left out, reordered, or a new one called ``wind``."""
    wind = SensorSpec("wind", "wind", (2,), rate_hz=20.0)
    return dataclasses.replace(SPEC, sensors=tuple(wind if name == "wind" else SPEC[name] for name in names))


def test_with_the_same_sensors_everything_is_taken(donor, folder):
    learner = make_learner(seed=5)
    facts = inherit(learner, folder)
    for name, weight in donor.snapshot.weights.items():
        assert torch.equal(learner.snapshot.weights[name], weight), name
        assert torch.equal(learner.model.encoder.state_dict()[name], weight), name
    for name, value in donor.model.target_encoder.state_dict().items():
        assert torch.equal(learner.model.target_encoder.state_dict()[name], value), name
    for name, value in donor.model.objectives.state_dict().items():
        assert torch.equal(learner.model.objectives.state_dict()[name], value), name
    assert (facts["new"], facts["left_out"]) == ([], [])
    assert facts["sensors"] == [sensor.name for sensor in SPEC.sensors]
    assert facts["heads"] == ["temporal_contrast", "forward_prediction", "inverse_dynamics", "sensor_reconstruction"]
    assert f"after {donor.num_updates} updates" in describe(facts)


def test_it_rolls_back_to_what_it_began_with_and_goes_on_learning(donor, folder):
    learner = make_learner(seed=5)
    inherit(learner, folder)
    feed(learner, TickSource(NUM_LANES, 3), 100)
    assert learner.update() > 0
    name = "core.read.weight"
    assert not torch.equal(learner.model.encoder.state_dict()[name], donor.snapshot.weights[name])
    learner.roll_back()
    assert torch.equal(learner.model.encoder.state_dict()[name], donor.snapshot.weights[name])


def test_a_new_sensor_and_another_order_embed_the_same_as_long_as_the_new_one_is_silent(donor, folder):
    """The columns of every sensor go with it; zeros of a sensor that is not there meet new weights and add nothing."""
    spec = sensors("camera", "wind", "slow", "joint", "imu")
    learner = make_learner(seed=5, spec=spec)
    facts = inherit(learner, folder)
    assert facts["new"] == ["wind"]
    assert facts["heads"] == []
    silent = TickSource(NUM_LANES, 8, spec)
    other = make_learner(seed=0)
    for _ in range(30):
        tick = silent.tick()
        tick = dataclasses.replace(tick, fresh={**tick.fresh, "wind": np.zeros_like(tick.fresh["wind"])})
        learner.buffer.append(tick)
        other.buffer.append(tick)
    ends = torch.from_numpy(learner.buffer.newest(np.arange(NUM_LANES)))
    lanes = torch.arange(NUM_LANES)
    donor.model.encoder.load_state_dict(donor.snapshot.weights)
    with torch.no_grad():
        here = learner.model.encoder(learner.buffer.gather(lanes, ends, 5))
        there = donor.model.encoder(other.buffer.gather(lanes, ends, 5))
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-5)


def test_a_sensor_that_is_gone_is_left_out(folder):
    facts = inherit(make_learner(spec=sensors("joint", "camera")), folder)
    assert facts["sensors"] == ["joint", "camera"]
    assert facts["left_out"] == ["imu", "slow"]


def test_a_frozen_encoder_keeps_its_normalisation_unless_a_sensor_is_new(folder):
    for spec, kept in ((SPEC, 0), (sensors("joint", "wind"), 1)):
        learner = make_learner(spec=spec)
        learner.update_step.statistics_updates = 1
        keep_statistics(learner, inherit(learner, folder))
        assert learner.update_step.statistics_updates == kept
    learner = make_learner()
    keep_statistics(learner, inherit(learner, folder))
    assert learner.update_step.statistics_updates == np.inf


def other_shape() -> StreamSpec:
    joint = dataclasses.replace(SPEC["joint"], shape=(7,))
    return dataclasses.replace(SPEC, sensors=(joint, *SPEC.sensors[1:]))


REFUSED = {
    "shape": (other_shape(), SpecError, "sensor 'joint' is float32 (7,) with 1 rows a tick"),
    "rate": (dataclasses.replace(SPEC, control_hz=10.0), SpecError, "control_hz is 10"),
    "action": (dataclasses.replace(SPEC, action_size=3), SpecError, "the action has 3 values"),
    "nothing shared": (sensors("wind"), SpecError, "no sensor of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(folder, case):
    spec, kind, message = REFUSED[case]
    with pytest.raises(kind) as error:
        inherit(make_learner(spec=spec), folder)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_other_widths_are_refused_with_the_flag_that_mends_it(folder):
    config = small_config()
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, features_dim=12))
    with pytest.raises(ConfigError, match=r"encoder.features_dim is 12, that of .* is 8; set --encoder.features_dim 8"):
        inherit(OnlineLearner(SPEC, NUM_LANES, config), folder)


def test_no_run_and_no_checkpoint_are_one_line(tmp_path):
    from embodied_ssl.run_folder import RunFolder

    run = RunFolder.create(dataclasses.replace(small_config(), runs_dir=str(tmp_path)))
    cases: list[tuple[object, type[EmbodiedSSLError]]] = [(tmp_path / "nothing", RunError), (run.path, CheckpointError)]
    for path, kind in cases:
        with pytest.raises(kind) as error:
            inherit(make_learner(), str(path))
        assert "\n" not in str(error.value)
