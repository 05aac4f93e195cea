"""The vector environment: many lanes of one robot, stepped by one batched simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from embodied_envs.camera_stream import CameraStream
from embodied_envs.lane_random import LaneRandom
from embodied_envs.last_readings import LastReadings, Sections
from embodied_envs.readers import Reading
from embodied_envs.rendering import resolve_backend
from embodied_envs.robots import load_robot
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.sensor_suite import SensorSuite
from embodied_envs.sensors import Camera, observation_space, sensor_metadata
from embodied_envs.simulation import Simulation

__all__ = ["BatchVectorEnv"]

Arrays = dict[str, np.ndarray]


class BatchVectorEnv(VectorEnv):
    """N lanes of a robot with Dict observations, `AutoresetMode.NEXT_STEP`, and per-lane seeds and dynamics.

    An episode's last observation is returned as an ordinary step with `truncated` set; the next `step` resets that
    lane, ignoring its action, with reward 0. Episodes never terminate. A lane whose physics breaks is truncated alone:
    it repeats its previous readings with `.valid` 0 and reward 0, and `info["engine_fault"]` is set.

    Info of `reset` and `step`: `engine_fault` bool [lane]; unless `privileged=False` also `privileged` (simulator state
    for probes, see `metadata["privileged"]`) and `clean` (noise-free readings under the observation's keys).
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(
        self,
        robot: str | RobotSpec = "Runner",
        num_envs: int = 1,
        *,
        episode_ticks: int = 300,
        cameras: bool = True,
        camera_backend: str = "auto",
        privileged: bool = True,
        num_threads: int = 0,
        render_mode: str | None = None,
    ) -> None:
        """Build the simulation; nothing is random before `reset`.

        Args:
            robot: a name from `embodied_envs.robots`, or a RobotSpec.
            num_envs: number of lanes.
            episode_ticks: control periods until a lane is truncated.
            cameras: whether camera sensors exist at all; everything else is the same without them.
            camera_backend: auto (egl, then osmesa, then ray), egl, osmesa or ray. Pixels depend on it.
            privileged: whether info holds `privileged` and `clean`; changes nothing else.
            num_threads: worker threads, 0 = one per CPU. Results do not depend on it.
            render_mode: None or "rgb_array", for `render`.

        Raises:
            ValueError: a value outside the ranges above, or a back end that does not work here.
        """
        _check_counts(num_envs=num_envs, episode_ticks=episode_ticks)
        _check_render_mode(render_mode)
        self.robot = load_robot(robot) if isinstance(robot, str) else robot
        self.num_envs, self.render_mode = num_envs, render_mode
        self._episode_ticks, self._privileged = episode_ticks, privileged
        self._simulation = Simulation(self.robot, num_envs, num_threads)
        self._suite = SensorSuite(self.robot.sensors, self._simulation.batch)
        self._random = LaneRandom(num_envs)
        self._observed_streams, self._render_streams = self._make_cameras(cameras)
        self.camera_backend = self._open_cameras(camera_backend)
        self._ticks = np.zeros(num_envs, np.int64)
        self._pending_reset = np.zeros(num_envs, bool)
        self._last = LastReadings()
        self._describe(cameras)

    def _make_cameras(self, observed: bool) -> tuple[list[CameraStream], list[CameraStream]]:
        """Return the streams that are observed and those that `render` draws."""
        model, rate = self._simulation.model, self.robot.control_hz
        streams = [
            CameraStream(sensor, sensor.source, model, self.num_envs, rate)
            for sensor in self.robot.sensors
            if isinstance(sensor.source, Camera)
        ]
        return (streams if observed else []), (streams[:1] if self.render_mode else [])

    def _open_cameras(self, requested: str) -> str | None:
        """Open every camera in use; return the back end's name, None if no camera is in use."""
        streams = {id(stream): stream for stream in self._observed_streams + self._render_streams}
        if not streams:
            return None
        backend = resolve_backend(requested)
        for stream in streams.values():
            stream.open(backend)
        return backend

    def _describe(self, cameras: bool) -> None:
        robot = self.robot
        sensors = tuple(s for s in robot.sensors if cameras or not isinstance(s.source, Camera))
        self.metadata = type(self).metadata | {
            "render_fps": round(robot.control_hz),
            "control_hz": robot.control_hz,
            "sensors": {sensor.key: sensor_metadata(sensor) for sensor in sensors},
            "privileged": {entry.key: {"unit": entry.unit, "group": entry.group} for entry in robot.privileged},
            "camera_backend": self.camera_backend,
        }
        self.single_observation_space = observation_space(sensors, robot.control_hz)
        self.single_action_space = spaces.Box(-1.0, 1.0, (self._simulation.model.nu,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Arrays, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: one integer (lane i gets its i-th child), one per lane, or None to go on with the present generators.
            options: `{"reset_mask": bool [lane]}` resets some lanes only; the others return their last observation.
        """
        lanes = _reset_mask(options, self.num_envs) | self._never_reset()
        if seed is not None:
            self._random.seed(seed, lanes)
            super().reset(seed=seed if isinstance(seed, int) else None)
        self._start_episodes(lanes)
        return self._observe(updated=lanes, faulty=np.zeros(self.num_envs, bool))

    def _never_reset(self) -> np.ndarray:
        """Return the lanes [lane] that hold no episode yet: all before the first reset, none after."""
        return np.full(self.num_envs, self._last.is_empty)

    def step(self, actions: np.ndarray) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every lane by one control period, or reset it if its episode ended in the previous step.

        Args:
            actions: [lane, nu], clipped to [-1, 1]; a non-finite action is an engine fault of its lane.

        Returns:
            observations, rewards float64 [lane], terminations bool [lane], truncations bool [lane], info.

        Raises:
            ResetNeeded: `reset` was never called.
            ValueError: actions of another shape.
        """
        action = self._checked_action(actions)
        resetting, stepping = self._pending_reset, ~self._pending_reset
        before = self._simulation.qpos.copy()
        self._start_episodes(resetting)
        faulty = self._simulation.step(stepping, action) if stepping.any() else np.zeros(self.num_envs, bool)
        self._ticks += stepping
        rewards = self._rewards(before, action, earning=stepping & ~faulty)
        truncations = faulty | (self._ticks >= self._episode_ticks)
        observation, info = self._observe(updated=np.ones(self.num_envs, bool), faulty=faulty)
        self._pending_reset = truncations.copy()
        return observation, rewards, np.zeros(self.num_envs, bool), truncations, info

    def _checked_action(self, actions: np.ndarray) -> np.ndarray:
        if self._last.is_empty:
            raise ResetNeeded("got step() before reset(); fix: call reset() first")
        action = np.asarray(actions, np.float64)
        if action.shape != self.action_space.shape:
            raise ValueError(f"got actions of shape {action.shape}, expected {self.action_space.shape}")
        return np.clip(action, -1.0, 1.0)

    def _start_episodes(self, lanes: np.ndarray) -> None:
        if lanes.any():
            self._simulation.reset(lanes, self._random.resets)
        self._ticks[lanes] = 0
        self._pending_reset = self._pending_reset & ~lanes

    def _rewards(self, before: np.ndarray, action: np.ndarray, earning: np.ndarray) -> np.ndarray:
        period_s = 1.0 / self.robot.control_hz
        return np.where(earning, self.robot.reward(before, self._simulation.qpos, action, period_s), 0.0)

    def _observe(self, updated: np.ndarray, faulty: np.ndarray) -> tuple[Arrays, dict[str, Any]]:
        """Return observation and info; lanes not updated, and faulty ones, repeat what they last returned."""
        readings = self._suite.read(is_first=self._ticks == 0)
        current: Sections = {"observation": self._suite.observe(readings, self._random, updated)}
        if self._privileged:
            current |= self._privileged_sections(readings)
        self._last.hold(current, held=~updated | faulty, faulty=faulty)
        observation = current.pop("observation") | self._camera_entries(updated & ~faulty)
        return observation, {"engine_fault": faulty.copy(), **current}

    def _privileged_sections(self, readings: dict[str, Reading]) -> Sections:
        clean = {key: reading.values for key, reading in readings.items()}
        batch = self._simulation.batch
        privileged = {entry.key: entry.read(batch, clean).astype(np.float32) for entry in self.robot.privileged}
        return {"privileged": privileged, "clean": clean}

    def _camera_entries(self, lanes: np.ndarray) -> Arrays:
        entries: Arrays = {}
        for stream in self._observed_streams:
            stream.capture(self._simulation.batch, lanes, self._ticks)
            entries |= stream.observe(self._ticks)
        return entries

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one frame uint8 [height, width, 3] per lane, drawn now; None without render_mode."""
        if not self._render_streams:
            return None
        return tuple(self._render_streams[0].draw(self._simulation.batch, np.arange(self.num_envs)))

    def get_state(self) -> dict[str, Any]:
        """Return everything the future depends on: NumPy arrays, and JSON-able entries for the rest.

        `set_state` on an environment built with the same arguments, then the same actions, gives the same bits.
        """
        state: dict[str, Any] = {"identity": self._identity(), "random": self._random.get_state()}
        state |= self._simulation.get_state()
        state |= {"ticks": self._ticks.copy(), "pending_reset": self._pending_reset.copy()}
        state |= self._last.get_state()
        for stream in self._observed_streams:
            state |= stream.get_state()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned.

        Raises:
            ValueError: the state comes from an environment that was built differently.
        """
        if state["identity"] != self._identity():
            raise ValueError(f"got a state of {state['identity']}, expected one of {self._identity()}")
        self._random.set_state(state["random"])
        self._simulation.set_state(state)
        self._ticks[...] = state["ticks"]
        self._pending_reset = np.array(state["pending_reset"], bool)
        self._last.set_state(state)
        for stream in self._observed_streams:
            stream.set_state(state)

    def _identity(self) -> dict[str, Any]:
        return {
            "robot": self.robot.name,
            "num_envs": self.num_envs,
            "episode_ticks": self._episode_ticks,
            "privileged": self._privileged,
            "cameras": bool(self._observed_streams),
            "camera_backend": self.camera_backend,
        }

    def close_extras(self, **kwargs: Any) -> None:
        """Free graphics resources."""
        for stream in self._observed_streams + self._render_streams:
            stream.close()


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"got {name}={count}, expected at least 1")


def _check_render_mode(render_mode: str | None) -> None:
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"got render_mode={render_mode!r}, expected None or 'rgb_array'")


def _reset_mask(options: dict[str, Any] | None, num_lanes: int) -> np.ndarray:
    mask = np.asarray((options or {}).get("reset_mask", np.ones(num_lanes, bool)))
    if mask.shape != (num_lanes,) or mask.dtype != bool:
        raise ValueError(f"got a reset_mask of shape {mask.shape} and type {mask.dtype}, expected ({num_lanes},) bool")
    return mask
