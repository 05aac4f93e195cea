"""One control period of all lanes: distractions, physics, reward, sensors, cameras. It knows no episodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied_envs.camera_rig import CameraRig
from embodied_envs.distractors.base import Distractor
from embodied_envs.distractors.composite import Composite
from embodied_envs.lane_random import LaneRandom
from embodied_envs.last_readings import LastReadings, Sections
from embodied_envs.robots.robot_spec import RobotSpec, Step
from embodied_envs.sensor_suite import SensorSuite
from embodied_envs.sensors import Camera, Sensor
from embodied_envs.simulation import Simulation
from embodied_envs.substeps import Substeps, record_fields, split_substeps

__all__ = ["World"]

Arrays = dict[str, np.ndarray]


class World:
    """N lanes of a robot and everything around it."""

    def __init__(
        self,
        robot: RobotSpec,
        observed: Sequence[Sensor],
        num_lanes: int,
        num_threads: int,
        distractors: Sequence[Distractor],
        privileged: bool,
    ) -> None:
        """Build physics, sensors and cameras.

        Args:
            robot: the robot with all its sensors; privileged quantities may need those that are not observed.
            observed: the sensors that observations hold.
            num_lanes: lanes side by side.
            num_threads: worker threads, 0 = one per CPU.
            distractors: what disturbs.
            privileged: whether `observe` gives privileged and clean readings.
        """
        self.robot, self._num_lanes, self._privileged = robot, num_lanes, privileged
        self.distractors = Composite(distractors)
        self.simulation = Simulation(robot, num_lanes, num_threads, self.distractors)
        batch = self.simulation.batch
        self._suite = SensorSuite(robot.sensors, batch, robot.control_hz)
        self.random = LaneRandom(num_lanes)
        self.distractors.meet(robot)
        self.distractors.attach(batch, tuple(observed), robot.control_hz)
        self.rig = CameraRig(observed, self.simulation.model, num_lanes, robot.control_hz)
        self._last = LastReadings()
        self._hidden = {sensor.key for sensor in robot.sensors} - {sensor.key for sensor in observed}
        self.sensors = tuple(observed) + self.distractors.sensors
        self.privileged = robot.privileged + self.distractors.nuisance
        self._bind_what_is_read()
        self._parts = (self.random, self.simulation, self._last, self._suite, self.rig, self.distractors)

    def _bind_what_is_read(self) -> None:
        """Read privileged quantities once: derived fields are copied out only in calls that follow their `bind`."""
        vectors = (sensor for sensor in self.robot.sensors if not isinstance(sensor.source, Camera))
        with np.errstate(all="ignore"):  # nothing was computed yet: values mean nothing
            self._read_privileged({s.key: np.zeros((self._num_lanes, *s.shape), np.float32) for s in vectors})

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever observed."""
        return self._last.is_empty

    def start(self, lanes: np.ndarray) -> None:
        """Start an episode in the masked lanes [lane]."""
        if lanes.any():
            self.simulation.reset(lanes, self.random.resets, then=self._reset_distractors)
            self._suite.start(lanes, self.random)

    def _reset_distractors(self, lanes: np.ndarray) -> None:
        self.distractors.reset(lanes, self.random.distractions)

    def advance(self, lanes: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Let the masked lanes [lane] act; return rewards [lane], 0 where none is earned, and which lanes broke."""
        rewards, faulty = np.zeros(self._num_lanes), np.zeros(self._num_lanes, bool)
        if not lanes.any():
            return rewards, faulty
        self.distractors.step(lanes, self.random.distractions)
        period_s = 1.0 / (self.robot.control_hz * self.robot.action_repeat)
        for _ in range(self.robot.action_repeat):
            before = self.simulation.qpos.copy()
            faulty |= self.simulation.step(lanes & ~faulty, action)
            earned = self.robot.reward(Step(self.simulation.batch, before, action, period_s))
            rewards += np.where(lanes & ~faulty, earned, 0.0)
        return np.where(faulty, 0.0, rewards), faulty

    def failed(self) -> np.ndarray:
        """Return the mask [lane] of robots that have failed at their task for good."""
        if self.robot.terminated is None:
            return np.zeros(self._num_lanes, bool)
        return self.robot.terminated(self.simulation.batch)

    def collect(
        self, actions: np.ndarray, ticks: np.ndarray, names: Sequence[str] | None
    ) -> tuple[Substeps, np.ndarray]:
        """Play `actions` [lane, T, num_actions] from the episode ticks [lane] on; cameras fire as in `observe`.

        Returns:
            Every substep, and the mask [lane] of lanes that broke or failed on the way.
        """
        everyone, ended = np.ones(self._num_lanes, bool), np.zeros(self._num_lanes, bool)
        records, invalid = [], []
        for number, action in enumerate(actions.transpose(1, 0, 2), start=1):
            self.distractors.step(everyone, self.random.distractions)
            for _ in range(self.robot.action_repeat):
                record, faulty = self.simulation.record(everyone, action, record_fields())
                ended |= faulty
                records.append(record)
                invalid.append(ended.copy())
            ended |= self.failed()
            self.rig.capture(self.simulation.batch, ~ended, ticks + number, self.random.cameras)
        return split_substeps(self.simulation.model, records, invalid, names), ended

    def observe(self, ticks: np.ndarray, updated: np.ndarray, faulty: np.ndarray) -> tuple[Arrays, dict[str, Any]]:
        """Return observation and info; lanes not updated, and faulty ones, repeat what they last returned.

        Args:
            ticks: actions since the episode's start [lane].
            updated: mask [lane] of lanes that observe anew.
            faulty: mask [lane] of lanes whose physics broke.
        """
        vectors, clean = self._suite.observe(ticks == 0, updated, self.random)
        if self._hidden:
            vectors = {key: values for key, values in vectors.items() if key.split(".")[0] not in self._hidden}
        self.distractors.alter(vectors, updated, self.random.distractions)
        current: Sections = {"observation": vectors}
        if self._privileged:
            current["privileged"] = self._read_privileged(clean)
            current["clean"] = {key: values for key, values in clean.items() if key not in self._hidden}
        self._last.hold(current, held=~updated | faulty, faulty=faulty)
        self.rig.capture(self.simulation.batch, updated & ~faulty, ticks, self.random.cameras)
        observation = current.pop("observation") | self.rig.observe(ticks)
        return observation, {"engine_fault": faulty.copy(), **current}

    def _read_privileged(self, clean: Arrays) -> Arrays:
        batch = self.simulation.batch
        return {entry.key: entry.read(batch, clean).astype(np.float32) for entry in self.privileged}

    def get_state(self) -> dict[str, Any]:
        """Return everything the future depends on."""
        state: dict[str, Any] = {}
        for part in self._parts:
            state |= part.get_state()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned; other entries of `state` are left alone."""
        for part in self._parts:
            part.set_state(state)
