"""Which source a config names."""

from __future__ import annotations

from embodied_ssl.config import Config
from embodied_ssl.train.env_source import EnvSource
from embodied_ssl.train.log_sources import ReplaySource, ShuffleSource
from embodied_ssl.train.source import Source

FROM_LOGS = {"replay": ReplaySource, "shuffle": ShuffleSource}


def open_source(config: Config, camera_backend: str | None = None) -> Source:
    """Make the source of a run.

    Args:
        config: names the logs, or else the env.
        camera_backend: of an env, the recorded one that must be had again; None: the env chooses.

    Raises:
        ConfigError: a setting does not fit the source.
        LogError: a log cannot be learned from.
        RunError: the recorded camera back end does not work here.
    """
    if config.log.paths:
        return FROM_LOGS[config.log.mode](config)
    return EnvSource(config, camera_backend)
