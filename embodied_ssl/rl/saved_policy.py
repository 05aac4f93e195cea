"""The trained policy of a checkpoint, to act with and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from embodied_ssl.config import Config
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.rl.pilot import Pilot


def load_policy(
    config: Config, learner: OnlineLearner, part: tuple[Mapping[str, Tensor], Mapping[str, Any]]
) -> Callable[[Tensor], Tensor] | None:
    """Return the deterministic policy ``(N, D) -> (N, A)`` of a checkpoint's ``pilot`` part; None without an agent."""
    pilot = Pilot(learner, config.agent, config.seed)
    if not pilot.learns:
        return None
    tensors, _ = part
    prefix = "agent."
    pilot.agent.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    return pilot.agent.act
