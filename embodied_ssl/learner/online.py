"""The online learner: a buffer that fills, a model that learns from it, and the versions it publishes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from embodied_ssl.buffer.disk import discard
from embodied_ssl.buffer.sampling.from_config import window_source
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import Config
from embodied_ssl.encoders.stream_encoder import StreamEncoder
from embodied_ssl.errors import CheckpointError, ConfigError, nearest
from embodied_ssl.learner.batches import Batch, Batches, DirectBatches, PrefetchedBatches
from embodied_ssl.learner.checkpoint import write_checkpoint
from embodied_ssl.learner.draws import make_draws
from embodied_ssl.learner.model_state import flatten_optimizer, load_optimizer
from embodied_ssl.learner.snapshots import Snapshot, debiased_cka, relative_shift
from embodied_ssl.learner.stream import Stream
from embodied_ssl.learner.update import SSLModel, Update
from embodied_ssl.objectives import OBJECTIVES, Dims, Objective
from embodied_ssl.sources.simulation import stream_spec
from embodied_ssl.spec import StreamSpec

NUM_ANCHORS = 256
"""Windows of the fixed set on which the drift of a publication is measured."""


def pick_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` is a GPU when there is one.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device is {name!r}, which is not usable here ({reason}); use auto or cpu") from None


def window_shape(config: Config) -> WindowShape:
    """Return the shape of the windows that updates draw."""
    return WindowShape(config.encoder.context_ticks, config.learner.horizon_ticks)


class OnlineLearner:
    """Learns an encoder from streams while they flow.

    Example:
        >>> learner = OnlineLearner.from_env(envs, objectives=["temporal_contrast", "forward_prediction"])
        >>> stream = learner.stream(envs)
        >>> stream.reset(*envs.reset(seed=0))
    """

    def __init__(self, spec: StreamSpec, num_lanes: int, config: Config, buffer: StreamBuffer | None = None) -> None:
        """Build encoder, objectives, buffer and optimiser from the spec and the config.

        Args:
            spec: the sensors.
            num_lanes: robots side by side, N.
            config: every setting; ``config.seed`` is the root of all generators.
            buffer: where the history is kept, of `window_shape`; None: one as ``config.buffer`` says.

        Raises:
            ConfigError: an objective, option or device is not known.
            BufferFullError: there is no room for the history.
        """
        self.spec, self.num_lanes, self.config = spec, num_lanes, config
        self.device = pick_device(config.device)
        self.shape = window_shape(config)
        self.buffer = buffer if buffer is not None else _build_buffer(spec, num_lanes, config, self.device)
        seeds = np.random.SeedSequence(config.seed).spawn(2)
        self.rng = np.random.default_rng(seeds[0])
        self.model = _build_model(spec, config, int(seeds[1].generate_state(1)[0])).to(self.device)
        self.update_step = Update(self.model, _weights(config), config.learner)
        self.batches: Batches = DirectBatches(self._make_batch, self.rng)
        self.num_updates = 0
        self._ticks_apart = 0  # lane-ticks on the clock that were not appended to this buffer
        self._updates_before = 0  # done by earlier lives of this learner, on streams that are not in this buffer
        self._anchors: Windows | None = None
        self._metrics_sum: Tensor | None = None
        self._metrics_count = 0
        self._bad_run = torch.zeros((), device=self.device)
        self.snapshot = Snapshot.of(self.model.encoder, version=0, updates=0)
        self.publications: list[dict[str, float]] = []
        self._healthy = self._clone()

    @classmethod
    def from_env(
        cls,
        env: VectorEnv,
        objectives: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
        config: Config | None = None,
    ) -> OnlineLearner:
        """Build a learner for the sensors of a vector env.

        Args:
            env: any Gymnasium vector env with Box or Dict observations and Box actions.
            objectives: names (weight 1), or names with weight and options; None: those of the config.
            config: every other setting; None: the defaults, which are the quickstart.
        """
        config = config or Config()
        if not isinstance(config, Config):
            raise ConfigError(f"config is {config!r}, expected a Config; load_config(path) reads one from a file")
        if isinstance(objectives, str):
            raise ConfigError(f"objectives is {objectives!r}, expected a list of names: [{objectives!r}]")
        if objectives is not None:
            options = objectives if isinstance(objectives, Mapping) else {name: {} for name in objectives}
            config = dataclasses.replace(config, objectives={name: dict(value) for name, value in options.items()})
        return cls(stream_spec(env), env.num_envs, config)

    def stream(self, env: VectorEnv, record: bool = True) -> Stream:
        """Return a stream of ``env``.

        Args:
            env: the vector env whose returns will be fed to the stream.
            record: keep the history in the learner's buffer and learn from it; False: a history of its own, just
                long enough to embed, for evaluation.
        """
        buffer = self.buffer
        if not record:
            shape = WindowShape(self.shape.context, 0)
            buffer = StreamBuffer(self.spec, env.num_envs, self.shape.context + 1, (shape,), self.device)
        return Stream(env, self.model.encoder, self, buffer)

    @property
    def buffer(self) -> StreamBuffer:
        """The history; given another one, sampling begins anew on that."""
        return self._buffer

    @buffer.setter
    def buffer(self, buffer: StreamBuffer) -> None:
        self._buffer = buffer
        self.window_source = window_source(self.config.sampling, buffer, self.shape)

    @property
    def env_steps(self) -> int:
        """Lane-ticks that have come in: those appended, unless `set_clock` says otherwise."""
        return self.buffer.num_ticks + self._ticks_apart

    def set_clock(self, env_steps: int) -> None:
        """Let `env_steps` go on from a number, for a source that shows what the buffer holds already."""
        self._ticks_apart = env_steps - self.buffer.num_ticks

    @property
    def num_due(self) -> int:
        """Updates that the update-to-data ratio allows now."""
        if self.buffer.num_legal(self.shape) < self.config.learner.batch_size:
            return 0
        past = self.env_steps - self.config.learner.learning_starts
        done = self.num_updates - self._updates_before
        return max(0, int(past * self.config.learner.update_to_data_ratio) - done)

    def require_batch(self) -> None:
        """Refuse a buffer that is as full as it will be and has too few windows for a single update.

        Raises:
            ConfigError: naming both numbers.
        """
        found, wanted = self.buffer.num_legal(self.shape), self.config.learner.batch_size
        if found < wanted:
            raise ConfigError(
                f"{found:,} windows of {self.shape.length} ticks can be drawn from all there is, expected at least "
                f"learner.batch_size ({wanted:,}): nothing would be learned; set it lower, or give more to learn from"
            )

    def update(self, max_updates: int | None = None) -> int:
        """Do as many updates as the ratio allows, at most ``max_updates``; publish on schedule.

        Returns:
            The number of updates done.
        """
        due = self.num_due if max_updates is None else min(max_updates, self.num_due)
        for _ in range(due):
            self._update_once()
            if self.num_updates % self.config.learner.publish_every == 0:
                self.publish()
        return due

    def _make_batch(self) -> Batch:
        config, objectives = self.config.learner, dict[str, Any](self.model.objectives.items())
        draws = make_draws(self.buffer, self.shape, config, objectives, self.rng, self.window_source)
        windows = draws.gather(self.buffer, self.shape.length)
        return Batch(windows.limit_frames(config.max_frames, config.windows_per_episode), draws)

    @contextmanager
    def prefetched(self) -> Iterator[None]:
        """Make batches ahead in a thread meanwhile.

        Updates are those that would be made without it as long as nothing is appended; where the buffer grows, batches
        are up to two updates old.
        """
        direct = self.batches
        self.batches = ahead = PrefetchedBatches(self._make_batch, self.rng, self.device)
        try:
            yield
        finally:
            ahead.close()
            self.batches = direct

    def _update_once(self) -> None:
        windows, draws = self.batches.next()
        metrics = self.update_step(windows, draws, self.num_updates)
        bad = metrics[-1]
        self._bad_run = (self._bad_run + 1) * bad
        # A bad update's figures are not finite: they are left out of the means, and counted.
        metrics = torch.cat([torch.where(bad > 0, torch.zeros_like(metrics[:-1]), metrics[:-1]), metrics[-1:]])
        self._metrics_sum = metrics if self._metrics_sum is None else self._metrics_sum + metrics
        self._metrics_count += 1
        self.num_updates += 1

    def read_metrics(self) -> dict[str, float]:
        """Return the mean of every metric since the last call, and reset; waits for the device."""
        if self._metrics_sum is None:
            return {}
        values = self._metrics_sum.tolist()
        num_bad = values[-1]
        num_good = max(1.0, self._metrics_count - num_bad)
        means = {name: value / num_good for name, value in zip(self.update_step.metric_names, values, strict=True)}
        self._metrics_sum, self._metrics_count = None, 0
        return {**means, "bad": num_bad, "bad_run": float(self._bad_run)}

    def publish(self) -> Snapshot:
        """Publish the online encoder as the next version, and measure how far it moved from the last one."""
        fresh = Snapshot.of(self.model.encoder, self.snapshot.version + 1, self.num_updates)
        self.publications.append({"version": fresh.version, "updates": self.num_updates, **self._drift(fresh)})
        self.snapshot = fresh
        return fresh

    @torch.no_grad()
    def _drift(self, fresh: Snapshot) -> dict[str, float]:
        """Return CKA and relative shift between the last and the new version on the anchor windows."""
        if self._anchors is None:
            draws = np.random.default_rng(self.config.seed)
            if self.buffer.num_legal(self.shape) == 0:
                return {}
            lanes, ends = (
                torch.from_numpy(a).to(self.device) for a in self.buffer.draw(self.shape, NUM_ANCHORS, draws)
            )
            self._anchors = self.buffer.gather(lanes, ends, self.shape.context).limit_frames(NUM_ANCHORS)
        new = self.model.encoder(self._anchors)[:, 0]
        old = torch.func.functional_call(self.model.encoder, self.snapshot.weights, (self._anchors,))[:, 0]
        return {"drift_cka": float(debiased_cka(old, new)), "drift_relative": float(relative_shift(old, new))}

    def restart_schedule(self) -> None:
        """Let the update-to-data ratio count from now, for a learner that begins on an empty buffer."""
        self._updates_before = self.num_updates

    def save(self, folder: Path | str) -> None:
        """Write model, optimiser, published version, spec and config, but no buffer; `embodied_ssl.load` gives it back.

        Raises:
            CheckpointError: the disk refuses, or ``folder`` holds other things.
        """
        folder = Path(folder).absolute()
        if folder.exists() and not (folder / "manifest.json").is_file():
            raise CheckpointError(f"{folder} exists and is no saved learner; save to a new folder")
        facts = {
            "spec": self.spec.to_json(),
            "config": dataclasses.asdict(self.config),
            "num_lanes": self.num_lanes,
        }
        write_checkpoint(folder, {"learner": self.state()}, facts)

    def mark_healthy(self) -> None:
        """Keep the present model and optimiser as the state to roll back to."""
        self._healthy = self._clone()

    def roll_back(self) -> None:
        """Return model and optimiser to the last state marked healthy, and publish it."""
        self._load_model({name: value.clone() for name, value in self._healthy.items()})
        self._bad_run.zero_()
        self.publish()

    def _clone(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self._model_tensors().items()}

    def _model_tensors(self) -> dict[str, Tensor]:
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        return tensors | flatten_optimizer(self.update_step.optimizer)

    def _load_model(self, tensors: Mapping[str, Tensor]) -> None:
        prefix = "model."
        self.model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        load_optimizer(self.update_step.optimizer, tensors)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything but the rows of buffer and long-term memory, as tensors and JSON, for an exact resume."""
        tensors = self._clone()
        tensors |= {f"snapshot.{name}": value for name, value in self.snapshot.weights.items()}
        tensors |= {f"healthy.{name}": value for name, value in self._healthy.items()}
        tensors["bad_run"] = self._bad_run.clone()
        if self._metrics_sum is not None:
            tensors["metrics_sum"] = self._metrics_sum.clone()
        facts = {
            "num_updates": self.num_updates,
            "updates_before": self._updates_before,
            "metrics_count": self._metrics_count,
            "metric_names": self.update_step.metric_names,
            "snapshot": {"version": self.snapshot.version, "updates": self.snapshot.updates},
            "rng": self.batches.rng_state,
        }
        return tensors, facts

    def load_state(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Restore `state`; the buffer is restored apart from it."""
        self._load_model(tensors)
        weights = {
            k.removeprefix("snapshot."): v.to(self.device) for k, v in tensors.items() if k.startswith("snapshot.")
        }
        self.snapshot = Snapshot(facts["snapshot"]["version"], facts["snapshot"]["updates"], weights)
        self._healthy = {k.removeprefix("healthy."): v for k, v in tensors.items() if k.startswith("healthy.")}
        self._anchors = None  # redrawn: drift compares two versions on one set, whichever it is
        self._bad_run = tensors["bad_run"].to(self.device)
        self._metrics_sum = tensors["metrics_sum"].to(self.device) if "metrics_sum" in tensors else None
        self._metrics_count, self.num_updates = facts["metrics_count"], facts["num_updates"]
        self._updates_before = facts["updates_before"]
        self.update_step.metric_names = list(facts["metric_names"])
        self.rng.bit_generator.state = facts["rng"]


def _build_buffer(spec: StreamSpec, num_lanes: int, config: Config, device: torch.device) -> StreamBuffer:
    """Build the buffer of a stream that flows; its files on disk are in use without a name, so none is ever left."""
    sizes, folder = config.buffer, Path(config.buffer.folder)
    shapes, guard = (window_shape(config),), sizes.guard_ticks
    buffer = StreamBuffer(spec, num_lanes, sizes.capacity_ticks, shapes, device, guard, sizes.storage, folder)
    if sizes.storage == "disk":
        discard(folder)
    return buffer


def _weights(config: Config) -> dict[str, float]:
    weights = {}
    for name, options in config.objectives.items():
        weight = options.get("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
            raise ConfigError(f"objectives.{name}.weight is {weight!r}, expected a number of at least 0")
        weights[name] = float(weight)
    return weights


def _build_model(spec: StreamSpec, config: Config, seed: int) -> SSLModel:
    """Build encoder and objectives with weights drawn under ``seed``, leaving the global generator as it was."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        encoder = StreamEncoder(spec, config.encoder)
        dims = Dims(
            features_dim=encoder.features_dim,
            action_size=spec.action_size,
            sensor_dims=encoder.sensor_dims,
            context_ticks=config.encoder.context_ticks,
            horizon_ticks=config.learner.horizon_ticks,
            windows_per_episode=config.learner.windows_per_episode,
        )
        objectives = {name: _build_objective(name, dims, options) for name, options in config.objectives.items()}
        return SSLModel(encoder, objectives)


def _build_objective(name: str, dims: Dims, options: Mapping[str, Any]) -> Objective:
    kind = OBJECTIVES[name]
    allowed = set(inspect.signature(kind.__init__).parameters) - {"self", "dims"}
    for key in options:
        if key not in allowed | {"weight"}:
            raise ConfigError(f"objectives.{name} has no option {key!r}; {nearest(key, allowed | {'weight'})}")
    return kind(dims, **{key: value for key, value in options.items() if key != "weight"})
