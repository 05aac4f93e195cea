"""Robots as the source of a run: the policy acts, the env answers, the stream takes it in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.config import Config
from embodied_ssl.errors import ConfigError
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.stream import Stream
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.sources.envs import backend_of, make_env
from embodied_ssl.sources.rows import to_host
from embodied_ssl.sources.simulation import stream_spec
from embodied_ssl.train.recording import Recording
from embodied_ssl.train.source import Ended, Parts


class EnvSource:
    """A vector env, the stream that turns what it returns into ticks, and the policy that acts in it."""

    refills = False

    def __init__(self, config: Config, camera_backend: str | None = None) -> None:
        """Make the env.

        Args:
            config: of the run.
            camera_backend: the recorded one, which must be had again; None: the env chooses.

        Raises:
            ConfigError: a setting does not fit the env, or leaves the policy no lane to act in.
            RunError: the recorded camera back end does not work here.
        """
        if config.agent.name != "none" and config.agent.noise_lanes >= config.env.num_lanes:
            raise ConfigError(
                f"agent.noise_lanes is {config.agent.noise_lanes}, expected fewer than env.num_lanes "
                f"({config.env.num_lanes}): the policy acts in the others; set --agent.noise_lanes lower"
            )
        self.env = make_env(config.env, config.env.num_lanes, camera_backend)
        mode = self.env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        if mode == AutoresetMode.DISABLED:
            self.env.close()
            raise ConfigError(f"env.id is {config.env.id!r}, which never resets by itself; make it with NEXT_STEP")
        self.spec, self.num_lanes = stream_spec(self.env), self.env.num_envs
        self.camera_backend = backend_of(self.env)
        self.returns = np.zeros(self.num_lanes)
        self.lengths = np.zeros(self.num_lanes, np.int64)
        # The step in which such an env resets a lane is no step of an episode.
        self._length_at_end = -1 if mode == AutoresetMode.NEXT_STEP else 0
        self._config = config
        self._recording: Recording | None = None
        self.stream: Stream
        self.pilot: Pilot

    def buffer(self, config: Config) -> StreamBuffer | None:
        """Return None: the history of robots is kept as ``config.buffer`` says."""
        return None

    def attach(self, learner: OnlineLearner, pilot: Pilot) -> None:
        """Bind to the learner's buffer and to the policy."""
        self.stream, self.pilot, self._learner = learner.stream(self.env), pilot, learner

    def begin(self) -> list[str]:
        """Reset the env and take in the first tick."""
        return self._begin(goes_on=False)

    def _begin(self, goes_on: bool) -> list[str]:
        notes = self._start_recording(goes_on)
        self.stream.reset(*self.env.reset(seed=self._config.seed))
        return notes

    def _start_recording(self, goes_on: bool) -> list[str]:
        if not self._config.record:
            return []
        env = {"id": self._config.env.id, "kwargs": self._config.env.kwargs, "camera_backend": self.camera_backend}
        path = Path(self._config.record)
        self._recording = Recording.start(path, self.spec, self.num_lanes, env, goes_on)
        self.stream.taps.append(self._recording.write)
        return [f"recording to {self._recording.path}"]

    @property
    def exhausted(self) -> bool:
        """Return False: robots go on."""
        return False

    def advance(self) -> list[Ended]:
        """Act in every lane and take in what came of it."""
        action = self.stream.ticks.to_env(self.pilot.act(self.stream))
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.stream.observe(action, observation, reward, terminated, truncated, info)
        return self._count(to_host(reward), to_host(terminated) | to_host(truncated))

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> list[Ended]:
        self.returns += np.where(np.isfinite(reward), reward, 0.0)
        self.lengths += 1
        episodes = [Ended(float(self.returns[lane]), int(self.lengths[lane])) for lane in np.flatnonzero(ended)]
        self.returns[ended], self.lengths[ended] = 0.0, self._length_at_end
        return episodes

    def state(self) -> Parts:
        """Return the parts ``stream`` and ``env``."""
        get_state = getattr(self.env, "get_state", None)
        tensors, facts = _split(get_state()) if get_state else ({}, None)
        counts = {"returns": self.returns.tolist(), "lengths": self.lengths.tolist()}
        return {
            "stream": (self.stream.state(), {"version": self.stream.version}),
            "env": (tensors, {"state": facts, **counts}),
        }

    def load_state(self, parts: Parts) -> list[str]:
        """Go on in the middle of the episodes, or in new ones where the env cannot be set."""
        tensors, facts = parts["env"]
        if facts["state"] is None:
            return [*self._begin(goes_on=True), "the env has no get_state/set_state: all lanes start new episodes"]
        self.returns, self.lengths = np.array(facts["returns"]), np.array(facts["lengths"])
        self.env.reset(seed=self._config.seed)
        self.env.set_state(_join(tensors, facts["state"]))  # pyright: ignore[reportAttributeAccessIssue]
        stream, carried = parts["stream"]
        self.stream.load_state(dict(stream), self._learner.snapshot, carried["version"])
        return self._start_recording(goes_on=True)

    def facts(self) -> dict[str, Any]:
        """Return what the stream refused."""
        ticks = self.stream.ticks
        recorded = {"recorded_to": str(self._recording.path)} if self._recording else {}
        return {
            "source": self._config.env.id,
            "rejected_rows": ticks.num_rejected_rows,
            "rejected_rewards": ticks.num_rejected_rewards,
            **recorded,
        }

    def close(self) -> None:
        """Close the env and the log that is recorded."""
        self.env.close()
        if self._recording:
            self._recording.close()


def _split(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the arrays of an env's state as tensors, and the rest, which is JSON by the env's contract."""
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    return tensors, {key: value for key, value in state.items() if key not in arrays}


def _join(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `_split`."""
    return {**rest, **{key: tensor.numpy() for key, tensor in tensors.items()}}
