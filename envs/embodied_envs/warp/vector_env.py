"""The vector environment on MuJoCo Warp: many lanes of one robot on one device, everything per lane a tensor there."""

# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
# (MuJoCo ships no type stubs; Gymnasium's signatures name NumPy arrays)
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from embodied_envs import robot_options
from embodied_envs.robots import load_robot
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.robots.robot_spec import identity_control as numpy_identity
from embodied_envs.sensors import Sensor, observation_space, sensor_metadata
from embodied_envs.warp import load_task
from embodied_envs.warp.camera_rig import WarpCameraRig
from embodied_envs.warp.engine import resolve_device
from embodied_envs.warp.last_readings import Sections, WarpLastReadings
from embodied_envs.warp.physics import WarpPhysics
from embodied_envs.warp.readers import can_read
from embodied_envs.warp.sensor_suite import Tensors, WarpSensorSuite
from embodied_envs.warp.task import WarpStep, WarpTask, identity_control

__all__ = ["WarpVectorEnv"]


class WarpVectorEnv(VectorEnv):
    """N lanes of a robot on a device: the contract of `BatchVectorEnv`, with tensors for arrays.

    Same spaces, metadata, `AutoresetMode.NEXT_STEP`, masked resets, faults and info sections. Observations, rewards
    (float32), terminations and truncations (bool) are torch tensors on the device. The host sees one byte per lane and
    tick: which episodes ended. What differs:

    - One generator draws for all lanes, on the device: a lane's numbers depend on the number of lanes, and a reset of
      some lanes draws for all. So there is one seed, not one per lane.
    - Tensors are handed out, not copied: what is held is shared between ticks, so do not write to them.
    - Frames come from Warp's batch renderer (`camera_backend` "warp").
    - No `get_state`, distractors, action repeat or `render`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        robot: str | RobotSpec = "Runner",
        num_envs: int = 1,
        *,
        task: WarpTask | None = None,
        device: str = "auto",
        episode_ticks: int | None = None,
        sensors: Sequence[str] | None = None,
        cameras: bool = True,
        camera_kinds: Sequence[str] = ("rgb",),
        camera_px: int | None = None,
        camera_backend: str = "auto",
        privileged: bool = True,
        deterministic: bool = False,
    ) -> None:
        """Build the simulation; nothing is random before `reset`. Kernels are compiled at first use, then cached.

        Args:
            robot: a name from `embodied_envs.warp.WARP_TASKS`, or a RobotSpec.
            num_envs: number of lanes.
            task: the robot's reset and reward in torch; None: the one registered under its name.
            device: auto (the first CUDA device, else the CPU), cpu, cuda or cuda:1.
            episode_ticks: actions until a lane is truncated; None: the robot's own.
            sensors: keys of the sensors to observe; None: all.
            cameras: whether camera sensors exist at all.
            camera_kinds: of rgb, depth, segmentation; every camera gives each of them.
            camera_px: height and width of all cameras; None: their own.
            camera_backend: auto or warp.
            privileged: whether info holds `privileged` and `clean`.
            deterministic: the same bits in every run on a GPU too; slower.

        Raises:
            ValueError: a value outside the ranges above, or a robot that Warp does not support.
        """
        robot_options.check_counts(num_envs=num_envs, episode_ticks=1 if episode_ticks is None else episode_ticks)
        if camera_backend not in ("auto", "warp"):
            raise ValueError(f"got camera_backend={camera_backend!r}, expected 'auto' or 'warp' on Warp")
        known = load_robot(robot) if isinstance(robot, str) else robot
        self._task = load_task(known.name) if task is None else task
        self.robot, self.num_envs = robot_options.with_cameras(known, cameras, camera_kinds, camera_px), num_envs
        self._observed = robot_options.observed_sensors(self.robot, sensors)
        self._episode_ticks, self._privileged = episode_ticks or self.robot.episode_ticks, privileged
        self._check_support()
        self.physics = WarpPhysics(self.robot, num_envs, resolve_device(device), deterministic)
        self.device = self.physics.bind("qpos").device
        self._suite = WarpSensorSuite(self._read_sensors(), self.physics, self.robot.control_hz)
        self._rig = WarpCameraRig(self._observed, self.physics, self.robot.control_hz)
        self.camera_backend = "warp" if self._rig.has_cameras else None
        self._generator = torch.Generator(self.device)
        self._ticks = np.zeros(num_envs, np.int64)
        self._ended = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        self._last = WarpLastReadings()
        self._describe()

    def _read_sensors(self) -> tuple[Sensor, ...]:
        """Return the observed sensors, and the others that can be read: privileged readers may want their values."""
        return tuple(s for s in self.robot.sensors if s in self._observed or can_read(s))

    def _check_support(self) -> None:
        """Refuse what only NumPy code of the robot could do: silently leaving it out would be another task."""
        unsupported = {
            "perturb": self.robot.perturb is not None,
            "control": self.robot.control is not numpy_identity and self._task.control is identity_control,
            "action_repeat": self.robot.action_repeat != 1,
            "terminated": self.robot.terminated is not None and self._task.terminated is None,
        }
        missing = [name for name, is_missing in unsupported.items() if is_missing]
        if missing:
            raise ValueError(f"{self.robot.name} uses {missing}, which its WarpTask does not have")

    def _describe(self) -> None:
        robot = self.robot
        self.metadata = type(self).metadata | {
            "render_fps": round(robot.control_hz),
            "control_hz": robot.control_hz,
            "summary": robot.summary,
            "episode_ticks": self._episode_ticks,
            "sensors": {sensor.key: sensor_metadata(sensor) for sensor in self._observed},
            "privileged": {entry.key: {"unit": entry.unit, "group": entry.group} for entry in robot.privileged},
            "camera_backend": self.camera_backend,
        }
        space = observation_space(self._observed, robot.control_hz)
        self.single_observation_space, self._keys = space, list(space.spaces)
        num_actions = self.physics.model.nu if robot.num_actions is None else robot.num_actions
        self.single_action_space = spaces.Box(-1.0, 1.0, (num_actions,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Tensors, dict[str, Any]]:
        """Start new episodes.

        Args:
            seed: restarts the generator of all lanes; None goes on with it (at the first reset: a random seed).
            options: `{"reset_mask": bool [lane]}`, a tensor or array, resets some lanes only; the others return their
                last observation.

        Raises:
            ValueError: a seed per lane, or a mask of another shape.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            raise ValueError(f"got seed={seed!r}, expected one integer: on Warp one generator serves all lanes")
        if seed is not None:
            self._generator.manual_seed(int(seed))
            super().reset(seed=int(seed))
        elif self._last.is_empty:
            self._generator.seed()
        lanes = np.ones(self.num_envs, bool) if self._last.is_empty else self._reset_mask(options)
        self._start_episodes(lanes)
        return self._observe(updated=lanes, faulty=torch.zeros_like(self._ended))

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        mask = torch.as_tensor((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != torch.bool:
            raise ValueError(
                f"got a reset_mask of shape {tuple(mask.shape)} and type {mask.dtype}, expected ({self.num_envs},) bool"
            )
        return mask.cpu().numpy()

    def step(self, actions: Tensor | np.ndarray) -> tuple[Tensors, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Advance every lane by one action, or reset it if its episode ended in the previous step.

        Args:
            actions: [lane, num_actions], clipped to [-1, 1]; a tensor (of any device) or an array. A non-finite action
                is an engine fault of its lane.

        Returns:
            observations, rewards float32 [lane], terminations bool [lane], truncations bool [lane], info.

        Raises:
            ResetNeeded: `reset` was never called.
            ValueError: actions of another shape.
        """
        action = self._checked_action(actions)
        ended = self._ended.cpu().numpy()  # the only thing of a tick that the host waits for
        stepping = self.physics.upload(~ended)
        rewards, faulty = self._advance(stepping, action)
        self._start_episodes(ended)
        self._ticks += ~ended
        terminations = self._terminations(stepping & ~faulty)
        too_long = self.physics.upload(self._ticks >= self._episode_ticks)
        truncations = (faulty | too_long) & ~terminations
        observation, info = self._observe(updated=np.ones(self.num_envs, bool), faulty=faulty)
        self._ended = terminations | truncations
        return observation, rewards, terminations, truncations, info

    def _checked_action(self, actions: Tensor | np.ndarray) -> Tensor:
        if self._last.is_empty:
            raise ResetNeeded("got step() before reset(); fix: call reset() first")
        action = torch.as_tensor(actions).to(self.device, torch.float32, non_blocking=True)
        if action.shape != self.action_space.shape:
            raise ValueError(f"got actions of shape {tuple(action.shape)}, expected {self.action_space.shape}")
        return action.clamp(-1.0, 1.0)

    def _start_episodes(self, lanes: np.ndarray) -> None:
        self._ticks[lanes] = 0
        if lanes.any():
            mask = self.physics.upload(lanes)
            self.physics.reset(mask, lambda: self._task.reset(self.physics, mask, self._generator))
            self._suite.start(mask, self._generator)
            self._ended = self._ended & ~mask

    def _advance(self, stepping: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Step all lanes; return rewards [lane], 0 where a lane earns none, and the faults of the masked lanes."""
        before = self.physics.bind("qpos").clone()
        # As the engine does: a bad control counts as 0, so that one lane's mistake does not reach the solver of all.
        self.physics.step(self._task.control(self.physics, action.nan_to_num(0.0)))
        self._suite.tick(stepping)
        faulty = (self.physics.faults() | ~action.isfinite().all(dim=1)) & stepping
        step = WarpStep(self.physics, before, action, self.physics.period_s)
        return torch.where(stepping & ~faulty, self._task.reward(step), 0.0), faulty

    def _terminations(self, lanes: Tensor) -> Tensor:
        if self._task.terminated is None:
            return torch.zeros_like(lanes)
        return self._task.terminated(self.physics) & lanes

    def _observe(self, updated: np.ndarray, faulty: Tensor) -> tuple[Tensors, dict[str, Any]]:
        """Return observation and info; lanes not updated, and faulty ones, repeat what they last returned."""
        lanes, ticks = self.physics.upload(updated), self.physics.upload(self._ticks)
        elapsed_s = ticks / self.robot.control_hz
        vectors, clean = self._suite.observe(elapsed_s, lanes, self._generator)
        current: Sections = {"observation": vectors}
        if self._privileged:
            current |= {"privileged": self._read_privileged(clean), "clean": clean}
        current = self._last.hold(current, ~lanes | faulty, faulty)
        self._rig.capture(updated, self._ticks, ~faulty, ticks)
        everything = current.pop("observation") | self._rig.observe(ticks)
        observation = {key: everything[key] for key in self._keys}
        return observation, {"engine_fault": faulty, **current}

    def _read_privileged(self, clean: Tensors) -> Tensors:
        entries: Tensors = {}
        for entry in self.robot.privileged:
            read: Any = self._task.privileged.get(entry.key, entry.read)
            entries[entry.key] = read(self.physics, clean).to(torch.float32, copy=True)
        return entries
