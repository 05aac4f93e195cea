"""The health monitor: reads the gauges on clean inputs and returns a verdict. It changes nothing itself.

| gauge | what it can cause |
|---|---|
| non-finite updates in a row | roll back |
| effective rank below a fraction of the width, and below half of what the readings themselves have | roll back |
| median spread of the dimensions near zero | roll back |
| forward skill far below its best | the state is not kept as one to roll back to |
| gradient norm far above its usual | the state is not kept as one to roll back to |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import HealthConfig
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.health.gauges import effective_rank, spread
from embodied_ssl.health.skill import SkillGauge
from embodied_ssl.objectives import Objective
from embodied_ssl.objectives.forward import ForwardPrediction

RANK_ROWS_PER_DIM = 20  # RankMe is biased low with fewer (measured on Gaussians: .80 D at n = D, .99 D at 20 D)
MAX_FRAMES = 128
MAX_REFERENCE_DIM = 4096
"""Values in a context above which forward skill is not measured online: its linear reference grows with the square."""
MIN_SPREAD = 0.01
LEAST_RANK = 1.5
"""Effective rank below which an embedding has collapsed whatever it was shown."""
SKILL_DROP = 0.3
GRADIENT_RISE = 10.0


@dataclass(frozen=True)
class Verdict:
    """What the gauges say.

    Attributes:
        action: ``keep`` this state as healthy, do ``nothing``, or ``roll_back`` to the last one kept.
        reason: one sentence for people.
        gauges: every reading.
    """

    action: Literal["keep", "nothing", "roll_back"]
    reason: str
    gauges: dict[str, float] = field(default_factory=dict)


class HealthMonitor:
    """Judges an encoder from the stream alone."""

    def __init__(
        self,
        encoder: StreamEncoder,
        objectives: dict[str, Objective],
        shape: WindowShape,
        config: HealthConfig,
        seed: int,
    ) -> None:
        """Watch ``encoder``; skill is measured when a forward prediction objective is among ``objectives``."""
        self.encoder, self.shape, self.config = encoder, shape, config
        self.rng = np.random.default_rng(seed)
        forward = next((o for o in objectives.values() if isinstance(o, ForwardPrediction)), None)
        measurable = forward is not None and 0 < sum(encoder.sensor_dims) * encoder.context_ticks <= MAX_REFERENCE_DIM
        self.skill = SkillGauge(encoder, forward) if forward is not None and measurable else None
        self._best_skill = -np.inf
        self._usual_gradient = 0.0
        self._seen = -1

    def predict(self, buffer: StreamBuffer) -> None:
        """Score predictions of the newest tick; call it when ticks have come in and before the next update.

        In turn, no update has seen that tick. In threads a tick that comes in between this call and the update's
        draw can be learned from before it is scored, which a handful of windows in a batch can notice.
        """
        newest = buffer.newest(np.arange(buffer.num_lanes))
        start, _ = buffer.table.bounds(np.arange(buffer.num_lanes), np.maximum(newest, 0))
        lanes = np.flatnonzero(newest - start >= self.shape.horizon)
        if self.skill is None or not len(lanes) or int(newest.sum()) == self._seen:
            return
        self._seen = int(newest.sum())
        windows = self._gather(buffer, lanes, newest[lanes])
        self.skill.predict(windows.limit_frames(MAX_FRAMES))

    @torch.no_grad()
    def judge(self, buffer: StreamBuffer, metrics: dict[str, float]) -> Verdict:
        """Read all gauges and return the verdict.

        Args:
            buffer: where to draw clean windows from.
            metrics: means of the updates since the last verdict, see `OnlineLearner.read_metrics`.
        """
        num_windows = -(-RANK_ROWS_PER_DIM * self.encoder.features_dim // self.shape.num_positions)
        windows = self._gather(buffer, *buffer.draw(self.shape, num_windows, self.rng))
        if self.skill is not None:
            self.skill.learn(windows)
        embedding = self.encoder(windows)
        embedding = embedding[windows.valid[:, self.shape.context - 1 :]]
        deviation = spread(embedding)
        gauges = {
            "effective_rank": float(effective_rank(embedding)),
            **self._input_rank(windows),
            "spread_min": float(deviation.min()),
            "spread_median": float(deviation.median()),
            "grad_norm": metrics.get("grad_norm", 0.0),
            "bad_updates": metrics.get("bad", 0.0),
            **self.read_skill(),
        }
        return self._verdict(gauges, metrics.get("bad_run", 0.0))

    def _input_rank(self, windows: Windows) -> dict[str, float]:
        """Return the effective rank of the readings at the same ticks; nothing for a stream of pictures only."""
        readings, mask = self.encoder.readings(windows)
        if not readings.shape[2]:
            return {}
        seen = (readings * mask)[:, self.shape.context - 1 :][windows.valid[:, self.shape.context - 1 :]]
        return {"input_rank": float(effective_rank(seen))}

    def read_skill(self) -> dict[str, float]:
        """Return the forward skill on the stream by horizon; empty without a forward prediction objective."""
        return self.skill.read() if self.skill is not None else {}

    def _verdict(self, gauges: dict[str, float], bad_run: float) -> Verdict:
        floor = self.config.min_rank_fraction * self.encoder.features_dim
        # A robot that hardly moves has little to show: that is no illness of the representation.
        floor = min(floor, max(LEAST_RANK, gauges.get("input_rank", np.inf) / 2))
        if bad_run >= self.config.max_bad_updates:
            return Verdict("roll_back", f"{bad_run:.0f} updates in a row were not finite", gauges)
        if not gauges["effective_rank"] >= floor:  # also true for NaN
            return Verdict("roll_back", f"effective rank {gauges['effective_rank']:.1f} is below {floor:.1f}", gauges)
        if gauges["spread_median"] < MIN_SPREAD:
            return Verdict("roll_back", f"median spread {gauges['spread_median']:.4f} is below {MIN_SPREAD}", gauges)
        doubt = self._doubt(gauges)
        if doubt:
            return Verdict("nothing", doubt, gauges)
        return Verdict("keep", "healthy", gauges)

    def _doubt(self, gauges: dict[str, float]) -> str:
        """Return why this state should not be kept, or an empty string; remembers the usual values."""
        skills = [value for name, value in gauges.items() if name.startswith("skill_")]
        skill = float(np.mean(skills)) if skills else 0.0
        usual = self._usual_gradient
        self._usual_gradient = gauges["grad_norm"] if usual == 0 else 0.9 * usual + 0.1 * gauges["grad_norm"]
        if skill < self._best_skill - SKILL_DROP:
            # A changed world is no illness: the bar comes down slowly, and nothing is rolled back.
            self._best_skill -= 0.05
            return f"forward skill {skill:.2f} fell from {self._best_skill + 0.05:.2f}"
        self._best_skill = max(self._best_skill, skill) if skills else 0.0
        if usual > 0 and gauges["grad_norm"] > GRADIENT_RISE * usual:
            return f"gradient norm {gauges['grad_norm']:.2g} is over {GRADIENT_RISE:.0f} times its usual {usual:.2g}"
        return ""

    def _gather(self, buffer: StreamBuffer, lanes: np.ndarray, ends: np.ndarray) -> Windows:
        device = buffer.device
        return buffer.gather(torch.from_numpy(lanes).to(device), torch.from_numpy(ends).to(device), self.shape.length)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and JSON of an exact resume."""
        facts = {
            "rng": self.rng.bit_generator.state,
            "best_skill": self._best_skill if np.isfinite(self._best_skill) else None,
            "usual_gradient": self._usual_gradient,
            "seen": self._seen,
        }
        return (self.skill.state() if self.skill is not None else {}), facts

    def load_state(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore `state`."""
        if self.skill is not None:
            self.skill.load_state(tensors)
        self.rng.bit_generator.state = facts["rng"]
        self._best_skill = -np.inf if facts["best_skill"] is None else facts["best_skill"]
        self._usual_gradient, self._seen = facts["usual_gradient"], facts["seen"]
