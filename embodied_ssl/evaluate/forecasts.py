"""What forward skill compares: readings at each horizon, noisy and clean, and what the learner foresees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.encoders.tokenizers import RowTokenizer
from embodied_ssl.evaluate.embeddings import map_episodes
from embodied_ssl.evaluate.probe_set import ProbeSet
from embodied_ssl.evaluate.skill import HORIZONS, ForwardSet
from embodied_ssl.spec import StreamSpec

Forecaster = Callable[[Tensor, Tensor], Tensor]
"""Embeddings (B, D) and actions (B, H, A) -> standardised readings (B, H, S), as `encoder.readings` orders them."""


def _newest(windows: Windows) -> Tensor:
    """Return the newest row of every vector sensor, then whether it is there, ``(B, L, sum(d) + sensors)``."""
    values = [rows.values[:, :, -1].flatten(2) for rows in windows.rows.values()]
    present = [rows.mask[:, :, -1:].float() for rows in windows.rows.values()]
    return torch.cat(values + present, dim=2)


def split_sensors(spec: StreamSpec, values: np.ndarray) -> dict[str, np.ndarray]:
    """Split the last axis, the values of all vector sensors side by side, by sensor."""
    edges = np.cumsum([sensor.size for sensor in spec.vectors])[:-1]
    parts = np.split(values, edges, axis=-1)
    return {sensor.name: part for sensor, part in zip(spec.vectors, parts, strict=True)}


class ReadingTable:
    """Newest readings of every tick of the probe set, noisy and clean, and the actions.

    Attributes:
        noisy: per sensor ``(N, T, d)``.
        clean: per sensor ``(N, T, d)``; the noisy ones when the env tells no others.
        present: ``(N, T)`` bool: every sensor has a reading.
        action: ``(N, T, A)`` that led to each tick.
    """

    def __init__(self, probe_set: ProbeSet, buffer: StreamBuffer) -> None:
        """Read ``probe_set``; ``buffer`` holds its ticks."""
        spec, lengths = probe_set.spec, probe_set.lengths
        newest = map_episodes(_newest, buffer, lengths)
        width = sum(sensor.size for sensor in spec.vectors)
        self.noisy = split_sensors(spec, newest[..., :width])
        self.present = np.all(newest[..., width:], axis=-1, keepdims=True)[..., 0]
        self.action = map_episodes(lambda windows: windows.action, buffer, lengths)
        self.has_clean = all(sensor.name in probe_set.clean for sensor in spec.vectors)
        self.clean = {s.name: self._clean(probe_set, s.name) for s in spec.vectors} if self.has_clean else self.noisy

    @staticmethod
    def _clean(probe_set: ProbeSet, name: str) -> np.ndarray:
        values = probe_set.clean[name]
        rows = values.reshape(*values.shape[:2], -1, probe_set.spec[name].size)
        return np.moveaxis(rows[:, :, -1], 0, 1)

    def usable(
        self, lanes: np.ndarray, ends: np.ndarray, horizons: Sequence[int] = HORIZONS
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keep the ends that have a reading of every sensor now and at every horizon."""
        ahead = ends[:, None] + np.array([0, *horizons])
        kept = self.present[lanes[:, None], ahead].all(axis=1)
        return lanes[kept], ends[kept]

    def actions_after(self, lanes: np.ndarray, ends: np.ndarray, num_ticks: int) -> np.ndarray:
        """Return the actions of the ticks after each end, ``(n, num_ticks, A)``."""
        return self.action[lanes[:, None], ends[:, None] + np.arange(1, num_ticks + 1)]

    def forward_set(
        self, window: np.ndarray, lanes: np.ndarray, ends: np.ndarray, horizons: Sequence[int] = HORIZONS
    ) -> ForwardSet:
        """Return what forecasts from these ends are fitted and scored on.

        Args:
            window: ``(n, F)`` raw windows of these ends.
            lanes: ``(n,)``.
            ends: ``(n,)``, each at least ``max(horizons)`` before the last tick.
            horizons: ticks ahead.
        """
        at = (lanes[:, None], ends[:, None] + np.array(horizons))
        return ForwardSet(
            window=window,
            actions=self.actions_after(lanes, ends, max(horizons)),
            now={name: values[lanes, ends].astype(np.float64) for name, values in self.noisy.items()},
            noisy={name: values[at].astype(np.float64) for name, values in self.noisy.items()},
            clean={name: values[at].astype(np.float64) for name, values in self.clean.items()},
            episodes=lanes,
        )


@torch.no_grad()
def predict_readings(
    encoder: StreamEncoder,
    forecaster: Forecaster,
    embedding: np.ndarray,
    actions: np.ndarray,
    horizons: Sequence[int] = HORIZONS,
) -> dict[str, np.ndarray]:
    """Return the learner's forecasts of the newest row of every vector sensor, in sensor units.

    Args:
        encoder: whose running normalisation the forecasts are in.
        forecaster: the forward-prediction head.
        embedding: ``(n, D)`` at the end of each context.
        actions: ``(n, H, A)`` of the ticks that follow.
        horizons: ticks ahead, at most H.

    Returns:
        Per sensor ``(n, len(horizons), d)`` float64.
    """
    chunks = zip(torch.from_numpy(embedding).split(1024), torch.from_numpy(actions).split(1024), strict=True)
    steps = [ticks - 1 for ticks in horizons]
    standardised = torch.cat([forecaster(z, action)[:, steps] for z, action in chunks])
    forecasts, column = {}, 0
    for sensor, tokenizer in zip(encoder.spec.sensors, encoder.tokenizers, strict=True):
        if isinstance(tokenizer, RowTokenizer):
            column += encoder.spec.rows_per_tick(sensor) * sensor.size
            newest = standardised[..., column - sensor.size : column].unflatten(-1, sensor.shape)
            forecasts[sensor.name] = tokenizer.standardizer.inverse(newest).flatten(2).double().numpy()
    return forecasts
