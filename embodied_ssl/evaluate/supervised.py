"""The ceiling: the same encoder architecture with a linear head, trained with the labels that probes only read."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.encoders.tokenizers import RowTokenizer
from embodied_ssl.evaluate.embeddings import map_episodes
from embodied_ssl.evaluate.probes import Predictor
from embodied_ssl.evaluate.ridge import episode_folds, feature_scale
from embodied_ssl.evaluate.targets import Targets
from embodied_ssl.objectives.base import masked_mean

DENSE_BATCH, SPARSE_BATCH = 32, 96
"""Windows a step, with labels at most ticks of a window and at its last tick only."""
MAX_FRAMES = 96
"""Camera frames encoded in a step; windows beyond that see the camera as missing."""
DENSE_POSITIONS = 16
"""Positions of a window that are trained on where most ticks have a label."""
NUM_VALIDATION = 256
CHECKS = 12
"""Validations in a training; the best one is kept."""
SIDE_WEIGHT = 0.1
"""Weight of the targets that are only reported: they must not cost the ceiling anything."""
NUM_DRAWS = 1
"""Draws of labels that are trained on at each number of labels: a training costs seconds, a ridge milliseconds."""


@dataclass(frozen=True)
class SupervisedData:
    """Where the windows and labels of the ceiling are.

    Attributes:
        buffer: from `ProbeSet.buffer`.
        lengths: ``(N,)`` ticks of each episode.
        train: lanes and ends of the training ticks.
        test: lanes and ends of the test ticks.
        targets: of the training ticks.
        averaged: groups that count fully in the loss and in the choice of weights; others count `SIDE_WEIGHT`.
    """

    buffer: StreamBuffer
    lengths: np.ndarray
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    targets: Targets
    averaged: tuple[str, ...]

    def weights(self) -> Tensor:
        """Return the weight of each target in the loss, ``(T,)``: groups count alike, however many targets."""
        weight = torch.full((len(self.targets.names),), SIDE_WEIGHT / len(self.targets.names))
        for group in self.averaged:
            columns = self.targets.columns(group)
            weight[torch.from_numpy(columns)] = 1 / len(columns)
        return weight / weight.sum()


class SupervisedNet(nn.Module):
    """Encoder and linear head, to standardised targets."""

    def __init__(self, encoder: StreamEncoder, num_targets: int) -> None:
        """Put a zero head on ``encoder``: it begins by saying the mean."""
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.features_dim, num_targets)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, windows: Windows) -> Tensor:
        """Return ``(B, P, T)``."""
        return self.head(self.encoder(windows))


def _jittered(encoder: StreamEncoder, windows: Windows, jitter: float, generator: torch.Generator) -> Windows:
    """Add noise to the vector sensors, in units of their spread, as the learner does; images stay as they are."""
    rows = {}
    for sensor, tokenizer in zip(encoder.spec.sensors, encoder.tokenizers, strict=True):
        if isinstance(tokenizer, RowTokenizer):
            seen = windows.rows[sensor.name]
            noise = jitter * torch.randn(seen.values.shape, generator=generator)
            rows[sensor.name] = dataclasses.replace(
                seen, values=seen.values + noise * tokenizer.standardizer.variance.sqrt()
            )
    return dataclasses.replace(windows, rows=rows)


def _held_out(episodes: np.ndarray) -> np.ndarray:
    """Return which rows belong to the fifth of the episodes that training does not see."""
    return episode_folds(episodes, 5) == 0


@dataclass(frozen=True)
class SupervisedRecipe:
    """How the ceiling is trained.

    Attributes:
        make_encoder: returns a fresh untrained encoder with fitted normalisers, for a seed.
        steps: gradient steps at all labels.
        jitter: as the learner's.
        seed: of initial weights and batches.
        lr: peak of the learning rate.
    """

    make_encoder: Callable[[int], StreamEncoder]
    steps: int
    jitter: float
    seed: int
    lr: float = 2e-3


def steps_for(num_labels: int, num_rows: int, steps: int) -> int:
    """Return the gradient steps at ``num_labels`` of ``num_rows``: few labels are soon learned by heart."""
    return max(1, round(steps * max(0.4, (num_labels / num_rows) ** 0.3)))


@dataclass(frozen=True)
class _Labels:
    """Standardised labels of one draw: ``values (n, T)``, and ``row (N, T_ticks)``, the row of a tick or -1."""

    values: Tensor
    row: Tensor

    @classmethod
    def of(cls, data: SupervisedData, rows: np.ndarray, kept: np.ndarray) -> _Labels:
        """Standardise by the labelled ``rows``, and look up those ``kept`` to train on."""
        row = torch.full((len(data.lengths), int(data.lengths.max())), -1)
        row[data.train[0][kept], data.train[1][kept]] = torch.from_numpy(kept)
        return cls(torch.from_numpy(_standardised(data.targets.values, rows)).float(), row)

    def at(self, windows: Windows, num_positions: int) -> tuple[Tensor, Tensor]:
        """Return labels ``(B, P, T)`` and which positions have one ``(B, P)``."""
        found = self.row[windows.lane[:, None], windows.tick[:, -num_positions:].clamp(min=0)]
        return self.values[found.clamp(min=0)], (found >= 0) & windows.valid[:, -num_positions:]


def train_supervised(data: SupervisedData, recipe: SupervisedRecipe, rows: np.ndarray) -> tuple[SupervisedNet, float]:
    """Train on the labelled rows, keeping the weights that were best on held-out labelled episodes.

    Where most ticks have a label, a window serves all its positions at once; else only its last.

    Args:
        data: windows and labels.
        recipe: the training.
        rows: labelled rows of ``data.train``; a fifth of their episodes is held out.

    Returns:
        The network and its error on the held-out rows, in units of the targets' variance.
    """
    held = _held_out(data.targets.episodes[rows])
    fit, validation = rows[~held], rows[held][:: max(1, int(held.sum()) // NUM_VALIDATION)]
    generator = torch.Generator().manual_seed(recipe.seed)
    labels = _Labels.of(data, rows, fit)
    network = SupervisedNet(recipe.make_encoder(recipe.seed), labels.values.shape[1])
    context, weight = network.encoder.context_ticks, data.weights()
    held_windows = _windows(data, validation, context)
    steps = steps_for(len(rows), len(data.targets.values), recipe.steps)
    dense = len(rows) * 2 > len(data.targets.values)
    positions, num_windows = (DENSE_POSITIONS, DENSE_BATCH) if dense else (1, SPARSE_BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / steps))
    best, best_error = copy.deepcopy(network.state_dict()), 1.0
    for step in range(1, steps + 1):
        batch = fit[torch.randint(len(fit), (num_windows,), generator=generator).numpy()]
        windows = _windows(data, batch, context + positions - 1).limit_frames(MAX_FRAMES)
        truth, present = labels.at(windows, positions)
        guess = network(_jittered(network.encoder, windows, recipe.jitter, generator))
        loss = masked_mean((guess - truth).square() @ weight, present)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % max(1, steps // CHECKS) == 0 or step == steps:
            error = _error(network, held_windows, labels.values[validation], weight)
            if error < best_error:
                best, best_error = copy.deepcopy(network.state_dict()), error
    network.load_state_dict(best)
    return network.eval(), best_error


def _rate(progress: float) -> float:
    """Return the learning rate over its peak: up in a tenth of the training, then down a half cosine."""
    return 0.5 + 0.5 * math.cos(math.pi * progress) if progress >= 0.1 else (progress + 0.01) / 0.11


def _windows(data: SupervisedData, rows: np.ndarray, length: int) -> Windows:
    lanes, ends = (torch.from_numpy(values[rows]) for values in data.train)
    return data.buffer.gather(lanes, ends, length)


def _standardised(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return (values - values[rows].mean(axis=0)) / feature_scale(values[rows])


@torch.no_grad()
def _error(network: SupervisedNet, windows: Windows, labels: Tensor, weight: Tensor) -> float:
    return float(((network(windows)[:, 0] - labels).square() @ weight).mean())


def supervised_predictor(data: SupervisedData, recipe: SupervisedRecipe) -> Predictor:
    """Return the ceiling as a `Predictor`; only the first `NUM_DRAWS` draws of labels are trained on."""

    def predict(draws: Sequence[np.ndarray]) -> list[np.ndarray]:
        guesses = []
        for rows in draws[:NUM_DRAWS]:
            network, _ = train_supervised(data, recipe, rows)
            every_tick = map_episodes(network, data.buffer, data.lengths, np.unique(data.test[0]))
            lanes = np.searchsorted(np.unique(data.test[0]), data.test[0])
            middle, scale = data.targets.values[rows].mean(axis=0), feature_scale(data.targets.values[rows])
            guesses.append(every_tick[lanes, data.test[1]].astype(np.float64) * scale + middle)
        return guesses

    return predict
