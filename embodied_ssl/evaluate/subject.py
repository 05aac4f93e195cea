"""What is evaluated: a run's published encoder and heads, restored from its newest good checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from embodied_ssl.config import Config
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.evaluate.forecasts import Forecaster
from embodied_ssl.evaluate.returns import Policy
from embodied_ssl.evaluate.skill import HORIZONS
from embodied_ssl.learner.checkpoint import Part, newest_good, read_checkpoint
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.objectives.forward import ForwardPrediction
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.spec import StreamSpec

PolicyLoader = Callable[[Config, OnlineLearner, Part], Policy | None]
"""Config, restored learner and the checkpoint's ``pilot`` part -> the deterministic policy; None when there is none."""


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Attributes:
        config: of the run.
        encoder: on the CPU, in evaluation mode; the published version that the policy acts on.
        forecaster: the forward-prediction head; None when the run trained none.
        policy: acts on the embedding; None when the run trained none.
        camera_backend: the recorded one.
        present: the head's readings of the anchor's own tick, as one step; None when the run trained none.
        logs: what the run remembers of the logs that it learned from; None: it learned in an env.
    """

    config: Config
    encoder: StreamEncoder
    forecaster: Forecaster | None
    policy: Policy | None
    camera_backend: str
    present: Forecaster | None = None
    logs: Sequence[Mapping[str, Any]] | None = None

    @property
    def horizons(self) -> tuple[int, ...]:
        """The horizons that the forward prediction was trained for."""
        return tuple(ticks for ticks in HORIZONS if ticks <= self.config.learner.horizon_ticks)


def load_subject(run: RunFolder, load_policy: PolicyLoader | None = None) -> Subject:
    """Restore what is evaluated from the newest good checkpoint; the buffer stays on disk."""
    folder, _ = newest_good(run.checkpoints_dir)
    parts, facts = read_checkpoint(folder)
    config = dataclasses.replace(run.config, device="cpu")
    learner = OnlineLearner(StreamSpec.from_json(facts["spec"]), 1, config)
    learner.load_state(*parts["learner"])
    encoder = learner.model.encoder
    encoder.load_state_dict(learner.snapshot.weights)
    heads = [head for head in learner.model.objectives.children() if isinstance(head, ForwardPrediction)]
    policy = load_policy(config, learner, parts["pilot"]) if load_policy is not None else None
    learner.model.eval().requires_grad_(False)
    logs = parts["log"][1].get("logs") if "log" in parts else None
    if not heads:
        return Subject(config, encoder, None, policy, facts["camera_backend"], logs=logs)
    head = heads[0]

    def present(embedding: Tensor, actions: Tensor) -> Tensor:
        return head.implied_readings(embedding)[:, None]

    return Subject(config, encoder, head.predict_readings, policy, facts["camera_backend"], present, logs)
