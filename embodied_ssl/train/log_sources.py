"""Logs as the source of a run: replayed step by step, or all of them at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.config import Config
from embodied_ssl.errors import LogError
from embodied_ssl.evaluate.log_probe_set import choose
from embodied_ssl.learner.online import OnlineLearner, window_shape
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.rl.pilot import Pilot
from embodied_ssl.sources.log_identity import check_identities, identities, log_facts, packet_notes
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.logged_ticks import check_rate
from embodied_ssl.sources.replay import TickReplay, is_recording_of_ticks
from embodied_ssl.spec import StreamSpec, Tick
from embodied_ssl.train.log_cache import LogCache
from embodied_ssl.train.source import Ended, Parts


def _title(paths: Sequence[str]) -> str:
    """Return what people call these logs."""
    return Path(paths[0]).name + (f" + {len(paths) - 1}" if len(paths) > 1 else "")


class ReplaySource:
    """One recorded run that flows through the buffer as it did live, as fast as the learner can follow."""

    refills = False
    camera_backend = "as recorded"

    def __init__(self, config: Config) -> None:
        """Open the recording.

        Raises:
            LogError: there is none, there are several, or it holds packets, whose arrival no run has seen.
        """
        if len(config.log.paths) > 1:
            raise LogError(f"log.mode replay takes one recording, got {len(config.log.paths)}; use mode shuffle")
        self._title = _title(config.log.paths)
        log = StreamLog.open(config.log.paths[0], config.log.skip_corrupt)
        if not is_recording_of_ticks(log):
            raise LogError(f"{log.path} was not recorded from ticks, so there is no run to replay; use mode shuffle")
        check_rate(log, config.log)
        self._replay = TickReplay(log)
        self.spec, self.num_lanes = self._replay.spec, self._replay.num_lanes
        self._num_ticks = self._replay.num_ticks
        self._totals = np.zeros(self.num_lanes)
        self._lengths = np.zeros(self.num_lanes, np.int64)
        self._at_end = False
        self._learner: OnlineLearner

    def buffer(self, config: Config) -> StreamBuffer | None:
        """Return None: the recording flows through a buffer like that of the live run."""
        return None

    def attach(self, learner: OnlineLearner, pilot: Pilot) -> None:
        """Bind to the learner's buffer."""
        self._learner = learner

    def begin(self) -> list[str]:
        """Take in the first step, as a live run does before it acts."""
        self.advance()
        return [f"replaying {self._num_ticks} lane-ticks of {self._title}"]

    @property
    def exhausted(self) -> bool:
        """Whether the recording has come to its end."""
        return self._at_end or self._learner.buffer.num_ticks >= self._num_ticks

    def advance(self) -> list[Ended]:
        """Take in the next step."""
        step = self._replay.next_step()
        self._at_end = step is None
        ended: list[Ended] = []
        for tick in step or []:
            self._learner.buffer.append(tick)
            ended += self._count(tick)
        return ended

    def _count(self, tick: Tick) -> list[Ended]:
        lanes, going_on = tick.lanes, ~tick.is_first
        self._totals[lanes] = np.where(going_on, self._totals[lanes] + tick.reward, 0.0)
        self._lengths[lanes] = np.where(going_on, self._lengths[lanes] + 1, 0)
        over = lanes[tick.terminated | tick.truncated]
        return [Ended(float(self._totals[lane]), int(self._lengths[lane])) for lane in over]

    def state(self) -> Parts:
        """Return the part ``log``."""
        counts = {"totals": self._totals.tolist(), "lengths": self._lengths.tolist()}
        return {"log": ({}, {"cursor": self._replay.state(), **counts})}

    def load_state(self, parts: Parts) -> list[str]:
        """Go on at the step after the checkpoint."""
        _, facts = parts["log"]
        self._replay.load_state(facts["cursor"])
        self._totals[:], self._lengths[:] = facts["totals"], facts["lengths"]
        return []

    def facts(self) -> dict[str, Any]:
        """Return what was replayed."""
        return {"source": self._title, "mode": "replay", "lost_rows": self._replay.num_lost_rows}

    def close(self) -> None:
        """A log that is read holds nothing open."""


class ShuffleSource:
    """All logs at once: the buffer holds everything that is learned from, and windows are drawn from all of it.

    The run's clock counts lane-ticks as if they came in: each step credits as many as one update asks for, so a run of
    so many `env_steps` makes as many updates as one in an env.
    """

    refills = True
    camera_backend = "as recorded"

    def __init__(self, config: Config) -> None:
        """Open the logs and split their episodes.

        Raises:
            LogError: there is no such log, logs do not fit each other, or nothing is left to learn from.
            RunError: nothing fit to evaluate on was held out, and ``evaluation.enabled``.
        """
        self._config, self._title = config, _title(config.log.paths)
        shape = window_shape(config)
        self._logs = LogSet.open(config.log, shape.context, shape.horizon)
        if config.evaluation.enabled:
            choose(self._logs, shape, config.evaluation)  # a run must not find out at its end
        self._identities = identities(self._logs)
        self._lanes, self._filled = self._logs.layout()
        self.spec: StreamSpec = self._logs.spec
        self.num_lanes = len(self._filled)
        self._credit = max(1, math.ceil(1 / config.learner.update_to_data_ratio))
        self._cache: LogCache | None = None
        self._open = contextlib.ExitStack()
        self._learner: OnlineLearner

    def buffer(self, config: Config) -> StreamBuffer | None:
        """Return a buffer that holds every tick to be learned from; ``config.buffer`` has no say here."""
        self._cache = LogCache.open(self._logs, self._lanes, self._filled, config)
        return self._cache.buffer

    def attach(self, learner: OnlineLearner, pilot: Pilot) -> None:
        """Bind to the learner."""
        self._learner = learner

    def begin(self) -> list[str]:
        """Fill the buffer and set the clock to 0."""
        notes = self._fill()
        self._learner.set_clock(0)
        self._read_ahead()
        return notes

    def _read_ahead(self) -> None:
        """Gather batches ahead where that waits for a disk or a GPU; the buffer stands still, so they are the same."""
        if self._config.log.cache_dir or self._learner.device.type == "cuda":
            self._open.enter_context(self._learner.prefetched())

    def _fill(self) -> list[str]:
        assert self._cache is not None, "buffer() comes before"
        buffer, notes = self._cache.buffer, [*self._cache.notes]
        if self._cache.is_filled:
            notes.append(f"the ticks lie in {self._cache.folder} already")
        else:
            for tick in self._logs.ticks(self._logs.learned, self._lanes):
                buffer.append(tick)
            self._cache.keep()
        self._learner.require_batch()
        notes += [
            f"sensor {name!r} sends more rows than its rate says: the oldest {count:,} are in no window"
            for name, count in buffer.num_overflow_rows.items()
            if count
        ]
        held = sum(stretch.num_ticks for stretch in self._logs.held_out)
        notes.append(
            f"{buffer.num_ticks:,} lane-ticks of {len(self._logs.learned)} stretches to learn from, "
            f"{held:,} of {len(self._logs.held_out)} held out"
        )
        return notes + packet_notes(self._logs)

    @property
    def exhausted(self) -> bool:
        """Return False: the logs can be drawn from for ever."""
        return False

    def advance(self) -> list[Ended]:
        """Let the clock go on by what one update asks for."""
        self._learner.set_clock(min(self._learner.env_steps + self._credit, max(self._config.env_steps, 1)))
        return []

    def state(self) -> Parts:
        """Return the part ``log``: the clock, and what the hold-out stands on."""
        return {"log": ({}, {"env_steps": self._learner.env_steps, "logs": self._identities})}

    def load_state(self, parts: Parts) -> list[str]:
        """Fill the buffer again and set the clock.

        Raises:
            LogError: a log is not what was learned from.
        """
        check_identities(self._logs, parts["log"][1]["logs"])
        notes = self._fill()
        self._learner.set_clock(parts["log"][1]["env_steps"])
        self._read_ahead()
        return notes

    def facts(self) -> dict[str, Any]:
        """Return what was learned from."""
        learned, held = self._logs.learned, self._logs.held_out
        return {
            "source": self._title,
            "mode": "shuffle",
            "learned_ticks": sum(stretch.num_ticks for stretch in learned),
            "held_out_ticks": sum(stretch.num_ticks for stretch in held),
            "learned_stretches": len(learned),
            "held_out_stretches": len(held),
            **log_facts(self._logs),
        }

    def close(self) -> None:
        """Stop reading ahead, and delete a cache that was not filled to its end."""
        self._open.close()
        if self._cache is not None:
            self._cache.close()
