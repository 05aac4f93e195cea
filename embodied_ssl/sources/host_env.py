"""An env whose tensors are read on the host: for evaluation, which records everything, privileged state included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium.vector import VectorEnv, VectorWrapper
from torch import Tensor

from embodied_ssl.sources.rows import to_host


class HostEnv(VectorWrapper):
    """The wrapped env with arrays for tensors; what is no tensor is passed on as it is."""

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Return observation and info as arrays."""
        return _on_host(self.env.reset(seed=seed, options=options))

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return the five things of the env as arrays."""
        return _on_host(self.env.step(actions))


def on_host(env: VectorEnv) -> VectorEnv:
    """Return ``env`` with arrays for tensors."""
    return HostEnv(env)


def _on_host(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return to_host(tree)
    if isinstance(tree, tuple):
        return tuple(_on_host(part) for part in tree)
    if isinstance(tree, Mapping):
        return {key: _on_host(value) for key, value in tree.items()}
    return tree
