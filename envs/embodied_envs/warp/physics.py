"""The physics of all lanes on one device: MuJoCo Warp with the interface of a Batch, and tensors in place of arrays.

What differs from `mujoco.batch.Batch`, and what is done about it:
- `step` and `forward` know no mask: all lanes are stepped, those that start anew are reset afterwards.
- Here a forward pass records into the sensor histories (MuJoCo records when it integrates): they are put back.
- Everything is float32. Times would drift by more than a sensor's phase can bear, so each control period a lane's
  clock is set back to 0 and its recorded times with it: a recorded time is minus the age of the sample.
- Launching a kernel costs more than running it, so each of the three operations is recorded once, as a graph.
"""

# pyright: reportAttributeAccessIssue=false
# (MuJoCo ships no type stubs)
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from embodied_envs.native_history import RING_HEADER
from embodied_envs.robots.robot_spec import RobotSpec
from embodied_envs.warp.engine import mjw, wp

__all__ = ["WarpPhysics"]

_MAX_STATE = 1e10  # mjMAXVAL: MuJoCo itself calls larger positions and velocities bad
_INERTIAL_FIELDS = {"body_mass", "body_inertia", "body_ipos", "body_iquat", "dof_armature"}
_INERTIAL_CONSTANTS = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "tendon_invweight0",
    "actuator_acc0",
)  # what set_const derives from the fields above


class WarpPhysics:
    """Steps all lanes and resets any subset; `bind` and `expand` are live views without a copy."""

    def __init__(self, robot: RobotSpec, num_lanes: int, device: str, deterministic: bool = False) -> None:
        """Put the robot on the device, with its own copy of `robot.lane_fields` for every lane.

        Args:
            robot: the robot.
            num_lanes: lanes simulated side by side.
            device: a Warp device name.
            deterministic: fix the order in which a GPU adds numbers up; slower. A CPU needs no such thing.

        Raises:
            ValueError: the model uses something that Warp does not support, or a lane field that it does not batch.
        """
        self.model = robot.build().compile()
        self.num_lanes, self.device = num_lanes, device
        self.period_s = 1.0 / (robot.control_hz * robot.action_repeat)
        self._num_substeps = round(self.period_s / self.model.opt.timestep)
        self._is_inertial = bool(_INERTIAL_FIELDS & set(robot.lane_fields))
        fields = (*robot.lane_fields, *(_INERTIAL_CONSTANTS if self._is_inertial else ()))
        with self._on_stream():
            self._put(robot.name, dict.fromkeys(fields, num_lanes), deterministic)
        self._views: dict[str, Tensor] = {}
        self._mask_array = wp.zeros(num_lanes, dtype=bool, device=device)
        self._mask = wp.to_torch(self._mask_array)
        self._shift_s = torch.from_numpy(_time_columns(self.model) * np.float32(self.period_s)).to(self._mask.device)
        self._record()

    def _put(self, name: str, batch_sizes: dict[str, int], deterministic: bool) -> None:
        try:
            self.warp_model = mjw.put_model(self.model, batch_sizes=batch_sizes)
        except (NotImplementedError, ValueError) as error:
            raise ValueError(f"{name} cannot run on Warp: {' '.join(str(error).split())}") from error
        self.warp_model.opt.warn_overflow = False  # printing from kernels stops the device; `faults` reads the flags
        if deterministic:
            self.warp_model.opt.deterministic = mjw.DeterminismType.ALL
        self.warp_data = mjw.make_data(self.model, nworld=self.num_lanes)

    @contextlib.contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Run Warp on this device and in torch's own queue, so that neither waits for, or overtakes, the other."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(wp.ScopedDevice(self.device))
            if self.device != "cpu":
                stack.enter_context(wp.ScopedStream(wp.stream_from_torch(self.device)))
            yield

    def _record(self) -> None:
        """Record the graphs. Every operation runs once before: loading a kernel cannot be recorded."""
        operations = (self._step_once, self._clear, self._settle)
        with wp.ScopedDevice(self.device):
            wp.synchronize_device(self.device)
            for operation in operations:
                operation()
            mjw.reset_data(self.warp_model, self.warp_data)
            wp.synchronize_device(self.device)
            self._step_graph = _graph(self.device, lambda: [self._step_once() for _ in range(self._num_substeps)])
            self._clear_graph, self._settle_graph = (_graph(self.device, part) for part in operations[1:])

    def _step_once(self) -> None:
        mjw.step(self.warp_model, self.warp_data)

    def _clear(self) -> None:
        mjw.reset_data(self.warp_model, self.warp_data, self._mask_array)

    def _settle(self) -> None:
        """Compute constants and derived fields at the present state."""
        if self._is_inertial:
            groups = mjw.SetConstGroup.FIXED | mjw.SetConstGroup.INERT0
            mjw.set_const(self.warp_model, self.warp_data, int(groups), restore=False)
        mjw.forward(self.warp_model, self.warp_data)

    def bind(self, name: str) -> Tensor:
        """Return the live view [lane, ...] of a field of mjData."""
        return self._view(f"data.{name}", lambda: getattr(self.warp_data, name))

    def expand(self, name: str) -> Tensor:
        """Return the live view [lane, ...] of a model field that every lane has its own copy of.

        Raises:
            ValueError: the field is not one of the robot's lane fields.
        """
        view = self._view(f"model.{name}", lambda: getattr(self.warp_model, name))
        if len(view) != self.num_lanes:
            raise ValueError(f"model field {name!r} is shared by all lanes; fix: name it in RobotSpec.lane_fields")
        return view

    def _view(self, name: str, array: Callable[[], Any]) -> Tensor:
        if name not in self._views:
            self._views[name] = wp.to_torch(array())
        return self._views[name]

    @staticmethod
    def write(view: Tensor, lanes: Tensor, values: Tensor) -> None:
        """Write `values` [lane, ...] into the masked lanes [lane] of a live view, without asking the host which."""
        mask = lanes.view(-1, *[1] * (view.dim() - 1))
        view.copy_(torch.where(mask, values, view))

    def upload(self, array: np.ndarray) -> Tensor:
        """Return a copy of a small host array (flags or counts of lanes) on the device."""
        return torch.from_numpy(array.copy()).to(self._mask.device, non_blocking=True)

    def step(self, controls: Tensor) -> None:
        """Advance every lane by one control period with `controls` [lane, nu]."""
        self.bind("ctrl").copy_(controls)
        self._launch(self._step_graph)
        self.bind("time").zero_()
        if self.model.nhistory:
            self.bind("history").sub_(self._shift_s)

    def faults(self) -> Tensor:
        """Return the mask [lane] of lanes with a bad state, or with more contacts than there was room for."""
        bad = ~(self.bind("qpos").abs() < _MAX_STATE).all(dim=1)  # not (x < max) is also true of NaN
        bad |= ~(self.bind("qvel").abs() < _MAX_STATE).all(dim=1)
        return bad | (self.bind("overflow") != 0)

    def reset(self, lanes: Tensor, write: Callable[[], None]) -> None:
        """Put the masked lanes [lane] at the model's own start, call `write`, then compute what follows from it."""
        self._mask.copy_(lanes)
        self._launch(self._clear_graph)
        write()
        history = self.bind("history").clone() if self.model.nhistory else None
        self._launch(self._settle_graph)
        if history is not None:
            self.bind("history").copy_(history)

    def _launch(self, graph: Any) -> None:
        with self._on_stream():
            wp.capture_launch(graph)

    def place(self) -> None:
        """Compute poses of geoms, cameras and lights at the present positions, for drawing."""
        with self._on_stream():
            for compute in (mjw.kinematics, mjw.com_pos, mjw.camlight):
                compute(self.warp_model, self.warp_data)

    def draw(self, context: Any) -> None:
        """Let the batch renderer fill a context from the poses that `place` computed."""
        with self._on_stream():
            mjw.refit_bvh(self.warp_model, self.warp_data, context)
            mjw.render(self.warp_model, self.warp_data, context)


def _graph(device: str, operation: Callable[[], Any]) -> Any:
    with wp.ScopedCapture(device=device) as capture:
        operation()
    return capture.graph


def _time_columns(model: mujoco.MjModel) -> np.ndarray:
    """Return [nhistory] float32: 1 where `history` holds a time, 0 where it holds a slot or a value."""
    columns = np.zeros(model.nhistory, np.float32)
    rings = [(model.sensor_historyadr, model.sensor_history), (model.actuator_historyadr, model.actuator_history)]
    for addresses, sizes in rings:
        for address, size in zip(addresses, sizes[:, 0], strict=True):
            if size > 0:
                columns[address] = 1.0
                columns[address + RING_HEADER : address + RING_HEADER + size] = 1.0
    return columns
