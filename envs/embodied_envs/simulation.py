"""The physics of all lanes: one `mujoco.batch.Batch`, with per-lane resets, dynamics and faults."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import numpy as np
from mujoco import mjtStage
from mujoco.batch import Batch, SimulationError

from embodied_envs.robots.robot_spec import RobotSpec

__all__ = ["Simulation"]


class Simulation:
    """Steps and resets any subset of lanes; reports lanes whose physics broke instead of raising."""

    def __init__(self, robot: RobotSpec, num_lanes: int, num_threads: int) -> None:
        """Compile the robot and give every lane its own copy of `robot.lane_fields`.

        Args:
            robot: the robot.
            num_lanes: lanes simulated side by side.
            num_threads: worker threads, 0 = one per CPU; never more than lanes. Results do not depend on it.
        """
        self.model = robot.build().compile()
        self._robot = robot
        nthread = 1 if num_lanes == 1 else min(num_threads, num_lanes)
        self.batch = Batch(self.model, num_lanes, nthread)
        self._lane_fields = {name: self.batch.expand(name) for name in robot.lane_fields}
        self._num_substeps = round(1.0 / (robot.control_hz * self.model.opt.timestep))
        self.qpos, self._qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))

    def reset(self, lanes: np.ndarray, generators: list[np.random.Generator]) -> None:
        """Start a new episode in the lanes where the mask `lanes` [lane] is true."""
        # mjSTAGE_NONE: the lane is written first, one forward pass at its true start state follows.
        self.batch.reset(lanes, stage=mjtStage.mjSTAGE_NONE)
        for lane in np.flatnonzero(lanes):
            self._robot.reset_lane(self.batch, int(lane), generators[lane])
        self.batch.set_const(lanes)
        self.batch.forward(lanes)

    def step(self, lanes: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Advance the masked lanes by one control period.

        Args:
            lanes: mask [lane].
            action: controls in [-1, 1], [lane, nu].

        Returns:
            Mask [lane] of the lanes whose physics broke: engine warning, engine error or non-finite state.
        """
        self._ctrl[lanes] = action[lanes]
        warnings_before = self.batch.warning[:, :, 1].copy()
        faulty = np.zeros(self.batch.nsim, bool)
        try:
            self.batch.step(lanes, nstep=self._num_substeps)
        except SimulationError as error:
            faulty[error.ids] = True
        faulty |= (self.batch.warning[:, :, 1] > warnings_before).any(axis=1)
        faulty |= ~(np.isfinite(self.qpos).all(axis=1) & np.isfinite(self._qvel).all(axis=1))
        return faulty & lanes

    def get_state(self) -> dict[str, np.ndarray]:
        """Return the integration state (qpos, qvel, act, history, warm start, ctrl, time) and the lanes' dynamics."""
        state = {"physics": self.batch.state.copy(), "warning": self.batch.warning.copy()}
        return state | {f"model.{name}": values.copy() for name, values in self._lane_fields.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned; constants derived from the dynamics are computed again."""
        for name, values in self._lane_fields.items():
            values[...] = state[f"model.{name}"]
        self.batch.set_const()
        self.batch.state[...] = state["physics"]
        self.batch.warning[...] = state["warning"]
