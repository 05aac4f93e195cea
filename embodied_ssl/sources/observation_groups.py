"""An adapter of mjlab and Isaac Lab environments: groups of device tensors become a stream of named sensors.

Their documented interface, and all that is used of it (neither library is imported):

- `num_envs`, `step_dt` (seconds an action lasts), `device`, `single_action_space` with a `shape`
- `reset(seed=...) -> (observations, extras)`; with `cfg.auto_reset` false also `reset(env_ids=...)`
- `step(action) -> (observations, rewards, terminated, truncated, extras)`, tensors ``(N, ...)``
- observations are `{group: tensor}` if the group's terms are concatenated, else `{group: {term: tensor}}`

Which of them a robot has is said by the group's name: `policy` (Isaac Lab) or `actor` (mjlab) is what the policy may
see, others, like `critic`, are privileged: they are handed on in ``info["privileged"]`` and are never an input.

An env that resets in the step itself returns the first observation of the next episode in place of the final one, which
nobody ever sees. Its tick is then made without readings (all rows invalid), with the action, reward and flags: nothing
is made up, and no reward or ending is lost. With `cfg.auto_reset=False` (mjlab) the final readings are kept, too.

Sources: isaac-sim.github.io/IsaacLab, `ManagerBasedRLEnv` and `ObservationManager`;
mujocolab.github.io/mjlab, `ManagerBasedRlEnv` and "Observations".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from embodied_ssl.errors import SpecError, nearest
from embodied_ssl.sources.nested import SEPARATOR, flat_observation

POLICY_GROUPS = ("policy", "actor")
"""What the observed group is called, in order of preference."""

_NEEDED = ("num_envs", "step_dt", "device", "single_action_space", "reset", "step")

Tensors = dict[str, Tensor]


class ObservationGroupsEnv(VectorEnv):
    """A Gymnasium vector env, `SAME_STEP`, around an env of observation groups; all values stay tensors on its device.

    Sensors are called by their group, or by `group/term`. Beside each there is ``<name>.valid``, bool.
    """

    def __init__(
        self,
        env: Any,
        *,
        observed: Sequence[str] | None = None,
        sensors: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Wrap ``env``; it is reset once, to see which groups it has.

        Args:
            env: as in the module's docstring.
            observed: groups that are inputs; None: `policy`, or `actor`. All others are privileged.
            sensors: name -> ``rate_hz``, ``unit``, ``modality``; absent: the control rate. Of a sensor faster than
                control, the first axis after the lanes is its rows, oldest first.

        Raises:
            SpecError: something of the interface is missing, or a group or sensor is not there.
        """
        missing = [name for name in _NEEDED if not hasattr(env, name)]
        if missing:
            raise SpecError(f"{type(env).__name__} has no {missing}; expected an mjlab or Isaac Lab environment")
        self.env, self.num_envs, self.device = env, int(env.num_envs), torch.device(env.device)
        self._resets_itself = bool(getattr(getattr(env, "cfg", None), "auto_reset", True))
        groups = env.reset()[0]
        self._observed = _observed_groups(groups, observed)
        example = self._split(groups)[0]
        _check_sensors(sensors or {}, example)
        control_hz = 1.0 / float(env.step_dt)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "control_hz": control_hz,
            "sensors": {name: {"rate_hz": control_hz, **(sensors or {}).get(name, {})} for name in example},
        }
        self._describe(example)

    def _describe(self, example: Tensors) -> None:
        self.single_observation_space = spaces.Dict({name: _space(value) for name, value in example.items()})
        self.single_action_space = _action_space(self.env.single_action_space)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def _split(self, groups: Mapping[str, Any]) -> tuple[Tensors, Tensors]:
        """Return the observed and the privileged tensors by name."""
        if not isinstance(groups, Mapping):
            raise SpecError(f"the observation is a {type(groups).__name__}, expected a dict of groups")
        table: Tensors = dict(flat_observation(groups))
        for name, value in table.items():
            if not isinstance(value, Tensor) or len(value) != self.num_envs:
                raise SpecError(f"observation {name!r} is {_kind(value)}, expected a tensor of {self.num_envs} lanes")
        inside = {name: name.split(SEPARATOR)[0] in self._observed for name in table}
        observed = {name: value for name, value in table.items() if inside[name]}
        return observed, {name: value for name, value in table.items() if not inside[name]}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Start new episodes in all lanes."""
        groups, extras = self.env.reset(seed=seed)
        observation, privileged = self._split(groups)
        return self._with_valid(observation, True), {**extras, "privileged": privileged}

    def step(self, actions: Any) -> tuple[dict[str, Tensor], Tensor, Tensor, Tensor, dict[str, Any]]:
        """Advance all lanes; lanes that end begin their next episode, with ``info["final_obs"]`` as documented above.

        Args:
            actions: ``(N, A)``, a tensor of any device or an array.
        """
        action = torch.as_tensor(actions).to(self.device, torch.float32)
        groups, reward, terminated, truncated, extras = self.env.step(action)
        terminated, truncated = terminated.bool(), truncated.bool()
        ended = terminated | truncated
        info = dict(extras)
        observation, privileged = self._split(groups)
        if bool(ended.any()):
            info["final_obs"] = self._with_valid(observation, not self._resets_itself)
            if not self._resets_itself:
                observation, privileged = self._begin(ended, observation, privileged)
        return self._with_valid(observation, True), reward, terminated, truncated, {**info, "privileged": privileged}

    def _begin(self, ended: Tensor, *tables: Tensors) -> tuple[Tensors, ...]:
        """Reset the ended lanes of an env that does not do it, and return the tables with their new readings."""
        fresh = self._split(self.env.reset(env_ids=ended.nonzero().squeeze(1))[0])
        pairs = zip(tables, fresh, strict=True)
        return tuple({name: _choose(ended, new[name], value) for name, value in old.items()} for old, new in pairs)

    def _with_valid(self, observation: Tensors, valid: bool) -> Tensors:
        """Return the observation with ``<name>.valid`` ``(N,)``, or ``(N, rows)``, beside each name."""
        flags: Tensors = {}
        for name, value in observation.items():
            is_fast = self.metadata["sensors"][name]["rate_hz"] > self.metadata["control_hz"]
            flags[f"{name}.valid"] = torch.full(value.shape[: 1 + is_fast], valid, dtype=torch.bool, device=self.device)
        return {**observation, **flags}

    def close_extras(self, **kwargs: Any) -> None:
        """Close the wrapped env."""
        if hasattr(self.env, "close"):
            self.env.close()


def _observed_groups(groups: Any, observed: Sequence[str] | None) -> tuple[str, ...]:
    names = list(groups) if isinstance(groups, Mapping) else []
    if observed is None:
        found = [name for name in POLICY_GROUPS if name in names][:1]
        if not found:
            raise SpecError(f"none of the groups {names} is called 'policy' or 'actor'; fix: observed=[...]")
        return tuple(found)
    if isinstance(observed, str) or not observed:
        raise SpecError(f"got observed={observed!r}, expected a list of groups, some of {names}")
    for name in observed:
        if name not in names:
            raise SpecError(f"the env has no observation group {name!r}; {nearest(name, names)}")
    return tuple(observed)


def _check_sensors(sensors: Mapping[str, Any], observed: Mapping[str, Tensor]) -> None:
    for name in sensors:
        if name not in observed:
            raise SpecError(f"sensors names {name!r}, which is not observed; {nearest(name, observed)}")


def _kind(value: Any) -> str:
    return f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _space(value: Tensor) -> spaces.Box:
    if value.dtype == torch.uint8:
        return spaces.Box(0, 255, tuple(value.shape[1:]), np.uint8)
    return spaces.Box(-np.inf, np.inf, tuple(value.shape[1:]), np.float32)


def _action_space(space: Any) -> spaces.Box:
    """Return a Gymnasium Box of the same shape; both libraries leave actions unbounded, mjlab in a class of its own."""
    shape = getattr(space, "shape", None)
    if not shape:
        raise SpecError(f"single_action_space is {space}, expected one with a shape")
    low, high = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
    low[...], high[...] = getattr(space, "low", low), getattr(space, "high", high)
    return spaces.Box(low, high, tuple(shape), np.float32)


def _choose(mask: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(mask.view(-1, *[1] * (no.dim() - 1)), yes, no)
