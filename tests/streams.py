"""Small made-up streams for tests: a spec with fast, slow and camera sensors, and random ticks of it."""

from __future__ import annotations

import numpy as np

from embodied_ssl.spec import SensorSpec, StreamSpec, Tick

SPEC = StreamSpec(
    sensors=(
        SensorSpec("joint", "joint", (2,), rate_hz=20.0, unit="rad"),
        SensorSpec("imu", "imu", (3,), rate_hz=50.0, unit="m/s^2"),  # 2.5 rows a tick: no whole ratio
        SensorSpec("slow", "touch", (1,), rate_hz=6.0, unit="N"),
        SensorSpec("camera", "camera", (16, 16, 3), dtype="uint8", rate_hz=5.0),
    ),
    action_size=2,
    control_hz=20.0,
)


class TickSource:
    """Random ticks of `SPEC` for asynchronous lanes, rows on schedule with random phase and one in ten dropped."""

    def __init__(self, num_lanes: int, seed: int, spec: StreamSpec = SPEC, end_chance: float = 0.03) -> None:
        self.spec, self.num_lanes, self.end_chance = spec, num_lanes, end_chance
        self.rng = np.random.default_rng(seed)
        self.ended = np.ones(num_lanes, bool)
        self.clock = np.zeros(num_lanes, int)
        self.phase = {s.name: self.rng.random(num_lanes) for s in spec.sensors}

    def tick(self, lanes: np.ndarray | None = None) -> Tick:
        lanes = np.arange(self.num_lanes) if lanes is None else lanes
        rng, num = self.rng, len(lanes)
        is_first = self.ended[lanes].copy()
        rows, fresh, age_s = {}, {}, {}
        for s in self.spec.sensors:
            room = self.spec.tick_room(s)
            ratio, phase = s.rate_hz / self.spec.control_hz, self.phase[s.name][lanes]
            now = self.clock[lanes]
            due = np.floor((now + 1) * ratio + phase) - np.floor(now * ratio + phase)
            fresh[s.name] = (np.arange(room) < due[:, None]) & (rng.random((num, room)) < 0.9)
            rows[s.name] = rng.integers(0, 255, (num, room, *s.shape)).astype(s.dtype)
            age_s[s.name] = rng.random((num, room)).astype(np.float32) * 0.05
        ended = rng.random(num) < self.end_chance
        self.ended[lanes] = ended
        self.clock[lanes] += 1
        return Tick(
            lanes=lanes,
            rows=rows,
            fresh=fresh,
            age_s=age_s,
            action=rng.uniform(-1, 1, (num, self.spec.action_size)).astype(np.float32),
            reward=rng.standard_normal(num).astype(np.float32),
            is_first=is_first,
            terminated=ended & (rng.random(num) < 0.5),
            truncated=ended,
        )
