"""What `embodied-ssl envs` prints: the list, one env's page, or the result of the contract check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import EmbodiedSSLError
from embodied_ssl.report.env_tables import env_list, env_page
from embodied_ssl.sources.env_card import EnvCard, env_card
from embodied_ssl.sources.env_contract import check_stream_env
from embodied_ssl.sources.env_ids import DEFAULT_MODULE, find_env_id, list_env_ids
from embodied_ssl.sources.envs import make_env


def list_page(module: str | None = None) -> RenderableType:
    """Return the envs that a module registers; one that cannot be made here is listed with the reason."""
    cards, failures = [], []
    for env_id in list_env_ids(module or DEFAULT_MODULE):
        try:
            cards.append(_card(env_id, {}))
        except EmbodiedSSLError as error:
            failures.append((env_id, str(error)))
    return env_list(cards, failures)


def show_page(word: str, kwargs: Mapping[str, Any]) -> RenderableType:
    """Return one env's sensors, privileged quantities and action.

    Raises:
        ConfigError: no such env, or it refuses its arguments.
        SpecError: it has no stream form.
    """
    return env_page(_card(find_env_id(word), kwargs))


def check_page(word: str, kwargs: Mapping[str, Any]) -> str:
    """Return what the contract check found.

    Raises:
        ConfigError: no such env, or it refuses its arguments.
        SpecError: the env breaks the contract.
    """
    config = EnvConfig(id=find_env_id(word), kwargs=dict(kwargs))
    return f"{config.id} keeps the contract\n{check_stream_env(lambda num_lanes: make_env(config, num_lanes))}"


def _card(env_id: str, kwargs: Mapping[str, Any]) -> EnvCard:
    env = make_env(EnvConfig(id=env_id, kwargs=dict(kwargs)), num_lanes=1)
    try:
        return env_card(env, env_id)
    finally:
        env.close()
