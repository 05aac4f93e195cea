"""What a config needs to learn from logs instead of an env."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from embodied_ssl.config import Config
from embodied_ssl.errors import ConfigError


def for_pretraining(config: Config, logs: Sequence[str] = ()) -> Config:
    """Return ``config`` as a run that learns from logs.

    No policy acts there, so ``agent.name`` becomes ``none``; whether the encoder moves stays as ``agent.encoder_grad``
    says. A replay learns from every episode, so there is none left to evaluate on.

    Args:
        config: every setting.
        logs: paths from the command line, which replace ``log.paths``.

    Raises:
        ConfigError: there is no log, or a setting asks for an env.
    """
    paths = [str(Path(path).absolute()) for path in logs or config.log.paths]
    if not paths:
        raise ConfigError("log.paths is empty, expected at least one log: --log NAME.zarr")
    repeated = next((path for path in paths if paths.count(path) > 1), None)
    if repeated:
        raise ConfigError(f"--log {repeated} is given twice; keep one")
    if config.record:
        raise ConfigError(f"record is {config.record!r}; only a run in an env can be recorded, leave it out")
    if "critic" in config.agent.encoder_grad:
        raise ConfigError(
            f"agent.encoder_grad is {config.agent.encoder_grad!r}; a log has no critic, expected ssl or frozen"
        )
    is_replay = config.log.mode == "replay"
    evaluation = dataclasses.replace(config.evaluation, enabled=config.evaluation.enabled and not is_replay)
    return dataclasses.replace(
        config,
        name="pretrain" if config.name == Config().name else config.name,
        agent=dataclasses.replace(config.agent, name="none"),
        log=dataclasses.replace(config.log, paths=paths),
        evaluation=evaluation,
    )
