"""The roles of a run: collect a tick, learn from the stream, train the policy."""

from __future__ import annotations

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from embodied_ssl.errors import RunError
from embodied_ssl.health.monitor import HealthMonitor, Verdict
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.stream import Stream
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.sources.rows import to_host
from embodied_ssl.train.recorder import Recorder

MAX_ROLL_BACKS = 3
UPDATES_AHEAD = 8
"""Back-pressure: the collector waits while a learner is this many updates behind its ratio."""


class Collector:
    """Acts, steps the env and feeds the stream; the only writer of the buffer."""

    def __init__(self, env: VectorEnv, stream: Stream, pilot: Pilot, recorder: Recorder, env_steps: int) -> None:
        """Collect until ``env_steps`` lane-ticks are recorded."""
        self.env, self.stream, self.pilot, self.recorder, self.env_steps = env, stream, pilot, recorder, env_steps
        self.returns = np.zeros(env.num_envs)
        self.lengths = np.zeros(env.num_envs, np.int64)
        # The step in which such an env resets a lane is no step of an episode.
        mode = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._length_at_end = -1 if mode == AutoresetMode.NEXT_STEP else 0

    @property
    def finished(self) -> bool:
        """Whether all ticks have come in."""
        return self.pilot.learner.env_steps >= self.env_steps

    @property
    def due(self) -> bool:
        """Whether the learners keep up."""
        behind = max(self.pilot.learner.num_due, self.pilot.num_due * self.pilot.config.minibatches)
        return not self.finished and behind <= UPDATES_AHEAD

    def work(self) -> None:
        """Advance every lane by one tick."""
        action = self.stream.ticks.to_env(self.pilot.act(self.stream))
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.stream.observe(action, observation, reward, terminated, truncated, info)
        self._count(to_host(reward), to_host(terminated) | to_host(truncated))

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> None:
        self.returns += np.where(np.isfinite(reward), reward, 0.0)
        self.lengths += 1
        for lane in np.flatnonzero(ended):
            self.recorder.episode(float(self.returns[lane]), int(self.lengths[lane]))
        self.returns[ended], self.lengths[ended] = 0.0, self._length_at_end


class Student:
    """Updates the encoder, reads its health and applies the verdict."""

    def __init__(self, learner: OnlineLearner, monitor: HealthMonitor, recorder: Recorder, every: int) -> None:
        """Judge every ``every`` updates."""
        self.learner, self.monitor, self.recorder, self.every = learner, monitor, recorder, every
        self.num_roll_backs = 0

    @property
    def due(self) -> bool:
        """Whether the ratio allows an update."""
        return self.learner.num_due > 0

    def work(self) -> None:
        """Predict the newest tick, then learn."""
        self.monitor.predict(self.learner.buffer)
        published = len(self.learner.publications)
        self.learner.update(max_updates=1)
        if self.learner.num_updates % self.every == 0:
            metrics = self.learner.read_metrics()
            verdict = self.monitor.judge(self.learner.buffer, metrics)
            self.recorder.learning(metrics, verdict)
            self.apply(verdict)
        for row in self.learner.publications[published:]:
            self.recorder.publication(row)

    def apply(self, verdict: Verdict) -> None:
        """Do what the verdict says.

        Raises:
            RunError: the representation fell ill again and again.
        """
        if verdict.action == "keep":
            self.learner.mark_healthy()
        elif verdict.action == "roll_back":
            self.num_roll_backs += 1
            if self.num_roll_backs > MAX_ROLL_BACKS:
                raise RunError(f"rolled back {MAX_ROLL_BACKS} times and ill again: {verdict.reason}; lower learner.lr")
            self.learner.roll_back()


class Trainer:
    """Trains the policy."""

    def __init__(self, pilot: Pilot, recorder: Recorder, every: int = 25) -> None:
        """Record every ``every`` sets of updates."""
        self.pilot, self.recorder, self.every = pilot, recorder, every

    @property
    def due(self) -> bool:
        """Whether the ratio allows a set of agent updates."""
        return self.pilot.num_due > 0

    def work(self) -> None:
        """Make one set of updates."""
        self.pilot.update()
        # Counted from the run's start: after a resume, rows fall where they would have fallen.
        if self.pilot.num_updates // self.pilot.config.minibatches % self.every == 0:
            self.recorder.agent(self.pilot.read_metrics())
