"""What an env says about itself, as one value: for tables, pictures and documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from embodied_ssl.sources.nested import flat_spaces
from embodied_ssl.sources.simulation import stream_spec
from embodied_ssl.spec import SensorSpec

_FAULTS = ("noise_std", "bias_std", "latency_s", "jitter_s", "dropout")


@dataclass(frozen=True)
class SensorCard:
    """One sensor: its spec, and what the env's metadata says about its faults.

    Attributes:
        spec: name, modality, shape of a row, rate, unit and range.
        num_rows: rows in one observation.
        noise_std: standard deviation of the white noise, in the sensor's unit.
        bias_std: standard deviation of an episode's constant error, in the sensor's unit.
        latency_s: seconds from capture to delivery.
        jitter_s: largest extra latency.
        dropout: probability that a row is lost.
    """

    spec: SensorSpec
    num_rows: int
    noise_std: float = 0.0
    bias_std: float = 0.0
    latency_s: float = 0.0
    jitter_s: float = 0.0
    dropout: float = 0.0


@dataclass(frozen=True)
class EnvCard:
    """One env.

    Attributes:
        id: Gymnasium id.
        summary: one line, "" if the env has none.
        control_hz: actions per second.
        episode_ticks: actions until an episode is truncated; None: unknown or never.
        action: the action space of one lane.
        sensors: in observation order.
        privileged: probe targets, name -> (group, unit).
        camera_backend: what draws the cameras; None: no camera, or the env does not say.
    """

    id: str
    summary: str
    control_hz: float
    episode_ticks: int | None
    action: gym.spaces.Box
    sensors: tuple[SensorCard, ...]
    privileged: Mapping[str, tuple[str, str]]
    camera_backend: str | None


def env_card(env: VectorEnv, env_id: str) -> EnvCard:
    """Read an env's spaces and metadata.

    Raises:
        SpecError: a space has no stream form.
    """
    spec, metadata = stream_spec(env), env.metadata or {}
    assert isinstance(env.single_action_space, gym.spaces.Box), "stream_spec has checked it"
    registered = gym.registry.get(env_id.rpartition(":")[2])
    episode_ticks = metadata.get("episode_ticks") or (registered.max_episode_steps if registered else None)
    declared = metadata.get("sensors", {})
    return EnvCard(
        id=env_id,
        summary=str(metadata.get("summary", "")),
        control_hz=spec.control_hz,
        episode_ticks=episode_ticks,
        action=env.single_action_space,
        sensors=tuple(_sensor(env, sensor, declared.get(sensor.name, {})) for sensor in spec.sensors),
        privileged={
            key: (str(entry.get("group", "")), str(entry.get("unit", "")))
            for key, entry in metadata.get("privileged", {}).items()
        },
        camera_backend=metadata.get("camera_backend"),
    )


def _sensor(env: VectorEnv, spec: SensorSpec, declared: Mapping[str, Any]) -> SensorCard:
    shape = flat_spaces(env.single_observation_space)[spec.name].shape or (1,)
    faults = {name: float(declared.get(name, 0.0)) for name in _FAULTS}
    return SensorCard(spec, math.prod(shape) // spec.size, **faults)
