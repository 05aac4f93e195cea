"""A run's parts: built from a config, saved to and restored from checkpoints."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from embodied_ssl.buffer.segments import SegmentStore, load_tables, tables_state
from embodied_ssl.config import Config
from embodied_ssl.errors import CheckpointError, ConfigError
from embodied_ssl.health.monitor import HealthMonitor
from embodied_ssl.learner.checkpoint import (
    drop_newer,
    drop_old,
    newest_good,
    read_checkpoint,
    read_manifest,
    write_checkpoint,
)
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.stream import Stream
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.sources.envs import backend_of, make_env

VERSIONED = ("embodied-ssl", "torch", "mujoco", "gymnasium", "numpy", "opencv-python-headless", "zarr")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def recorded_backend(run: RunFolder) -> str:
    """Return the camera back end of the run's newest good checkpoint."""
    folder, _ = newest_good(run.checkpoints_dir)
    return read_manifest(folder)["facts"]["camera_backend"]


@dataclass
class Session:
    """Everything that a run moves forward."""

    config: Config
    run: RunFolder
    env: VectorEnv
    learner: OnlineLearner
    stream: Stream
    pilot: Pilot
    monitor: HealthMonitor
    segments: SegmentStore
    wall_s: float = 0.0
    num_roll_backs: int = 0
    resumed_at: tuple[int | None, int | None] = (None, None)
    returns: np.ndarray | None = None
    lengths: np.ndarray | None = None

    @classmethod
    def build(cls, config: Config, run: RunFolder, resume: bool = False) -> Session:
        """Make env, learner, policy and monitor; every generator stems from ``config.seed``.

        Args:
            config: every setting.
            run: where checkpoints lie.
            resume: make the env with the camera back end of the run's checkpoints.

        Raises:
            ConfigError: a setting does not fit the env, or leaves the policy no lane to act in.
            RunError: the recorded camera back end does not work here.
        """
        if config.agent.name != "none" and config.agent.noise_lanes >= config.env.num_lanes:
            raise ConfigError(
                f"agent.noise_lanes is {config.agent.noise_lanes}, expected fewer than env.num_lanes "
                f"({config.env.num_lanes}): the policy acts in the others; set --agent.noise_lanes lower"
            )
        env = make_env(config.env, config.env.num_lanes, recorded_backend(run) if resume else None)
        if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
            raise ConfigError(f"env.id is {config.env.id!r}, which never resets by itself; make it with NEXT_STEP")
        learner = OnlineLearner.from_env(env, config=config)
        seeds = np.random.SeedSequence(config.seed).generate_state(3)
        objectives: dict[str, Any] = dict(learner.model.objectives.items())
        monitor = HealthMonitor(learner.model.encoder, objectives, learner.shape, config.health, int(seeds[0]))
        pilot = Pilot(learner, config.agent, int(seeds[1]))
        segments = SegmentStore(learner.buffer, run.segments_dir)
        return cls(config, run, env, learner, learner.stream(env), pilot, monitor, segments)

    def start(self) -> list[str]:
        """Reset the env and take in the first tick; there is nothing that people should know."""
        self.stream.reset(*self.env.reset(seed=self.config.seed))
        return []

    def save(self) -> None:
        """Write a checkpoint; the caller holds all roles off. Old ones and segments nobody names are deleted."""
        get_state = getattr(self.env, "get_state", None)
        env_tensors, env_facts = _split(get_state()) if get_state else ({}, None)
        counts = {"returns": self.returns, "lengths": self.lengths}
        parts = {
            "learner": self.learner.state(),
            "pilot": self.pilot.state(),
            "health": self.monitor.state(),
            "stream": (self.stream.state(), {"version": self.stream.version}),
            "buffer": (tables_state(self.learner.buffer), {"segments": self.segments.write()}),
            "env": (env_tensors, {"state": env_facts}),
        }
        facts = {
            "env_steps": self.learner.env_steps,
            "updates": self.learner.num_updates,
            "wall_s": self.wall_s,
            "num_roll_backs": self.num_roll_backs,
            "spec": self.learner.spec.to_json(),
            "camera_backend": backend_of(self.env),
            "versions": versions(),
            **{name: value.tolist() for name, value in counts.items() if value is not None},
        }
        folder = self.run.checkpoints_dir / f"{self.learner.num_updates:08d}"
        write_checkpoint(folder, parts, facts)
        kept = drop_old(self.run.checkpoints_dir, self.config.keep_checkpoints)
        self._drop_segments(kept)

    def _drop_segments(self, checkpoints: list[Any]) -> None:
        named: set[str] = set()
        for path in checkpoints:
            try:
                manifest = read_manifest(path)
            except CheckpointError:
                continue
            named |= {entry["file"] for entry in _segments(manifest)}
        self.segments.drop_unlisted(list(named))

    def resume(self) -> list[str]:
        """Restore the newest good checkpoint; return one line for everything that people should know.

        Raises:
            CheckpointError: there is none.
        """
        folder, notes = newest_good(
            self.run.checkpoints_dir, check=lambda manifest: self.segments.verify(_segments(manifest))
        )
        parts, facts = read_checkpoint(folder)
        load_tables(self.learner.buffer, dict(parts["buffer"][0]))
        self.segments.restore(parts["buffer"][1]["segments"])
        self.learner.load_state(*parts["learner"])
        self.pilot.load_state(dict(parts["pilot"][0]), dict(parts["pilot"][1]))
        self.monitor.load_state(dict(parts["health"][0]), dict(parts["health"][1]))
        self.wall_s, self.num_roll_backs = facts["wall_s"], facts["num_roll_backs"]
        self.resumed_at = (facts["updates"], facts["env_steps"])
        if "returns" in facts:
            self.returns, self.lengths = np.array(facts["returns"]), np.array(facts["lengths"])
        drop_newer(folder)
        notes.append(f"resumed from {folder}: {facts['env_steps']} steps, {facts['updates']} updates")
        return notes + self._resume_env(parts)

    def _resume_env(self, parts: dict[str, Any]) -> list[str]:
        tensors, facts = parts["env"]
        if facts["state"] is None:
            self.returns = self.lengths = None
            self.start()
            return ["the env has no get_state/set_state: all lanes start new episodes"]
        self.env.reset(seed=self.config.seed)
        self.env.set_state(_join(tensors, facts["state"]))  # pyright: ignore[reportAttributeAccessIssue]
        self.stream.load_state(dict(parts["stream"][0]), self.learner.snapshot, parts["stream"][1]["version"])
        return []


def _segments(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return manifest["parts"]["buffer"]["segments"]


def _split(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the arrays of an env's state as tensors, and the rest, which is JSON by the env's contract."""
    arrays = {key: value for key, value in state.items() if isinstance(value, np.ndarray)}
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}
    return tensors, {key: value for key, value in state.items() if key not in arrays}


def _join(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `_split`."""
    return {**rest, **{key: tensor.numpy() for key, tensor in tensors.items()}}
