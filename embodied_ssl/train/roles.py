"""The roles of a run: collect a tick, learn from the stream, train the policy."""

from __future__ import annotations

from embodied_ssl.errors import RunError
from embodied_ssl.health.monitor import HealthMonitor, Verdict
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.train.recorder import Recorder
from embodied_ssl.train.source import Source

MAX_ROLL_BACKS = 3
UPDATES_AHEAD = 8
"""Back-pressure: the collector waits while a learner is this many updates behind its ratio."""


class Collector:
    """Advances the source; the only writer of the buffer."""

    def __init__(self, source: Source, pilot: Pilot, recorder: Recorder, env_steps: int) -> None:
        """Collect until ``env_steps`` lane-ticks have come in, or the source has no more."""
        self.source, self.pilot, self.recorder, self.env_steps = source, pilot, recorder, env_steps

    @property
    def finished(self) -> bool:
        """Whether all ticks have come in."""
        return self.pilot.learner.env_steps >= self.env_steps or self.source.exhausted

    @property
    def due(self) -> bool:
        """Whether the learners keep up."""
        behind = max(self.pilot.learner.num_due, self.pilot.num_due * self.pilot.config.minibatches)
        return not self.finished and behind <= UPDATES_AHEAD

    def work(self) -> None:
        """Advance every lane by one tick."""
        for episode in self.source.advance():
            self.recorder.episode(episode.total, episode.length)


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
