"""Predict-then-learn forward skill: the newest readings are predicted before any update has seen them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from embodied_ssl.buffer.windows import Windows
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.objectives.forward import ForwardPrediction

HORIZONS = (1, 5, 15)
"""Ticks ahead at which skill is measured, as far as the window reaches."""
PENALTIES = (1e-2, 1e-4)
"""Ridge strengths of the linear reference, in mean diagonals. Both are scored, the better one counts: the strong one
is needed while rows are few, and on smooth signals it alone is several times worse than the best linear forecast."""


@dataclass
class RidgeReference:
    """A linear autoregression with actions, fitted by normal equations that forget slowly.

    Attributes:
        gram: ``(F, F)``.
        cross: ``(F, S)``.
    """

    gram: Tensor
    cross: Tensor
    decay: float = 0.999
    _solved: dict[float, Tensor] = field(default_factory=dict)

    @classmethod
    def empty(cls, features: int, readings: int) -> RidgeReference:
        """Return the reference that has seen nothing and predicts 0, the running mean."""
        return cls(torch.zeros(features, features), torch.zeros(features, readings))

    def learn(self, features: Tensor, readings: Tensor) -> None:
        """Add rows ``(n, F)`` and targets ``(n, S)``."""
        self.gram = self.decay * self.gram + features.T @ features
        self.cross = self.decay * self.cross + features.T @ readings
        self._solved.clear()

    def predict(self, features: Tensor, penalty: float) -> Tensor:
        """Return ``(n, S)``; ``penalty`` is a share of the mean diagonal."""
        if penalty not in self._solved:  # predictions are made at every update, fits now and then
            scale = self.gram.diagonal().mean().clamp(min=1e-3)
            system = self.gram + penalty * scale * torch.eye(len(self.gram))
            self._solved[penalty] = torch.linalg.solve(system, self.cross)
        return features @ self._solved[penalty]


@dataclass
class SkillGauge:
    """Forward skill against the best of persistence, running mean and a linear autoregression, per sensor.

    All in standardised sensor units on the host. Errors are summed with exponential forgetting, so the skill is that
    of the last few hundred predictions.
    """

    encoder: StreamEncoder
    forward: ForwardPrediction
    forgetting: float = 0.98
    references: dict[int, RidgeReference] = field(default_factory=dict)
    errors: dict[int, Tensor] = field(default_factory=dict)  # horizon -> (model and references, sensors)

    @property
    def horizons(self) -> list[int]:
        """The horizons that the objective was built for."""
        return [h for h in HORIZONS if h <= self.forward.dims.horizon_ticks]

    @torch.no_grad()
    def predict(self, windows: Windows) -> None:
        """Score predictions of the last tick of ``windows``, which no update has seen yet."""
        embedding = self.encoder(windows)
        readings, mask = self.encoder.readings(windows)
        for horizon in self.horizons:
            anchor = embedding[:, -1 - horizon]
            predicted = self.forward.predict_readings(anchor, windows.action[:, -horizon:])[:, -1].cpu()
            features = self._features(windows, readings, mask, horizon)
            target, present = readings[:, -1].cpu(), mask[:, -1].cpu()
            reached = (windows.valid[:, -1 - horizon]).cpu()[:, None] & present
            reference = self._reference(horizon, features.shape[1], target.shape[1])
            guesses = [predicted, readings[:, -1 - horizon].cpu(), torch.zeros_like(target)]
            guesses += [reference.predict(features, penalty) for penalty in PENALTIES]
            errors = torch.stack([self._by_sensor((guess - target).square() * reached) for guess in guesses])
            if torch.isfinite(errors).all():  # else the sums would stay ill after a roll-back
                self.errors[horizon] = self.forgetting * self.errors.get(horizon, torch.zeros_like(errors)) + errors

    @torch.no_grad()
    def learn(self, windows: Windows) -> None:
        """Let the linear references learn from the last tick of ``windows`` of the buffer.

        They see fewer rows than the model, so early in a run they are weaker than they could be, and this gauge is
        kinder than the skill that `embodied_ssl.evaluate` measures.
        """
        readings, mask = self.encoder.readings(windows)
        for horizon in self.horizons:
            features = self._features(windows, readings, mask, horizon)
            reached = (windows.valid[:, -1 - horizon]).cpu()
            target = (readings[:, -1] * mask[:, -1]).cpu()
            self._reference(horizon, features.shape[1], target.shape[1]).learn(features[reached], target[reached])

    def read(self) -> dict[str, float]:
        """Return the skill by horizon, median over sensors; nothing before the first prediction."""
        skills = {}
        for horizon, errors in self.errors.items():
            best = errors[1:].amin(0)
            skills[f"skill_{horizon}"] = float((1 - errors[0] / best.clamp(min=1e-9)).median())
        return skills

    def _reference(self, horizon: int, features: int, readings: int) -> RidgeReference:
        if horizon not in self.references:
            self.references[horizon] = RidgeReference.empty(features, readings)
        return self.references[horizon]

    def _features(self, windows: Windows, readings: Tensor, mask: Tensor, horizon: int) -> Tensor:
        """Return ``(B, F)``: readings and actions of the context up to the anchor, actions after it, and 1."""
        context = self.encoder.context_ticks
        stop = readings.shape[1] - horizon
        past = (readings * mask)[:, stop - context : stop].flatten(1)
        actions = windows.action[:, stop - context :].flatten(1)
        return torch.cat([past, actions, torch.ones(len(past), 1, device=past.device)], dim=1).cpu()

    def _by_sensor(self, squares: Tensor) -> Tensor:
        """Sum ``(B, S)`` over the batch and over each sensor's values: ``(sensors,)``."""
        return torch.stack([part.sum() for part in squares.split(self.encoder.sensor_dims, dim=1)])

    def state(self) -> dict[str, Tensor]:
        """Return all tensors of an exact resume."""
        tensors = {f"errors.{h}": errors for h, errors in self.errors.items()}
        tensors |= {f"gram.{h}": r.gram for h, r in self.references.items()}
        return tensors | {f"cross.{h}": r.cross for h, r in self.references.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore `state`."""
        for key, value in tensors.items():
            kind, horizon = key.split(".")
            if kind == "errors":
                self.errors[int(horizon)] = value
            elif kind == "gram":
                self.references[int(horizon)] = RidgeReference(value, tensors[f"cross.{horizon}"])
