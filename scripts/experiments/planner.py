"""A planner that sees the simulator's state: shows that a task's reward can be climbed, says nothing about learning.

Model predictive path integral control (Williams et al. 2017, arXiv:1509.01149, algorithm 2, without its control cost):
noisy copies of the current plan are played in copies of the simulation, and averaged with weights that grow
exponentially with their return. Deviations: the noise is correlated in time, and the temperature is a fixed share of
the returns' standard deviation.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["Planner", "Settings"]


@dataclass(frozen=True)
class Settings:
    """How far and how widely the planner looks."""

    horizon: int = 16
    samples: int = 64
    noise_std: float = 0.6
    correlation: float = 0.7
    temperature: float = 0.3


class Planner:
    """Acts in lane 0 of one environment by trying actions in copies of it."""

    def __init__(self, envs: BatchVectorEnv, settings: Settings, seed: int) -> None:
        """Build the copies: same robot, no cameras, no sensors read."""
        self._real, self._settings = envs, settings
        self._copies = BatchVectorEnv(_without_cameras(envs.robot), settings.samples, privileged=False)
        self._copies.reset(seed=seed)
        self._fields = [name for name in envs.robot.lane_fields]
        self._generator = np.random.default_rng(seed)
        self._plan = np.zeros((settings.horizon, *(envs.single_action_space.shape or ())))

    def act(self) -> np.ndarray:
        """Return the next action [1, num_actions]."""
        sequences = np.clip(self._plan + self._noise(), -1.0, 1.0)
        sequences[0] = self._plan  # the present plan competes too
        returns = self._play(sequences)
        scale = self._settings.temperature * max(float(returns.std()), 1e-9)
        weights = np.exp((returns - returns.max()) / scale)
        plan = np.tensordot(weights / weights.sum(), sequences, axes=1)
        self._plan = np.concatenate([plan[1:], plan[-1:]])
        return plan[:1]

    def _noise(self) -> np.ndarray:
        """Return stationary AR(1) noise [sample, tick, action]."""
        settings = self._settings
        draws = self._generator.standard_normal((settings.samples, *self._plan.shape))
        rho = settings.correlation
        for tick in range(1, settings.horizon):
            draws[:, tick] = rho * draws[:, tick - 1] + np.sqrt(1.0 - rho**2) * draws[:, tick]
        return settings.noise_std * draws

    def _play(self, sequences: np.ndarray) -> np.ndarray:
        """Return what each sequence [sample, tick, action] earns from the real lane's present state."""
        self._copy_state()
        world = self._copies._world
        alive, returns = np.ones(len(sequences), bool), np.zeros(len(sequences))
        for actions in sequences.transpose(1, 0, 2):
            rewards, faulty = world.advance(alive, actions)
            returns += rewards
            alive &= ~(faulty | world.failed())
        return returns

    def _copy_state(self) -> None:
        source, target = self._real.batch, self._copies.batch
        for name in self._fields:
            target.expand(name)[...] = source.expand(name)[:1]
        target.set_const()
        target.state[...] = source.state[:1]
        target.forward()

    def close(self) -> None:
        """Free the copies."""
        self._copies.close()


def _without_cameras(robot: RobotSpec) -> RobotSpec:
    from embodied_envs.robot_options import is_camera

    return dataclasses.replace(robot, sensors=tuple(sensor for sensor in robot.sensors if not is_camera(sensor)))
