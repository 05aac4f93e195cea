"""The physics of all lanes: one `mujoco.batch.Batch`, with per-lane resets, dynamics and faults."""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mujoco import mjtStage
from mujoco.batch import Batch, SimulationError

from embodied_envs.distractors.base import Distractor
from embodied_envs.robots.robot_spec import RobotSpec, Step

__all__ = ["Simulation"]


class Simulation:
    """Steps and resets any subset of lanes; reports lanes whose physics broke instead of raising."""

    def __init__(
        self, robot: RobotSpec, num_lanes: int, num_threads: int, distractor: Distractor | None = None
    ) -> None:
        """Compile the robot and give every lane its own copy of the model fields that vary.

        Args:
            robot: the robot.
            num_lanes: lanes simulated side by side.
            num_threads: worker threads, 0 = one per CPU; never more than lanes. Results do not depend on it.
            distractor: may edit the model, and names further fields that vary.
        """
        spec, distractor = robot.build(), distractor or Distractor()
        distractor.edit(spec)
        self.model = spec.compile()
        self._robot = robot
        nthread = 1 if num_lanes == 1 else min(num_threads, num_lanes)
        # A persistent batch goes on from the stages computed after the last step: they then cost nothing extra.
        self.batch = Batch(self.model, num_lanes, nthread, persistent=robot.stage != mjtStage.mjSTAGE_NONE)
        self._lane_fields = {name: self.batch.expand(name) for name in robot.lane_fields + distractor.lane_fields}
        self.num_substeps = round(1.0 / (robot.control_hz * robot.action_repeat * self.model.opt.timestep))
        self.qpos, self._qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._bind_what_is_read()

    def _bind_what_is_read(self) -> None:
        """Call the reward and failure once: derived fields are copied out only in calls that follow their `bind`."""
        robot, num_actions = self._robot, self._robot.num_actions or self.model.nu
        with np.errstate(all="ignore"):  # nothing was computed yet: values mean nothing
            robot.reward(Step(self.batch, self.qpos, np.zeros((self.batch.nsim, num_actions)), 1.0 / robot.control_hz))
            if robot.terminated is not None:
                robot.terminated(self.batch)

    def reset(
        self,
        lanes: np.ndarray,
        generators: list[np.random.Generator],
        then: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        """Start a new episode in the lanes where the mask `lanes` [lane] is true.

        Args:
            lanes: mask [lane].
            generators: one per lane, for the robot's own draws.
            then: called with `lanes` after the robot wrote them and before constants and derived fields are computed.
        """
        # mjSTAGE_NONE: the lane is written first, one forward pass at its true start state follows.
        self.batch.reset(lanes, stage=mjtStage.mjSTAGE_NONE)
        for lane in np.flatnonzero(lanes):
            self._robot.reset_lane(self.batch, int(lane), generators[lane])
        if then is not None:
            then(lanes)
        self.batch.set_const(lanes)
        self.batch.forward(lanes)

    def step(self, lanes: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Advance the masked lanes by one control period.

        Args:
            lanes: mask [lane].
            action: action in [-1, 1], [lane, num_actions].

        Returns:
            Mask [lane] of the lanes whose physics broke: engine warning, engine error or non-finite state.
        """
        return self._guarded(lanes, action, lambda ids: self.batch.step(ids, self.num_substeps, self._robot.stage))

    def record(
        self, lanes: np.ndarray, action: np.ndarray, fields: Sequence[Any]
    ) -> tuple[dict[Any, np.ndarray], np.ndarray]:
        """Advance as `step` does, recording what `Batch.rollout` can record after every substep.

        Returns:
            Field -> [lane in lanes, substep, ...], and the mask [lane] of broken lanes, whose records mean nothing.
        """
        records: dict[Any, np.ndarray] = {}
        faulty = self._guarded(
            lanes, action, lambda ids: records.update(self.batch.rollout(self.num_substeps, record=fields, ids=ids))
        )
        return records, faulty

    def _guarded(self, lanes: np.ndarray, action: np.ndarray, advance: Callable[[Any], None]) -> np.ndarray:
        if self._robot.perturb is not None:
            self._robot.perturb(self.batch, np.flatnonzero(lanes))
        self._ctrl[lanes] = self._robot.control(self.batch, action)[lanes]
        counts, faulty = self.batch.warning[:, :, 1], np.zeros(self.batch.nsim, bool)
        before = counts.copy()
        try:
            advance(None if lanes.all() else lanes)
        except SimulationError as error:
            faulty[error.ids] = True
        if not np.array_equal(counts, before):
            faulty |= (counts > before).any(axis=1)
        if not np.isfinite(self.qpos.sum() + self._qvel.sum()):  # one number says that all are well
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
