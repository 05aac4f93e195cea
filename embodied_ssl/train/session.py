"""A run's parts: built from a config, saved to and restored from checkpoints."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.buffer.segments import FORMAT, SegmentStore, check_format, load_tables, tables_state
from embodied_ssl.config import Config
from embodied_ssl.errors import CheckpointError
from embodied_ssl.health.monitor import HealthMonitor
from embodied_ssl.learner.checkpoint import (
    Part,
    drop_newer,
    drop_old,
    newest_good,
    read_checkpoint,
    read_manifest,
    write_checkpoint,
)
from embodied_ssl.learner.inherit import describe, inherit, keep_statistics
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.spec import StreamSpec
from embodied_ssl.train.open_source import open_source
from embodied_ssl.train.source import Source

VERSIONED = ("embodied-ssl", "torch", "mujoco", "gymnasium", "numpy", "opencv-python-headless", "zarr")
MEMORY = "sampling."
"""Prefix of the long-term memory's tensors in a checkpoint, beside the tables of the buffer."""


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
    source: Source
    learner: OnlineLearner
    pilot: Pilot
    monitor: HealthMonitor
    segments: SegmentStore
    wall_s: float = 0.0
    num_roll_backs: int = 0
    resumed_at: tuple[int | None, int | None] = (None, None)
    inherited: dict[str, Any] | None = None

    @property
    def command(self) -> str:
        """The command that such a run is made with."""
        return "pretrain" if self.config.log.paths else "train"

    @classmethod
    def build(cls, config: Config, run: RunFolder, resume: bool = False) -> Session:
        """Make source, learner, policy and monitor; every generator stems from ``config.seed``.

        Args:
            config: every setting.
            run: where checkpoints lie.
            resume: make the source with the camera back end of the run's checkpoints.

        Raises:
            ConfigError: a setting does not fit the source, or leaves the policy no lane to act in.
            LogError: a log cannot be learned from.
            RunError: the recorded camera back end does not work here.
        """
        source = open_source(config, recorded_backend(run) if resume else None)
        try:
            learner = OnlineLearner(source.spec, source.num_lanes, config, source.buffer(config))
            seeds = np.random.SeedSequence(config.seed).generate_state(3)
            # Where everything is learned from at once there is no newest tick to foresee: skill is measured afterwards.
            objectives: dict[str, Any] = {} if source.refills else dict(learner.model.objectives.items())
            monitor = HealthMonitor(learner.model.encoder, objectives, learner.shape, config.health, int(seeds[0]))
            pilot = Pilot(learner, config.agent, int(seeds[1]))
            source.attach(learner, pilot)
        except BaseException:
            source.close()
            raise
        segments = SegmentStore(learner.buffer, run.segments_dir)
        return cls(config, run, source, learner, pilot, monitor, segments)

    def start(self) -> list[str]:
        """Begin with another run's encoder if asked to, and take in the first tick.

        Returns:
            One line for everything that people should know.
        """
        notes = []
        if self.config.encoder_from:
            self._keep(inherit(self.learner, self.config.encoder_from))
            notes.append(describe(self.inherited or {}))
        return notes + self.source.begin()

    def _keep(self, inherited: dict[str, Any] | None) -> None:
        self.inherited = inherited
        if inherited is not None:
            keep_statistics(self.learner, inherited)

    def save(self) -> None:
        """Write a checkpoint; the caller holds all roles off. Old ones and segments nobody names are deleted."""
        parts = {
            "learner": self.learner.state(),
            "pilot": self.pilot.state(),
            "health": self.monitor.state(),
            **self._buffer_part(),
            **self.source.state(),
        }
        facts = {
            "env_steps": self.learner.env_steps,
            "updates": self.learner.num_updates,
            "wall_s": self.wall_s,
            "num_roll_backs": self.num_roll_backs,
            "spec": self.learner.spec.to_json(),
            "num_lanes": self.learner.num_lanes,
            "camera_backend": self.source.camera_backend,
            "inherited": self.inherited,
            "versions": versions(),
        }
        folder = self.run.checkpoints_dir / f"{self.learner.num_updates:08d}"
        write_checkpoint(folder, parts, facts)
        kept = drop_old(self.run.checkpoints_dir, self.config.keep_checkpoints)
        self._drop_segments(kept)

    def _buffer_part(self) -> dict[str, Part]:
        if self.source.refills:
            return {}
        tensors = tables_state(self.learner.buffer)
        tensors |= {f"{MEMORY}{name}": value for name, value in self.learner.window_source.state().items()}
        return {"buffer": (tensors, {"format": FORMAT, "segments": self.segments.write()})}

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
        if StreamSpec.from_json(facts["spec"]) != self.learner.spec:
            raise CheckpointError(f"the sensors are not those of {folder}; resume with the env or the logs it had")
        if not self.source.refills:
            check_format(parts["buffer"][1], folder)
            tables = dict(parts["buffer"][0])
            load_tables(self.learner.buffer, tables)
            memory = {k.removeprefix(MEMORY): v for k, v in tables.items() if k.startswith(MEMORY)}
            self.learner.window_source.load_state(memory)
            self.segments.restore(parts["buffer"][1]["segments"])
        self.learner.load_state(*parts["learner"])
        self.pilot.load_state(dict(parts["pilot"][0]), dict(parts["pilot"][1]))
        self.monitor.load_state(dict(parts["health"][0]), dict(parts["health"][1]))
        self.wall_s, self.num_roll_backs = facts["wall_s"], facts["num_roll_backs"]
        self._keep(facts.get("inherited"))
        self.resumed_at = (facts["updates"], facts["env_steps"])
        drop_newer(folder)
        notes.append(f"resumed from {folder}: {facts['env_steps']} steps, {facts['updates']} updates")
        return notes + self.source.load_state(parts)


def _segments(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return manifest["parts"].get("buffer", {}).get("segments", [])
