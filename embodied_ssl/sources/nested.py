"""Nested Dict observations as flat tables: ``{"arm": {"pos": x}}`` becomes ``{"arm/pos": x}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from embodied_ssl.errors import SpecError

SEPARATOR = "/"
BARE_KEY = "observation"
"""Name of an observation that is no Dict."""


def flat_spaces(space: gym.Space) -> dict[str, gym.Space]:
    """Return the leaf spaces of an observation by name, in the order of the env's Dict.

    Raises:
        SpecError: two leaves have one name, as ``{"a/b": ...}`` beside ``{"a": {"b": ...}}``.
    """
    if not isinstance(space, gym.spaces.Dict):
        return {BARE_KEY: space}
    return _flat(space.spaces, gym.spaces.Dict)


def flat_observation(observation: Any) -> Mapping[str, Any]:
    """Return an observation's values by leaf name; one that is flat already is returned as it is."""
    if not isinstance(observation, Mapping):
        return {BARE_KEY: observation}
    if not any(isinstance(value, Mapping) for value in observation.values()):
        return observation
    return _flat(observation, Mapping)


def _flat(table: Any, nested: type, prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found = _flat(value, nested, name + SEPARATOR) if isinstance(value, nested) else {name: value}
        twice = leaves.keys() & found.keys()
        if twice:
            raise SpecError(f"observation {min(twice)!r} exists twice; rename a key of the nested observation")
        leaves |= found
    return leaves
