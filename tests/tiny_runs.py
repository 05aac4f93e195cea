"""Configs of runs that take a second or two, for tests of whole runs."""

from __future__ import annotations

from embodied_ssl.config import (
    AgentConfig,
    BufferConfig,
    Config,
    EncoderConfig,
    EnvConfig,
    EvaluationConfig,
    HealthConfig,
    LearnerConfig,
)
from embodied_ssl.train.env_source import EnvSource
from embodied_ssl.train.session import Session

TINY = Config(
    device="cpu",
    env_steps=800,
    synchronous=True,
    checkpoint_every=8,
    env=EnvConfig(num_lanes=4, kwargs={"cameras": False, "episode_ticks": 60}),
    # Smaller than the run, so that the ring wraps.
    buffer=BufferConfig(capacity_ticks=96, guard_ticks=4),
    encoder=EncoderConfig(context_ticks=8, features_dim=16, hidden_dim=32, image_dim=8),
    learner=LearnerConfig(
        batch_size=16,
        windows_per_episode=4,
        horizon_ticks=15,
        max_frames=40,
        warmup_updates=5,
        update_to_data_ratio=0.05,
        learning_starts=300,
        publish_every=7,
    ),
    health=HealthConfig(every=5),
    agent=AgentConfig(
        learning_starts=400, noise_lanes=1, updates_per_step=0.25, batch_size=30, minibatches=2, hidden_dim=16
    ),
    evaluation=EvaluationConfig(enabled=False),
)
CAMERA = EnvConfig(num_lanes=4, kwargs={"camera_backend": "ray", "episode_ticks": 60})


def robots_of(session: Session) -> EnvSource:
    """Return the source of a run in an env."""
    assert isinstance(session.source, EnvSource)
    return session.source
