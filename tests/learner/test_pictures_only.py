"""A stream of pictures only: no vector sensor to predict or reconstruct."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from streams import SPEC, TickSource

from embodied_ssl.config import Config, LearnerConfig
from embodied_ssl.errors import ConfigError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.spec import StreamSpec

PICTURES = StreamSpec((SPEC["camera"],), SPEC.action_size, SPEC.control_hz)
SMALL = Config(
    device="cpu",
    learner=LearnerConfig(batch_size=8, windows_per_episode=4, learning_starts=0, update_to_data_ratio=0.05),
)


def test_contrast_and_latent_prediction_learn():
    objectives = {"temporal_contrast": {}, "forward_prediction": {}, "spread": {}}
    learner = OnlineLearner(PICTURES, 3, dataclasses.replace(SMALL, objectives=objectives))
    source = TickSource(3, 0, PICTURES, end_chance=0.0)
    for _ in range(60):
        learner.buffer.append(source.tick())
    before = torch.cat([p.detach().clone().ravel() for p in learner.model.encoder.parameters()])
    assert learner.update() > 0
    metrics = learner.read_metrics()
    assert metrics["bad"] == 0
    assert metrics["forward_prediction/level"] == 0
    assert metrics["forward_prediction/latent"] > 0
    after = torch.cat([p.detach().ravel() for p in learner.model.encoder.parameters()])
    assert not torch.equal(before, after)


def test_reconstruction_is_refused_with_the_mend():
    with pytest.raises(ConfigError, match=r"objectives\.sensor_reconstruction null"):
        OnlineLearner(PICTURES, 3, dataclasses.replace(SMALL, objectives={"sensor_reconstruction": {}}))
