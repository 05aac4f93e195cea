"""The vector environment: many lanes of one robot, stepped by one batched simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from mujoco.batch import Batch

from embodied_envs import robot_options
from embodied_envs.camera_rig import CameraRig
from embodied_envs.distractors import make_distractors
from embodied_envs.nearest import nearest
from embodied_envs.rendering import resolve_backend
from embodied_envs.robots import load_robot
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.sensors import Sensor, observation_space, sensor_metadata
from embodied_envs.substeps import Substeps
from embodied_envs.world import World

__all__ = ["BatchVectorEnv"]

Arrays = dict[str, np.ndarray]


class BatchVectorEnv(VectorEnv):
    """N lanes of a robot with Dict observations, `AutoresetMode.NEXT_STEP`, and per-lane seeds and dynamics.

    An episode's last observation is returned as an ordinary step with `terminated` or `truncated` set; the next `step`
    resets that lane, ignoring its action, with reward 0. A lane whose physics breaks is truncated alone: it repeats its
    previous readings, where they have one with `.valid` 0, and reward 0; `info["engine_fault"]` is set, and cameras
    keep their last frame.

    Info of `reset` and `step`: `engine_fault` bool [lane]; unless `privileged=False` also `privileged` (simulator state
    for probes, see `metadata["privileged"]`) and `clean` (noise-free readings under the observation's keys).
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(
        self,
        robot: str | RobotSpec = "Runner",
        num_envs: int = 1,
        *,
        episode_ticks: int | None = None,
        sensors: Sequence[str] | None = None,
        cameras: bool = True,
        camera_kinds: Sequence[str] = ("rgb",),
        camera_px: int | None = None,
        camera_backend: str = "auto",
        camera_preset: str = "fast",
        action_repeat: int = 1,
        distractors: Sequence[str] | Mapping[str, Mapping[str, Any]] = (),
        difficulty: str = "easy",
        privileged: bool = True,
        num_threads: int = 0,
        render_mode: str | None = None,
    ) -> None:
        """Build the simulation; nothing is random before `reset`.

        Args:
            robot: a name from `embodied_envs.robots`, or a RobotSpec.
            num_envs: number of lanes.
            episode_ticks: actions until a lane is truncated; None: the robot's own.
            sensors: keys of the sensors to observe; None: all.
            cameras: whether camera sensors exist at all; everything else is the same without them.
            camera_kinds: of rgb, depth, segmentation; every camera gives each of them.
            camera_px: height and width of all cameras; None: their own.
            camera_backend: auto (egl, then osmesa, then ray), egl, osmesa or ray. Pixels depend on it.
            camera_preset: fast or quality; the ray back end has only one.
            action_repeat: control periods per action, for robots whose sensors all sample at the control rate.
            distractors: names, or name -> options; see `embodied_envs.distractors`.
            difficulty: easy, medium or hard: how strong distractors are.
            privileged: whether info holds `privileged` and `clean`; changes nothing else.
            num_threads: worker threads, 0 = one per CPU. Results do not depend on it.
            render_mode: None or "rgb_array", for `render`.

        Raises:
            ValueError: a value outside the ranges above, or a back end that does not work here.
        """
        robot_options.check_counts(num_envs=num_envs, episode_ticks=episode_ticks, num_threads=num_threads or None)
        robot_options.check_render_mode(render_mode)
        known = robot_options.with_action_repeat(load_robot(robot) if isinstance(robot, str) else robot, action_repeat)
        self.robot = robot_options.with_cameras(known, cameras, camera_kinds, camera_px)
        observed = robot_options.observed_sensors(self.robot, sensors)
        self.num_envs, self.render_mode = num_envs, render_mode
        self._episode_ticks, self._privileged = episode_ticks or self.robot.episode_ticks, privileged
        disturbing = make_distractors(distractors, difficulty)
        self._world = World(self.robot, observed, num_envs, num_threads, disturbing, privileged)
        self._simulation = self._world.simulation
        self._render_rig = self._make_render_rig(robot_options.first_camera(known))
        self.camera_backend = self._open_cameras(camera_backend, camera_preset)
        self._camera_preset = camera_preset
        self._ticks = np.zeros(num_envs, np.int64)
        self._pending_reset = np.zeros(num_envs, bool)
        self._describe()

    @property
    def batch(self) -> Batch:
        """The simulation of all lanes: for scripted policies and studies that may see everything."""
        return self._simulation.batch

    def _make_render_rig(self, camera: Sensor | None) -> CameraRig | None:
        if self.render_mode is None or camera is None:
            return None
        return CameraRig((camera,), self._simulation.model, self.num_envs, self.robot.control_hz)

    def _rigs(self) -> list[CameraRig]:
        return [rig for rig in (self._world.rig, self._render_rig) if rig is not None and rig.has_cameras]

    def _open_cameras(self, requested: str, preset: str) -> str | None:
        """Open every camera in use; return the back end's name, None if no camera is in use."""
        if not self._rigs():
            return None
        backend = resolve_backend(requested, preset)
        for rig in self._rigs():
            rig.open(backend, preset, self._world.distractors.members)
        return backend

    def _describe(self) -> None:
        robot, sensors = self.robot, self._world.sensors
        self.metadata = type(self).metadata | {
            "render_fps": round(robot.control_hz),
            "control_hz": robot.control_hz,
            "summary": robot.summary,
            "episode_ticks": self._episode_ticks,
            "sensors": {sensor.key: sensor_metadata(sensor) for sensor in sensors},
            "privileged": {entry.key: {"unit": entry.unit, "group": entry.group} for entry in self._world.privileged},
            "camera_backend": self.camera_backend,
        }
        self.single_observation_space = observation_space(sensors, robot.control_hz)
        num_actions = self._simulation.model.nu if robot.num_actions is None else robot.num_actions
        self.single_action_space = spaces.Box(-1.0, 1.0, (num_actions,), np.float32)
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
            self._world.random.seed(seed, lanes)
            super().reset(seed=seed if isinstance(seed, int) else None)
        self._start_episodes(lanes)
        return self._world.observe(self._ticks, updated=lanes, faulty=np.zeros(self.num_envs, bool))

    def _never_reset(self) -> np.ndarray:
        """Return the lanes [lane] that hold no episode yet: all before the first reset, none after."""
        return np.full(self.num_envs, self._world.is_new)

    def step(self, actions: np.ndarray) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every lane by one action, or reset it if its episode ended in the previous step.

        Args:
            actions: [lane, num_actions], clipped to [-1, 1]; a non-finite action is an engine fault of its lane.

        Returns:
            observations, rewards float64 [lane], terminations bool [lane], truncations bool [lane], info.

        Raises:
            ResetNeeded: `reset` was never called.
            ValueError: actions of another shape.
        """
        action = self._checked_action(actions)
        stepping = ~self._pending_reset
        self._start_episodes(self._pending_reset)
        rewards, faulty = self._world.advance(stepping, action)
        self._ticks += stepping
        terminations = self._world.failed() & stepping & ~faulty
        truncations = (faulty | (self._ticks >= self._episode_ticks)) & ~terminations
        observation, info = self._world.observe(self._ticks, np.ones(self.num_envs, bool), faulty)
        self._pending_reset = terminations | truncations
        return observation, rewards, terminations, truncations, info

    def _checked_action(self, actions: np.ndarray) -> np.ndarray:
        if self._world.is_new:
            raise ResetNeeded("got step() before reset(); fix: call reset() first")
        action = np.asarray(actions, np.float64)
        if action.shape != self.action_space.shape:
            raise ValueError(f"got actions of shape {action.shape}, expected {self.action_space.shape}")
        return np.clip(action, -1.0, 1.0)

    def _start_episodes(self, lanes: np.ndarray) -> None:
        self._world.start(lanes)
        self._ticks[lanes] = 0
        self._pending_reset = self._pending_reset & ~lanes

    def collect(self, actions: np.ndarray, names: Sequence[str] | None = None) -> Substeps:
        """Play several control periods open-loop and return every substep, noise-free.

        The physics is that of as many calls of `step`; observations, rewards and resets are left out, so the periods
        must lie inside one episode. Call `reset` or `step` before and after as usual.

        Args:
            actions: [lane, T, num_actions] in [-1, 1], with T at least 1.
            names: of `time`, `qpos`, `qvel`, `ctrl` and the engine's sensors; None: all.

        Raises:
            ResetNeeded: a lane holds no running episode.
            ValueError: actions of another shape, or more of them than the episode has left.
        """
        action = np.asarray(actions, np.float64)
        self._check_collectable(action)
        record, ended = self._world.collect(np.clip(action, -1.0, 1.0), self._ticks, names)
        self._ticks += action.shape[1]
        self._pending_reset = ended | (self._ticks >= self._episode_ticks)
        return record

    def _check_collectable(self, action: np.ndarray) -> None:
        if self._world.is_new or self._pending_reset.any():
            raise ResetNeeded("got collect() on lanes without a running episode; fix: call reset() first")
        lanes, num_actions = self.action_space.shape or (0, 0)
        if action.ndim != 3 or action.shape[::2] != (lanes, num_actions) or not action.shape[1]:
            raise ValueError(f"got actions of shape {action.shape}, expected ({lanes}, T, {num_actions})")
        left = self._episode_ticks - int(self._ticks.max())
        if action.shape[1] > left:
            raise ValueError(f"got {action.shape[1]} actions, expected at most the {left} that the episode has left")

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one frame uint8 [height, width, 3] per lane, drawn now; None without render_mode."""
        if self._render_rig is None:
            return None
        return tuple(self._render_rig.draw(self._simulation.batch, np.arange(self.num_envs)))

    def get_state(self) -> dict[str, Any]:
        """Return everything the future depends on: NumPy arrays, and JSON-able entries for the rest.

        `set_state` on an environment built with the same arguments, then the same actions, gives the same bits.
        """
        own = {"identity": self._identity(), "ticks": self._ticks.copy(), "pending_reset": self._pending_reset.copy()}
        return own | self._world.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned.

        Raises:
            ValueError: the state comes from an environment that was built differently.
        """
        if state["identity"] != self._identity():
            raise ValueError(_difference(state["identity"], self._identity()))
        self._world.set_state(state)
        self._ticks[...] = state["ticks"]
        self._pending_reset = np.array(state["pending_reset"], bool)

    def _identity(self) -> dict[str, Any]:
        return {
            "robot": self.robot.name,
            "num_envs": self.num_envs,
            "episode_ticks": self._episode_ticks,
            "action_repeat": self.robot.action_repeat,
            "sensors": {key: list(space.shape or ()) for key, space in self._spaces().items()},
            "distractors": self._world.distractors.options,
            "privileged": self._privileged,
            "camera_backend": self.camera_backend,
            "camera_preset": self._camera_preset,
        }

    def _spaces(self) -> Mapping[str, spaces.Space]:
        assert isinstance(self.single_observation_space, spaces.Dict)
        return self.single_observation_space.spaces

    def close_extras(self, **kwargs: Any) -> None:
        """Free graphics resources."""
        for rig in self._rigs():
            rig.close()


def _reset_mask(options: dict[str, Any] | None, num_lanes: int) -> np.ndarray:
    for name in options or {}:
        if name != "reset_mask":
            raise ValueError(f"got reset option {name!r}; {nearest(name, ['reset_mask'])}")
    mask = np.asarray((options or {}).get("reset_mask", np.ones(num_lanes, bool)))
    if mask.shape != (num_lanes,) or mask.dtype != bool:
        raise ValueError(f"got a reset_mask of shape {mask.shape} and type {mask.dtype}, expected ({num_lanes},) bool")
    return mask


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """Return the line that says how the environment of a state differs from this one."""
    names = [name for name in ours if theirs.get(name) != ours[name]]
    return "; ".join(f"got a state with {name} {theirs.get(name)}, expected one of {ours[name]}" for name in names)
