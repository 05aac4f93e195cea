"""Every setting of a run, as frozen dataclasses whose defaults are the complete quickstart.

Precedence: defaults < YAML file < command line. Reading files is in `embodied_ssl.config_file`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from embodied_ssl.errors import ConfigError


def _require(ok: bool, key: str, value: object, expected: str) -> None:
    if not ok:
        raise ConfigError(f"{key} is {value!r}, expected {expected}")


@dataclass(frozen=True)
class EnvConfig:
    """Where the streams come from."""

    id: str = "embodied_envs:Embodied/Runner-v0"
    """Gymnasium id; `module:Name-v0` imports the module first."""
    num_lanes: int = 16
    """Robots side by side."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Passed to the env's constructor."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.num_lanes > 0, "env.num_lanes", self.num_lanes, "at least 1")


@dataclass(frozen=True)
class BufferConfig:
    """How much of the stream is kept."""

    capacity_ticks: int = 2048
    """Ticks kept per lane."""
    guard_ticks: int = 8
    """Oldest ticks that readers leave alone while a writer may overwrite them."""
    storage: Literal["auto", "device", "host", "disk"] = "auto"
    """`device`, `host` memory or `disk`; `auto`: on the device if there is ample room, else on the host."""
    folder: str = ""
    """For `disk`: a folder for files without a name, which are gone when the run ends."""

    def __post_init__(self) -> None:
        """Check ranges."""
        expected = "a folder for storage 'disk', and only for that"
        _require((self.storage == "disk") == bool(self.folder), "buffer.folder", self.folder, expected)
        _require(self.guard_ticks >= 0, "buffer.guard_ticks", self.guard_ticks, "0 or more")
        _require(self.capacity_ticks > 0, "buffer.capacity_ticks", self.capacity_ticks, "at least 1")


@dataclass(frozen=True)
class SamplingConfig:
    """Which windows of the history an update learns from."""

    half_life_ticks: float = 0.0
    """Ticks after which a window is drawn half as often; 0: all windows of the buffer alike."""
    uniform_share: float = 0.5
    """With a half-life: share of a batch that is drawn from all windows alike."""
    distinct_episodes: bool = False
    """Whether no episode comes twice in a batch, while there are enough of them."""
    kept_segments: int = 0
    """Long-term memory: pieces of the stream kept after the buffer has forgotten them; 0: none."""
    kept_share: float = 0.5
    """Share of a batch that comes from a full long-term memory."""
    segment_ticks: int = 64
    """Length of a kept piece: more than a window, at most a third of the buffer."""
    keep: Literal["random", "least_redundant"] = "random"
    """What is kept: a uniform sample of all pieces, or those least like another."""

    def __post_init__(self) -> None:
        """Check ranges."""
        infinity = float("inf")
        _require(0 <= self.half_life_ticks < infinity, "sampling.half_life_ticks", self.half_life_ticks, "0 or more")
        for name in ("uniform_share", "kept_share"):
            _require(0 <= getattr(self, name) <= 1, f"sampling.{name}", getattr(self, name), "in [0, 1]")
        _require(self.kept_segments >= 0, "sampling.kept_segments", self.kept_segments, "0 or more")
        _require(self.segment_ticks > 0, "sampling.segment_ticks", self.segment_ticks, "at least 1")


@dataclass(frozen=True)
class EncoderConfig:
    """The network that turns a stream into an embedding."""

    context_ticks: int = 16
    """Ticks an embedding sees: its finite receptive field."""
    features_dim: int = 128
    """Width of the embedding."""
    hidden_dim: int = 256
    """Width of the hidden layers."""
    image_dim: int = 32
    """Width of the token of one camera frame."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("context_ticks", "features_dim", "hidden_dim", "image_dim"):
            _require(getattr(self, name) > 0, f"encoder.{name}", getattr(self, name), "at least 1")


@dataclass(frozen=True)
class LearnerConfig:
    """The self-supervised update."""

    batch_size: int = 64
    """Windows in an update."""
    windows_per_episode: int = 8
    """Windows of a batch that share an episode, so that contrast cannot be solved by episode identity."""
    horizon_ticks: int = 15
    """Ticks a window reaches past the context: how far predictions and positives go."""
    max_frames: int = 64
    """Camera frames encoded in an update; windows beyond that see the camera as missing."""
    lr: float = 1e-3
    """AdamW learning rate, constant after warm-up."""
    warmup_updates: int = 100
    """Updates over which the learning rate rises linearly."""
    weight_decay: float = 1e-4
    """Decoupled weight decay of matrices."""
    clip_norm: float = 1.0
    """Largest global gradient norm."""
    ema_tau: float = 0.01
    """Share of the online weights that enters the target encoder at each update."""
    update_to_data_ratio: float = 0.06
    """Updates per environment step (lane-step)."""
    learning_starts: int = 1600
    """Environment steps before the first update."""
    publish_every: int = 50
    """Updates between published snapshots."""
    sensor_dropout: float = 0.1
    """Chance that a window hides one sensor from the online encoder."""
    jitter: float = 0.1
    """Standard deviation of noise added to standardised vector sensors, each view its own."""
    shift_pixels: int = 4
    """Largest random shift of images, each view its own."""

    def __post_init__(self) -> None:
        """Check ranges and combinations."""
        for name in ("batch_size", "windows_per_episode", "horizon_ticks", "publish_every"):
            _require(getattr(self, name) > 0, f"learner.{name}", getattr(self, name), "at least 1")
        _require(self.lr > 0, "learner.lr", self.lr, "a positive number")
        _require(0 < self.ema_tau <= 1, "learner.ema_tau", self.ema_tau, "in (0, 1]")
        _require(self.update_to_data_ratio > 0, "learner.update_to_data_ratio", self.update_to_data_ratio, "positive")
        _require(
            self.batch_size % self.windows_per_episode == 0,
            "learner.batch_size",
            self.batch_size,
            f"a multiple of learner.windows_per_episode ({self.windows_per_episode})",
        )
        _require(0 <= self.sensor_dropout < 1, "learner.sensor_dropout", self.sensor_dropout, "in [0, 1)")
        _require(self.clip_norm > 0, "learner.clip_norm", self.clip_norm, "a positive number")
        for name in ("weight_decay", "jitter", "shift_pixels", "warmup_updates", "learning_starts"):
            _require(getattr(self, name) >= 0, f"learner.{name}", getattr(self, name), "0 or more")
        _require(self.max_frames > 0, "learner.max_frames", self.max_frames, "at least 1")


@dataclass(frozen=True)
class HealthConfig:
    """Gauges of the representation and what they may do."""

    every: int = 25
    """Updates between two readings of the gauges."""
    max_bad_updates: int = 5
    """Non-finite updates in a row after which the learner rolls back to the last healthy snapshot."""
    min_rank_fraction: float = 0.05
    """Effective rank over width below which the representation counts as collapsed: roll back."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.every > 0, "health.every", self.every, "at least 1")
        _require(self.max_bad_updates > 0, "health.max_bad_updates", self.max_bad_updates, "at least 1")


@dataclass(frozen=True)
class AgentConfig:
    """The policy that acts on the embedding."""

    name: Literal["sac", "none"] = "sac"
    """`sac`, or `none` to collect with coloured noise only."""
    encoder_grad: Literal["frozen", "ssl", "critic", "ssl+critic"] = "ssl"
    """Which losses move the encoder; the actor's never does."""
    learning_starts: int = 3200
    """Environment steps of coloured noise before the policy acts and learns."""
    noise_lanes: int = 4
    """Lanes that explore with coloured noise for good, so that the encoder keeps seeing more than the policy does."""
    updates_per_step: float = 0.2
    """Agent updates per environment step."""
    batch_size: int = 256
    """Transitions in an agent update."""
    minibatches: int = 4
    """Agent updates made from one encode."""
    hidden_dim: int = 128
    """Width of actor and critics."""
    gamma: float = 0.97
    """Discount a tick."""
    tau: float = 0.01
    """Polyak step of the target critics."""
    lr: float = 1e-3
    """Adam learning rate of actor, critics and temperature."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(0 <= self.gamma < 1, "agent.gamma", self.gamma, "in [0, 1)")
        _require(0 < self.tau <= 1, "agent.tau", self.tau, "in (0, 1]")
        _require(self.lr > 0, "agent.lr", self.lr, "a positive number")
        _require(self.noise_lanes >= 0, "agent.noise_lanes", self.noise_lanes, "0 or more")
        _require(self.updates_per_step >= 0, "agent.updates_per_step", self.updates_per_step, "0 or more")
        for name in ("minibatches", "batch_size", "hidden_dim"):
            _require(getattr(self, name) > 0, f"agent.{name}", getattr(self, name), "at least 1")
        _require(
            self.name != "none" or "critic" not in self.encoder_grad,
            "agent.encoder_grad",
            self.encoder_grad,
            "ssl or frozen with agent.name none: there is no critic",
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured after the run, on the frozen probe set."""

    train_episodes: int = 48
    """Probe episodes that train read-outs."""
    test_episodes: int = 24
    """Probe episodes that are only scored."""
    return_episodes: int = 16
    """Episodes for the return of the policy and of random actions."""
    supervised_steps: int = 400
    """Gradient steps of the supervised ceiling at all labels."""
    mlp_probe: bool = False
    """Whether a small network reads out beside the ridge, at all labels."""
    enabled: bool = True
    """Whether `train` evaluates when it is done."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.train_episodes > 1, "evaluation.train_episodes", self.train_episodes, "at least 2")
        for name in ("test_episodes", "return_episodes", "supervised_steps"):
            _require(getattr(self, name) > 0, f"evaluation.{name}", getattr(self, name), "at least 1")


@dataclass(frozen=True)
class LogConfig:
    """Recordings to learn from, instead of an env; `embodied-ssl pretrain`."""

    paths: list[str] = field(default_factory=list)
    """Logs; several may have different sensors."""
    mode: Literal["shuffle", "replay"] = "shuffle"
    """`shuffle` draws from all of them at once; `replay` lets a recorded run flow through the buffer as it did live."""
    control_hz: float = 0.0
    """Ticks a second that recordings of packets are aligned to; 0: as the logs say."""
    sensors: list[str] = field(default_factory=list)
    """Names of the sensors to learn from; empty: all."""
    max_gap_s: float = 0.0
    """Silence of all sensors of a recording of packets after which a new episode begins; 0: as their rates say."""
    frozen_s: float = 0.0
    """Time after which a sensor of packets whose values stand still is masked as frozen; 0: never."""
    saturated_s: float = 0.0
    """Time after which a sensor of packets that stays at its least or greatest value is masked; 0: never."""
    holdout: float = 0.1
    """Share of the episodes that is kept for evaluation; of a log with few episodes, of each one's end."""
    skip_corrupt: bool = False
    """Whether damaged chunks of a log are left out, and counted, instead of ending the run."""
    cache_dir: str = ""
    """Folder where logs are decoded once and read from, for logs larger than memory; empty: they are kept in memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        rate_fits = self.control_hz == 0 or 0.001 <= self.control_hz < float("inf")
        _require(rate_fits, "log.control_hz", self.control_hz, "a rate of at least 0.001, or 0")
        for name in ("max_gap_s", "frozen_s", "saturated_s"):
            _require(0 <= getattr(self, name) < float("inf"), f"log.{name}", getattr(self, name), "a time, or 0")
        _require(0 <= self.holdout < 1, "log.holdout", self.holdout, "in [0, 1)")


@dataclass(frozen=True)
class Config:
    """A whole run."""

    name: str = "quickstart"
    """Name of the run folder."""
    runs_dir: str = "runs"
    """Folder of run folders."""
    seed: int = 0
    """Root of every generator."""
    device: str = "auto"
    """`auto` (GPU when there is one), `cpu`, `cuda`, `cuda:1`, ..."""
    env_steps: int = 24_000
    """Environment steps (lane-steps) of the run."""
    synchronous: bool = False
    """Act and learn in turn: deterministic; else they overlap in threads."""
    checkpoint_every: int = 400
    """Learner updates between checkpoints."""
    keep_checkpoints: int = 3
    """Newest checkpoints kept."""
    objectives: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "temporal_contrast": {"weight": 0.1},
            "forward_prediction": {"weight": 1.0},
            "inverse_dynamics": {"weight": 0.1},
            "sensor_reconstruction": {"weight": 1.0},
            "spread": {"weight": 0.01},
        }
    )
    """Objectives by name, each with its weight and options."""
    sinks: list[str] = field(default_factory=lambda: ["jsonl"])
    """Metric sinks: `jsonl` always; `tensorboard`, `wandb` when their extras are installed."""
    record: str = ""
    """Log to record the stream into while it is learned from, such as `walk.zarr`; empty: none."""
    encoder_from: str = ""
    """Run whose encoder this one begins with; empty: a new one. Also written `--encoder RUN`."""
    env: EnvConfig = field(default_factory=EnvConfig)
    log: LogConfig = field(default_factory=LogConfig)
    buffer: BufferConfig = field(default_factory=BufferConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        """Check what concerns more than one section."""
        for name in ("env_steps", "checkpoint_every", "keep_checkpoints"):
            _require(getattr(self, name) > 0, name, getattr(self, name), "at least 1")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        needed = self.encoder.context_ticks + self.learner.horizon_ticks + self.buffer.guard_ticks
        _require(
            self.buffer.capacity_ticks > needed,
            "buffer.capacity_ticks",
            self.buffer.capacity_ticks,
            f"more than context + horizon + guard ({needed})",
        )
        window, third = self.encoder.context_ticks + self.learner.horizon_ticks, self.buffer.capacity_ticks // 3
        _require(
            self.sampling.kept_segments == 0 or window < self.sampling.segment_ticks <= third,
            "sampling.segment_ticks",
            self.sampling.segment_ticks,
            f"more than context + horizon ({window}) and at most a third of buffer.capacity_ticks ({third})",
        )
        _require(
            self.sampling.kept_segments == 0 or not self.log.paths or self.log.mode == "replay",
            "sampling.kept_segments",
            self.sampling.kept_segments,
            "0 with log.mode shuffle: nothing is forgotten there",
        )
        _require(bool(self.objectives), "objectives", self.objectives, "at least one objective")
