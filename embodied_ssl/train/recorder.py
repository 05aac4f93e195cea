"""Where the loop's figures go: metric sinks and the display, stamped with time, steps and updates."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied_ssl.health.monitor import Verdict
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.report.display import Display, resident_gib
from embodied_ssl.report.sink import Sink

LOOP_EVERY_S = 2.0


class Recorder:
    """Stamps rows and hands them on; safe to call from every role."""

    def __init__(self, learner: OnlineLearner, sink: Sink, display: Display, wall_s: float = 0.0) -> None:
        """Start the clock.

        Args:
            learner: whose counts stamp the rows.
            sink: where rows are written.
            display: what people see.
            wall_s: seconds that the run took before it was resumed.
        """
        self._learner, self._sink, self._display = learner, sink, display
        self._lock = threading.Lock()
        self._before_s, self._started = wall_s, time.monotonic()
        self._steps_before, self._updates_before = learner.env_steps, learner.num_updates
        self._last_loop_s = 0.0
        self.agent_updates = 0
        self.returns: deque[float] = deque(maxlen=100)

    @property
    def wall_s(self) -> float:
        """Seconds of the run so far, pauses left out."""
        return self._before_s + time.monotonic() - self._started

    def _write(self, kind: str, row: Mapping[str, Any]) -> None:
        stamp = {
            "wall_s": round(self.wall_s, 3),
            "env_steps": self._learner.env_steps,
            "updates": self._learner.num_updates,
        }
        with self._lock:
            self._sink.write(kind, {**stamp, **row})

    def episode(self, total: float, length: int) -> None:
        """Take the return and length of an episode that ended."""
        self.returns.append(total)
        self._write("episode", {"return": total, "length": length})
        self._show({"return": float(np.mean(self.returns))})

    def learning(self, metrics: Mapping[str, float], verdict: Verdict) -> None:
        """Take the means of some updates and the verdict after them."""
        self._write("ssl", metrics)
        self._write("health", {**verdict.gauges, "verdict": verdict.action, "reason": verdict.reason})
        if verdict.action == "roll_back":
            self._display.message(f"health: rolled back, because {verdict.reason}")
        losses = {name: value for name, value in metrics.items() if name.startswith("loss")}
        shown = {"forward_skill": "skill_5", "effective_rank": "effective_rank"}
        gauges = {label: verdict.gauges[name] for label, name in shown.items() if name in verdict.gauges}
        self._show({**losses, **gauges})

    def publication(self, row: Mapping[str, float]) -> None:
        """Take the drift of a published version."""
        self._write("publish", {key: value for key, value in row.items() if key != "updates"})

    def agent(self, metrics: Mapping[str, float]) -> None:
        """Take the means of some agent updates."""
        self._write("agent", {**metrics, "agent_updates": self.agent_updates})

    def loop(self) -> None:
        """Write the speeds every couple of seconds; call it as often as you like."""
        now_s = time.monotonic() - self._started
        self._show({"env_steps": self._learner.env_steps, "agent_updates": self.agent_updates})
        if now_s - self._last_loop_s >= LOOP_EVERY_S:
            self._last_loop_s = now_s
            self._write("loop", {**self.speeds(), "rss_mb": resident_gib() * 1024})

    def speeds(self) -> dict[str, float]:
        """Return steps and updates a second since the start or resume."""
        passed_s = max(1e-9, time.monotonic() - self._started)
        return {
            "env_steps_per_s": (self._learner.env_steps - self._steps_before) / passed_s,
            "updates_per_s": (self._learner.num_updates - self._updates_before) / passed_s,
        }

    def _show(self, values: Mapping[str, Any]) -> None:
        with self._lock:
            self._display.update({**values, "updates": self._learner.num_updates})

    def message(self, text: str) -> None:
        """Tell people something."""
        self._display.message(text)
