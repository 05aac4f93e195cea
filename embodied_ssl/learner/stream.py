"""A stream: the history of a set of lanes, their carried state, and embeddings of one version a step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.errors import SpecError
from embodied_ssl.learner.snapshots import Snapshot
from embodied_ssl.sources.simulation import TickMaker
from embodied_ssl.spec import Tick

Tap = Callable[[Sequence[Tick]], None]
"""Called with the one or two ticks of every step, in order; reset included."""


class Publisher(Protocol):
    """Whatever publishes snapshots: the learner."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest published version."""
        ...


class Stream:
    """Feeds what an env returns into a buffer and embeds the newest tick of every lane.

    Embeddings of one step come from one snapshot, the carried state included: when a newer version is published, the
    state of every lane is recomputed from the buffer in one batch, so the step form continues as if the new version
    had always been there.
    """

    def __init__(self, env: VectorEnv, encoder: StreamEncoder, publisher: Publisher, buffer: StreamBuffer) -> None:
        """Bind env, a private copy of the encoder, the publisher and the buffer that keeps the history."""
        self.ticks = TickMaker(env, encoder.spec)
        if env.num_envs != buffer.num_lanes:
            raise SpecError(f"the env has {env.num_envs} lanes, expected the learner's {buffer.num_lanes}")
        self.buffer = buffer
        self._publisher = publisher
        self._encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        self._state = self._encoder.initial_state(env.num_envs)
        self._embedding: Tensor | None = None
        self._lanes = np.arange(env.num_envs)
        self._at = torch.from_numpy(self._lanes).to(buffer.device)
        self.version = -1
        self.taps: list[Tap] = []

    def reset(self, observation: Any, info: Any = None, mask: np.ndarray | None = None) -> None:
        """Take in the first observations of all lanes, or of the lanes in ``mask (N,)`` bool."""
        self._take_all([self.ticks.reset(observation, info, mask)])

    def observe(
        self,
        action: np.ndarray | Tensor,
        observation: Any,
        reward: np.ndarray | Tensor,
        terminated: np.ndarray | Tensor,
        truncated: np.ndarray | Tensor,
        info: Any = None,
    ) -> None:
        """Take in one env step: the action given and the five things `env.step` returned, arrays or tensors."""
        self._take_all(self.ticks.step(action, observation, reward, terminated, truncated, info))

    def _take_all(self, ticks: Sequence[Tick]) -> None:
        for tap in self.taps:
            tap(ticks)
        for tick in ticks:
            self._take(tick)

    def embed(self) -> Tensor:
        """Return the embedding ``(N, D)`` of the newest tick by the newest snapshot; advances nothing."""
        if self._embedding is None:
            raise SpecError("embed() before reset(); fix: stream.reset(*env.reset())")
        if self.version != self._publisher.snapshot.version:
            self._swap(self._publisher.snapshot)
        return self._embedding.clone()  # outside inference mode: the caller may train on it

    @torch.inference_mode()
    def _take(self, tick: Tick) -> None:
        self.buffer.append(tick)
        if self.version != self._publisher.snapshot.version:
            self._swap(self._publisher.snapshot)
            return
        lanes = torch.from_numpy(tick.lanes).to(self.buffer.device)
        newest = self.buffer.gather(lanes, self._ends(tick.lanes), 1)
        embedding, state = self._encoder.step(self._state[lanes], newest)
        if self._embedding is None:
            self._embedding = embedding.new_zeros(len(self._lanes), embedding.shape[1])
        self._embedding = self._embedding.index_copy(0, lanes, embedding)
        self._state = self._state.index_copy(0, lanes, state)

    @torch.inference_mode()
    def _swap(self, snapshot: Snapshot) -> None:
        """Load a version and recompute every lane's embedding and state from the ring."""
        self._encoder.load_state_dict(snapshot.weights)
        context = self._encoder.context_ticks
        features = self._encoder.tick_features(self.buffer.gather(self._at, self._ends(self._lanes), context))
        self._embedding = self._encoder.core(features)[:, 0]
        self._state = features[:, 1:]
        self.version = snapshot.version

    def _ends(self, lanes: np.ndarray) -> Tensor:
        return torch.from_numpy(self.buffer.newest(lanes)).to(self.buffer.device)

    def state(self) -> dict[str, Tensor]:
        """Return the carried tensors of an exact resume."""
        embedding = self._embedding if self._embedding is not None else torch.zeros(0)
        return {"state": self._state.clone(), "embedding": embedding.clone(), **self.ticks.state()}

    def load_state(self, state: dict[str, Tensor], snapshot: Snapshot, version: int) -> None:
        """Restore `state` of ``version``; if ``snapshot`` is newer, the next use recomputes it, as it would have."""
        self._encoder.load_state_dict(snapshot.weights)
        self.version = version
        self._state = state["state"].to(self.buffer.device, copy=True)
        embedding = state["embedding"].to(self.buffer.device, copy=True)
        self._embedding = embedding if embedding.numel() else None
        self.ticks.load_state(state)
