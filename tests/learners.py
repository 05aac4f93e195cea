"""Small learners fed from made-up ticks, for tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from streams import SPEC, TickSource

from embodied_ssl.config import BufferConfig, Config, EncoderConfig, LearnerConfig
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.spec import StreamSpec

NUM_LANES = 3
OBJECTIVES: dict[str, dict[str, Any]] = {
    "temporal_contrast": {"weight": 0.5, "hidden_dim": 16},
    "forward_prediction": {"weight": 1.0, "hidden_dim": 16},
    "inverse_dynamics": {"weight": 0.1, "hidden_dim": 16},
    "sensor_reconstruction": {"weight": 1.0, "num_ticks": 3},
    "spread": {"weight": 0.1},
}


def small_config(seed: int = 0, **learner: Any) -> Config:
    """A config of a few thousand weights; nothing in it is left to a default that may be tuned."""
    options = {
        "batch_size": 16,
        "windows_per_episode": 4,
        "horizon_ticks": 4,
        "max_frames": 12,
        "lr": 3e-3,
        "warmup_updates": 3,
        "update_to_data_ratio": 0.1,
        "learning_starts": 60,
        "publish_every": 5,
        "sensor_dropout": 0.2,
        "jitter": 0.1,
        "shift_pixels": 2,
    }
    return Config(
        seed=seed,
        device="cpu",
        objectives={name: dict(value) for name, value in OBJECTIVES.items()},
        buffer=BufferConfig(capacity_ticks=120, guard_ticks=2),
        encoder=EncoderConfig(context_ticks=5, features_dim=8, hidden_dim=16, image_dim=4),
        learner=LearnerConfig(**{**options, **learner}),
    )


def make_learner(seed: int = 0, spec: StreamSpec = SPEC, **learner: Any) -> OnlineLearner:
    return OnlineLearner(spec, NUM_LANES, small_config(seed, **learner))


def feed(learner: OnlineLearner, source: TickSource, num_ticks: int) -> None:
    for _ in range(num_ticks):
        learner.buffer.append(source.tick())


def fed_learner(seed: int = 0, num_ticks: int = 100, **learner: Any) -> OnlineLearner:
    """A learner whose buffer holds a random stream and which may make `num_due` updates."""
    made = make_learner(seed, **learner)
    feed(made, TickSource(NUM_LANES, seed, end_chance=0.04), num_ticks)
    return made


def tensors_of(learner: OnlineLearner) -> dict[str, torch.Tensor]:
    """Copies of every tensor that learning changes: weights, target, normalisation, moments."""
    return {name: value.clone() for name, value in learner._model_tensors().items()}


def assert_bits_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def poisoned(learner: OnlineLearner) -> Any:
    """Draws of the next update whose jitter holds a NaN: loss and gradients are not finite, the rows are."""
    from embodied_ssl.learner.draws import make_draws

    objectives: dict[str, Any] = dict(learner.model.objectives.items())
    draws = make_draws(learner.buffer, learner.shape, learner.config.learner, objectives, np.random.default_rng(1))
    jitter = {name: torch.full_like(noise, torch.nan) for name, noise in draws.online.jitter.items()}
    return dataclasses.replace(draws, online=dataclasses.replace(draws.online, jitter=jitter))
