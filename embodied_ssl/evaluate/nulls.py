"""Controls that stand beside every probe: raw sensors, their principal components, and an untrained encoder.

`raw_tick`, `raw_window` and `raw_window_pca` hold every one-dimensional sensor and the actions, with validity bits and
ages, in sensor units. **Camera pixels are out**: a linear read-out of pixels is far weaker than these, and wider.
`frozen_random` and the learned encoder see the camera.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import EncoderConfig
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.evaluate.ridge import feature_scale
from embodied_ssl.spec import StreamSpec


def raw_rows(windows: Windows) -> Tensor:
    """Return per tick all rows of the vector sensors, their masks and ages, the action and its mask.

    Args:
        windows: ``(B, L)`` windows.

    Returns:
        ``(B, L, F)``.
    """
    parts = [windows.action, windows.action_mask[..., None].to(windows.action.dtype)]
    for rows in windows.rows.values():
        parts += [rows.values.flatten(2), rows.mask.to(rows.age_s.dtype), rows.age_s]
    return torch.cat(parts, dim=2)


def raw_window(per_tick: np.ndarray, lanes: np.ndarray, ends: np.ndarray, num_ticks: int) -> np.ndarray:
    """Return the raw features of the ``num_ticks`` ticks that end at each end; 1 gives `raw_tick`.

    Args:
        per_tick: ``(N, T, F)`` from `raw_rows`.
        lanes: ``(n,)``.
        ends: ``(n,)``, at least ``num_ticks - 1``.
        num_ticks: ticks of the window.

    Returns:
        ``(n, num_ticks * F)`` float64.
    """
    ticks = ends[:, None] + np.arange(1 - num_ticks, 1)
    return per_tick[lanes[:, None], ticks].reshape(len(ends), -1).astype(np.float64)


def moving_columns(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop the columns that are constant in training, such as masks of sensors that never fail."""
    moving = np.ptp(train, axis=0) > 0
    return train[:, moving], test[:, moving]


def principal_components(train: np.ndarray, test: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Project onto the leading principal components of the standardised training features.

    Args:
        train: ``(n, p)`` features of the training ticks, which alone are fitted on.
        test: ``(m, p)``.
        width: components to keep, at most p.

    Returns:
        ``(n, width)`` and ``(m, width)``, by falling variance.
    """
    centre, scale = train.mean(axis=0), feature_scale(train)
    standardised = (train - centre) / scale
    _, vectors = np.linalg.eigh(standardised.T @ standardised / len(train))
    basis = vectors[:, ::-1][:, :width]
    return standardised @ basis, (test - centre) / scale @ basis


def frozen_random(
    spec: StreamSpec, config: EncoderConfig, buffer: StreamBuffer, lanes: np.ndarray, lengths: np.ndarray, seed: int
) -> StreamEncoder:
    """Return an untrained encoder of the run's architecture whose normalisers know the training episodes.

    Args:
        spec: the sensors.
        config: the architecture.
        buffer: from `ProbeSet.buffer`.
        lanes: the training episodes.
        lengths: ticks of every lane's episode.
        seed: of the initial weights.

    Returns:
        The encoder, in evaluation mode.
    """
    # torch.nn initialises from the global generator: seed it inside a fork, so that nothing else notices.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        encoder = StreamEncoder(spec, config)
    last = torch.from_numpy(lengths[lanes] - 1)
    encoder.observe_statistics(buffer.gather(torch.from_numpy(lanes), last, buffer.capacity))
    return encoder.eval().requires_grad_(False)
