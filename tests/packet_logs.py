"""Small logs of packets for tests: a pendulum of two sensors, with its true state beside it, in several episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embodied_ssl.logs import LogStream, StreamLog
from embodied_ssl.spec import SensorSpec

IMU_HZ, JOINT_HZ, STATE_HZ = 47.0, 20.0, 31.0
STREAMS = [
    LogStream(SensorSpec("imu", "imu", (2,), "float64", IMU_HZ)),
    LogStream(SensorSpec("joint", "joint", (1,), "float32", JOINT_HZ)),
    LogStream(SensorSpec("push", "action", (1,), "float32", JOINT_HZ), "action"),
    LogStream(SensorSpec("angle", "state", (2,), "float64", STATE_HZ), "privileged"),
    LogStream(SensorSpec("task", "text", (8,), "uint8", 1.0), "text"),
]


def record_packets(
    path: Path, num_episodes: int = 6, seconds: float = 4.0, seed: int = 0, state_scale: float = 1.0
) -> None:
    """Record episodes a few seconds apart; ``state_scale`` changes the privileged stream alone."""
    rng = np.random.default_rng(seed)
    with StreamLog.create(path, STREAMS, {"fps": 20.0}, fsync=False) as writer:
        for number in range(num_episodes):
            begin = 1_700_000_000_000_000_000 + number * round((seconds + 3) * 1e9)
            phase, speed = rng.uniform(0, 6), rng.uniform(2, 6)

            def times(rate: float, begin: int = begin) -> np.ndarray:
                return begin + (np.arange(int(seconds * rate)) * 1e9 / rate).astype(np.int64)

            def angle(at: np.ndarray, begin: int = begin, phase: float = phase, speed: float = speed) -> np.ndarray:
                return phase + speed * (at - begin) / 1e9

            writer.begin_episode(begin)
            imu, joint, state = times(IMU_HZ), times(JOINT_HZ), times(STATE_HZ)
            noise = rng.normal(0, 0.05, (len(imu), 2))
            writer.append("imu", np.stack([np.sin(angle(imu)), np.cos(angle(imu))], 1) + noise, imu)
            writer.append("joint", np.sin(angle(joint)).astype(np.float32)[:, None], joint)
            writer.append("push", rng.uniform(-3, 5, (len(joint), 1)).astype(np.float32), joint)
            true = np.stack([np.sin(angle(state)), np.full(len(state), speed)], 1)
            writer.append("angle", state_scale * true, state)
            writer.append("task", np.zeros((1, 8), np.uint8), joint[:1])
            writer.end_episode(int(max(imu[-1], joint[-1], state[-1])), kind="truncated")
