"""The frozen probe set: the same episodes for every run and encoder, with the privileged state beside them.

Privileged state and noise-free readings are kept apart from the ticks: what encoders are shown is made from `ticks`
alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.config import EnvConfig
from embodied_ssl.errors import RunError, SpecError
from embodied_ssl.evaluate.action_sources import PATTERN, action_sequences
from embodied_ssl.sources.envs import backend_of, make_env
from embodied_ssl.sources.host_env import on_host
from embodied_ssl.sources.simulation import TickMaker
from embodied_ssl.spec import StreamSpec, Tick

PROBE_SEED = 7_301
MAX_EPISODE_TICKS = 300
"""Longer episodes are cut here, so that an env without an end cannot hold up the evaluation."""

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class ProbeSet:
    """Episodes side by side, one a lane; training episodes first.

    Attributes:
        spec: the sensors.
        ticks: T ticks of all N lanes; in a lane only the first ``lengths[lane]`` count.
        privileged: name to ``(T, N, ...)``; empty when the env tells nothing.
        clean: vector sensor to noise-free readings ``(T, N, ...)``; empty when the env tells nothing.
        groups: probe group to the privileged names it averages over.
        kinds: ``N`` kinds of episode.
        lengths: ``(N,)`` ticks of each episode, the first observation and the final one included.
        num_train: the first ``num_train`` lanes train read-outs, the others are only scored.
        camera_backend: what drew the frames; ``none`` without cameras.
        content_hash: SHA-256 over all arrays above.
        known_from: ``(N,)`` the tick of each lane from which the privileged state is known; None: the first.
    """

    spec: StreamSpec
    ticks: tuple[Tick, ...]
    privileged: Arrays
    clean: Arrays
    groups: Mapping[str, tuple[str, ...]]
    kinds: tuple[str, ...]
    lengths: np.ndarray
    num_train: int
    camera_backend: str
    content_hash: str
    known_from: np.ndarray | None = None

    @property
    def num_episodes(self) -> int:
        """Episodes N."""
        return len(self.kinds)

    def buffer(self) -> StreamBuffer:
        """Return a buffer that holds every tick, to gather windows from."""
        buffer = StreamBuffer(self.spec, self.num_episodes, len(self.ticks), shapes=())
        for tick in self.ticks:
            buffer.append(tick)
        return buffer

    def ends(self, context_ticks: int, horizon_ticks: int, stride: int, test: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return lanes and ends ``(n,)`` of the windows to use: whole context before, whole horizon after, state known.

        Args:
            context_ticks: ticks up to and with the end.
            horizon_ticks: ticks after it.
            stride: every how many ticks.
            test: whether to take the test episodes or the training episodes.
        """
        chosen = range(self.num_train, self.num_episodes) if test else range(self.num_train)
        known = np.zeros(self.num_episodes, np.int64) if self.known_from is None else self.known_from
        first = np.maximum(context_ticks - 1, known)
        ends = {lane: np.arange(first[lane], self.lengths[lane] - horizon_ticks, stride) for lane in chosen}
        lanes = np.concatenate([np.full(len(values), lane) for lane, values in ends.items()])
        return lanes, np.concatenate(list(ends.values()))


def collect_probe_set(
    env_config: EnvConfig,
    spec: StreamSpec,
    train_episodes: int,
    test_episodes: int,
    context_ticks: int,
    camera_backend: str = "none",
) -> ProbeSet:
    """Run the probe episodes in fresh envs with a seed of their own.

    Args:
        env_config: the run's env; its number of lanes is not used.
        spec: the learner's sensors, which the env must have.
        train_episodes: episodes to train read-outs on.
        test_episodes: episodes to score.
        context_ticks: an episode must be longer than this to be of use.
        camera_backend: the recorded one; ``none`` without cameras.

    Returns:
        The probe set, identical for identical arguments, versions and camera back end.

    Raises:
        SpecError: the env's sensors are not those of ``spec``.
        RunError: the recorded camera back end does not work here, or every episode ended before ``context_ticks``.
    """
    env = on_host(make_env(env_config, train_episodes + test_episodes, camera_backend))
    try:
        recording = _record(env, spec, PROBE_SEED)
        backend, groups = backend_of(env), privileged_groups(env.metadata or {}, recording.privileged)
    finally:
        env.close()
    if int(recording.lengths.max()) <= context_ticks:
        raise RunError(f"probe episodes last at most {recording.lengths.max()} ticks, expected over {context_ticks}")
    return ProbeSet(
        spec,
        tuple(recording.ticks),
        recording.privileged,
        recording.clean,
        groups,
        recording.kinds,
        recording.lengths,
        train_episodes,
        backend,
        content_hash(recording),
    )


def privileged_groups(metadata: Mapping[str, Any], privileged: Arrays) -> dict[str, tuple[str, ...]]:
    """Sort privileged names into probe groups.

    The env's ``metadata["privileged"][name]["group"]`` says which; what has no group is in ``other``.

    Args:
        metadata: of the env.
        privileged: the recorded arrays by name.

    Returns:
        Group to names, in the order in which they come.
    """
    declared = metadata.get("privileged", {})
    groups: dict[str, tuple[str, ...]] = {}
    for name in privileged:
        group = declared.get(name, {}).get("group", "other")
        groups[group] = (*groups.get(group, ()), name)
    return groups


@dataclass(frozen=True)
class Recording:
    """What came out of the envs, before it is split: see `ProbeSet`."""

    ticks: list[Tick]
    privileged: Arrays
    clean: Arrays
    kinds: tuple[str, ...]
    lengths: np.ndarray


def _record(env: VectorEnv, spec: StreamSpec, seed: int) -> Recording:
    """Step all lanes until the first episode of each has ended."""
    if env.metadata.get("autoreset_mode") == AutoresetMode.DISABLED:
        raise SpecError("the probe set needs an env that resets by itself; fix: autoreset_mode NEXT_STEP")
    maker = TickMaker(env, spec)
    kinds = tuple(PATTERN[episode % len(PATTERN)] for episode in range(env.num_envs))
    actions = action_sequences(kinds, MAX_EPISODE_TICKS, spec.action_size, spec.control_hz, seed)
    observation, info = env.reset(seed=seed)
    ticks, infos = [_compact(maker.reset(observation, info))], [_beside(info)]
    lengths = np.zeros(env.num_envs, np.int64)
    for action in actions:
        scaled = maker.to_env(action)
        observation, reward, terminated, truncated, info = env.step(scaled)
        # Under SAME_STEP the second tick starts the next episode: of no use here.
        tick = maker.step(scaled, observation, reward, terminated, truncated, info)[0]
        ticks.append(_compact(tick))
        infos.append(_beside(info))
        lengths = np.where((lengths == 0) & (tick.terminated | tick.truncated), len(ticks), lengths)
        if lengths.all():
            break
    lengths = np.where(lengths == 0, len(ticks), lengths)
    return Recording(ticks, _stack(infos, "privileged"), _stack(infos, "clean"), kinds, lengths)


def _compact(tick: Tick) -> Tick:
    """Drop the rows of sensors that delivered nothing in this tick: held frames would be most of the memory."""
    empty = {name for name, fresh in tick.fresh.items() if not fresh.any()}

    def cut(table: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: values[:, :0] if name in empty else values for name, values in table.items()}

    rows = {name: values.copy() if name in empty else values for name, values in cut(tick.rows).items()}
    return dataclasses.replace(tick, rows=rows, fresh=cut(tick.fresh), age_s=cut(tick.age_s))


def _beside(info: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    return {
        section: {key: np.array(values, dtype=np.float32) for key, values in info.get(section, {}).items()}
        for section in ("privileged", "clean")
    }


def _stack(infos: list[dict[str, dict[str, np.ndarray]]], section: str) -> dict[str, np.ndarray]:
    return {key: np.stack([info[section][key] for info in infos]) for key in infos[0][section]}


def _arrays(recording: Recording) -> Iterator[tuple[str, np.ndarray]]:
    for number, tick in enumerate(recording.ticks):
        for field in dataclasses.fields(tick):
            value = getattr(tick, field.name)
            parts = value.items() if isinstance(value, Mapping) else [("", value)]
            yield from ((f"{number}/{field.name}/{key}", array) for key, array in parts)
    for section, table in (("privileged", recording.privileged), ("clean", recording.clean)):
        yield from ((f"{section}/{key}", array) for key, array in table.items())
    yield "lengths", recording.lengths


def content_hash(recording: Recording) -> str:
    """Return the SHA-256 over names, shapes, types and bytes of every array of a recording."""
    digest = hashlib.sha256("/".join(recording.kinds).encode())
    for name, array in sorted(_arrays(recording), key=lambda item: item[0]):
        digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
