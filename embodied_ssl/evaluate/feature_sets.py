"""The features that probes read, of the learned encoder and of every null, on the same ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.errors import RunError
from embodied_ssl.evaluate.embeddings import embed_all, map_episodes
from embodied_ssl.evaluate.nulls import frozen_random, moving_columns, principal_components, raw_rows, raw_window
from embodied_ssl.evaluate.probe_set import ProbeSet
from embodied_ssl.evaluate.targets import Targets

AVERAGED = ("velocities", "contacts")
"""Probe groups that enter the mean; others are reported only."""

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bench:
    """The probe set made ready: what all measurements of one evaluation share.

    Attributes:
        probe_set: the episodes.
        buffer: holds their ticks.
        train: lanes and ends of the training ticks.
        test: lanes and ends of the test ticks.
        embedding: ``(N, T, D)`` of the learned encoder.
        raw: ``(N, T, F)`` raw rows of every tick.
        context_ticks: C.
    """

    probe_set: ProbeSet
    buffer: StreamBuffer
    train: Ends
    test: Ends
    embedding: np.ndarray
    raw: np.ndarray
    context_ticks: int

    @classmethod
    def make(cls, probe_set: ProbeSet, encoder: StreamEncoder, horizon_ticks: int, stride: int = 1) -> Bench:
        """Encode the probe set; ends have a whole context before and ``horizon_ticks`` after.

        Raises:
            RunError: no training or no test episode is long enough.
        """
        buffer, context = probe_set.buffer(), encoder.context_ticks
        train, test = (probe_set.ends(context, horizon_ticks, stride, test=side) for side in (False, True))
        if not (len(train[0]) and len(test[0])):
            raise RunError(
                f"probe episodes last {probe_set.lengths.min()} to {probe_set.lengths.max()} ticks, expected more than "
                f"context + horizon ({context + horizon_ticks}) among training and test episodes"
            )
        embedding = embed_all(encoder, buffer, probe_set.lengths)
        raw = map_episodes(raw_rows, buffer, probe_set.lengths)
        return cls(probe_set, buffer, train, test, embedding, raw, context)

    def targets(self, ends: Ends) -> Targets:
        """Return the privileged state at ``ends``."""
        at = {name: values[ends[1], ends[0]] for name, values in self.probe_set.privileged.items()}
        return Targets.from_privileged(at, self.probe_set.groups, ends[0])

    @property
    def averaged(self) -> tuple[str, ...]:
        """The groups of `AVERAGED` that this robot has; all its groups when it has none of them."""
        present = tuple(group for group in AVERAGED if group in self.probe_set.groups)
        return present or tuple(self.probe_set.groups)

    def random_encoder(self, encoder: StreamEncoder, seed: int) -> StreamEncoder:
        """Return the untrained twin of ``encoder``."""
        lanes = np.arange(self.probe_set.num_train)
        return frozen_random(encoder.spec, encoder.config, self.buffer, lanes, self.probe_set.lengths, seed)

    def feature_sets(self, encoder: StreamEncoder, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return features ``(n, p)`` of the training ticks and ``(m, p)`` of the test ticks, by name.

        Args:
            encoder: the learned one, whose architecture the random one has.
            seed: of the random encoder.
        """
        random = embed_all(self.random_encoder(encoder, seed), self.buffer, self.probe_set.lengths)
        window = moving_columns(*self._raw(self.context_ticks))
        return {
            "learned": (self.embedding[self.train], self.embedding[self.test]),
            "frozen_random": (random[self.train], random[self.test]),
            "raw_tick": moving_columns(*self._raw(1)),
            "raw_window": window,
            "raw_window_pca": principal_components(*window, encoder.features_dim),
        }

    def _raw(self, num_ticks: int) -> tuple[np.ndarray, np.ndarray]:
        return raw_window(self.raw, *self.train, num_ticks), raw_window(self.raw, *self.test, num_ticks)
