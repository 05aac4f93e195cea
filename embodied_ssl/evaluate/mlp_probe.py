"""A small network beside the linear probe: how much is in the features, though not linearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from embodied_ssl.evaluate.probes import Predictor
from embodied_ssl.evaluate.ridge import episode_folds, feature_scale
from embodied_ssl.evaluate.targets import Targets


def _network(num_in: int, num_out: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    network = nn.Sequential(nn.Linear(num_in, hidden), nn.SiLU(), nn.Linear(hidden, num_out))
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
    return network


def fit_mlp(
    x: np.ndarray,
    y: np.ndarray,
    episodes: np.ndarray,
    generator: torch.Generator,
    hidden: int = 128,
    steps: int = 1500,
    batch: int = 256,
) -> nn.Module:
    """Train a one-hidden-layer network, keeping the weights that were best on held-out training episodes.

    Args:
        x: standardised features ``(n, p)`` float32.
        y: standardised targets ``(n, T)`` float32.
        episodes: ``(n,)`` episode of each row; a fifth of the episodes is held out.
        generator: source of the initial weights and the batches.
        hidden: hidden units.
        steps: AdamW steps.
        batch: rows a step.

    Returns:
        The network.
    """
    held = torch.from_numpy(episode_folds(episodes, 5) == 0)
    features, targets = torch.from_numpy(x), torch.from_numpy(y)
    fit_x, fit_y, val_x, val_y = features[~held], targets[~held], features[held], targets[held]
    network = _network(x.shape[1], y.shape[1], hidden, generator)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    best, best_error = {k: v.clone() for k, v in network.state_dict().items()}, float("inf")
    for step in range(1, steps + 1):
        rows = torch.randint(len(fit_x), (batch,), generator=generator)
        loss = (network(fit_x[rows]) - fit_y[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            with torch.no_grad():
                error = float((network(val_x) - val_y).square().mean())
            if error < best_error:
                best, best_error = {k: v.clone() for k, v in network.state_dict().items()}, error
    network.load_state_dict(best)
    return network


def mlp_predictor(train_x: np.ndarray, train: Targets, test_x: np.ndarray, seed: int) -> Predictor:
    """Return a small-network probe on fixed features as a `Predictor`.

    Args:
        train_x: ``(n, p)`` features of the training ticks.
        train: their targets.
        test_x: ``(m, p)`` features of the test ticks.
        seed: of the initial weights and batches.

    Returns:
        The predictor.
    """
    scale, centre = feature_scale(train_x), train_x.mean(axis=0)

    def standardise(features: np.ndarray) -> np.ndarray:
        return ((features - centre) / scale).astype(np.float32)

    def predict(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        guesses = []
        for draw in rows:
            generator = torch.Generator().manual_seed(seed)
            y = train.values[draw]
            middle, spread = y.mean(axis=0), feature_scale(y)
            labels = ((y - middle) / spread).astype(np.float32)
            network = fit_mlp(standardise(train_x[draw]), labels, train.episodes[draw], generator)
            with torch.no_grad():
                guess = network(torch.from_numpy(standardise(test_x))).numpy()
            guesses.append(guess.astype(np.float64) * spread + middle)
        return guesses

    return predict
