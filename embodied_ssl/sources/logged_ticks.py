"""One log seen as ticks: how many each lane has, where its episodes begin, the ticks in order, and probe targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from embodied_ssl.config import LogConfig
from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.tick_recorder import IS_FIRST, stream_names
from embodied_ssl.sources.alignment import Aligner, AlignmentSettings
from embodied_ssl.sources.alignment_spec import ActionBounds, action_bounds, of_role
from embodied_ssl.sources.replay import TickReplay, is_recording_of_ticks
from embodied_ssl.sources.replay_packets import LogTicks
from embodied_ssl.sources.replay_splits import episode_stretches
from embodied_ssl.spec import StreamSpec, Tick


@dataclass(frozen=True)
class LaneTicks:
    """What is known of one lane before its ticks are read.

    Attributes:
        time_ns: ``(T,)`` int64 time of every tick.
        is_first: ``(T,)`` bool: the tick begins an episode.
        number: of the lane in the log.
    """

    time_ns: np.ndarray
    is_first: np.ndarray
    number: int


class LoggedTicks(Protocol):
    """A log that gives ticks."""

    log: StreamLog
    spec: StreamSpec
    lanes: list[LaneTicks]

    def steps(self) -> Iterator[list[Tick]]:
        """Yield all steps from the beginning; the ticks of a lane come in the order of `lanes`."""
        ...


class RecordedTicks:
    """A recording of ticks."""

    def __init__(self, log: StreamLog) -> None:
        """Read where episodes begin."""
        self.log = log
        replay = TickReplay(log)
        self.spec = replay.spec
        heads = log.read(stream_names(replay.spec)["tick"])
        self.lanes = []
        for lane in range(replay.num_lanes):
            mine = heads.lane == lane
            # As the replay does: after a hole nothing of before may be seen.
            hole = np.diff(heads.tick[mine], prepend=-1) != 1
            is_first = (heads.data[mine, 0] & IS_FIRST > 0) | hole
            self.lanes.append(LaneTicks(heads.t_recv_ns[mine], is_first, lane))

    def steps(self) -> Iterator[list[Tick]]:
        """Yield the steps of the live run."""
        return iter(TickReplay(self.log))


class PacketTicks:
    """A log of packets, aligned; its lanes come one after another."""

    def __init__(self, log: StreamLog, control_hz: float, settings: AlignmentSettings) -> None:
        """Align once to learn how many ticks there are, where a silence cuts them, and when they are.

        Raises:
            LogError: the log has no sensor, or a setting does not fit it.
        """
        self.log, self._control_hz, self._settings = log, control_hz, settings
        self._numbers = sorted({episode.lane for episode in log.episodes}) or [0]
        self.spec = self._reader(self._numbers[0]).spec
        self.lanes = []
        for number in self._numbers:
            reader = self._reader(number)
            is_first = np.array([bool(tick.is_first[0]) for (tick,) in reader], bool)
            self.lanes.append(LaneTicks(np.array(reader.times, np.int64), is_first, number))

    def _reader(self, number: int) -> _TimedLogTicks:
        stretches = episode_stretches(self.log, number)
        return _TimedLogTicks(self.log, self._control_hz, self._settings, stretches)

    def steps(self) -> Iterator[list[Tick]]:
        """Yield steps of one tick each, lane after lane."""
        for place, number in enumerate(self._numbers):
            for (tick,) in self._reader(number):
                yield [dataclasses.replace(tick, lanes=np.array([place]))]


class _TimedLogTicks(LogTicks):
    """Keeps the time of every tick that was made: probe targets are looked up by it."""

    times: list[int]

    def _aligner(self) -> Aligner:
        aligner = super()._aligner()
        self.times = getattr(self, "times", [])
        made, times = aligner._rows.ticks, self.times

        def ticks(at: np.ndarray, *rest: Any) -> Iterator[Tick]:
            times.extend(at.tolist())
            return made(at, *rest)

        aligner._rows.ticks = ticks  # pyright: ignore[reportAttributeAccessIssue]
        return aligner


def open_logged(config: LogConfig) -> list[LoggedTicks]:
    """Open logs as ticks; actions of packets are scaled alike in all of them.

    Raises:
        LogError: there is no such log, it holds nothing to learn from, or no rate is known.
    """
    logs = [StreamLog.open(path) for path in config.paths]
    _check_sensors(logs, config)
    packets = [log for log in logs if not is_recording_of_ticks(log)]
    bounds = _bounds(packets)
    return [RecordedTicks(log) if log not in packets else _aligned(log, config, bounds) for log in logs]


def _bounds(logs: list[StreamLog]) -> ActionBounds | None:
    """Return what becomes -1 and 1; None if the logs' actions are not of one kind, which is refused later by name."""
    acting = [log for log in logs if of_role(log.streams.values(), "action")]
    kinds = {tuple((s.name, s.sensor.shape) for s in of_role(log.streams.values(), "action")) for log in acting}
    return action_bounds(acting) if len(kinds) == 1 else None


def _check_sensors(logs: list[StreamLog], config: LogConfig) -> None:
    known = {stream.name for log in logs for stream in of_role(log.streams.values(), "sensor")}
    for name in config.sensors:
        if name not in known:
            raise LogError(f"log.sensors names {name!r}, which no log has; {nearest(name, known)}")


def _aligned(log: StreamLog, config: LogConfig, bounds: ActionBounds | None) -> PacketTicks:
    mine = [stream.name for stream in of_role(log.streams.values(), "sensor")]
    chosen = [name for name in mine if name in config.sensors] if config.sensors else None
    if chosen == []:
        raise LogError(f"{log.path} has none of log.sensors ({', '.join(config.sensors)}); leave it out")
    own = bounds if of_role(log.streams.values(), "action") else None
    settings = AlignmentSettings(sensors=chosen, max_gap_s=config.max_gap_s, action_bounds=own)
    try:
        return PacketTicks(log, _rate(log, config), settings)
    except LogError as error:
        raise error if str(log.path) in str(error) else LogError(f"{log.path}: {error}") from None


def _rate(log: StreamLog, config: LogConfig) -> float:
    rate = config.control_hz or log.facts.get("control_hz") or log.facts.get("fps")
    if not isinstance(rate, int | float) or not rate > 0:
        rates = ", ".join(f"{s.name} {s.sensor.rate_hz:g}" for s in of_role(log.streams.values(), "sensor")[:5])
        raise LogError(f"{log.path} says no rate of control; set --log.control_hz (sensors have {rates} Hz)")
    return float(rate)


def privileged_names(log: StreamLog) -> list[str]:
    """Return the streams that are only ever probe targets and hold rows."""
    return [name for name, stream in log.streams.items() if stream.role == "privileged" and log.num_rows(name)]


def latest_before(log: StreamLog, name: str, lane: int, time_ns: np.ndarray) -> np.ndarray:
    """Return the newest row of a stream at or before each time, ``(T, *shape)`` float32; the first row before that.

    Args:
        log: the log.
        name: the stream.
        lane: of the log.
        time_ns: ``(T,)``.

    Raises:
        LogError: the lane has no row of that stream.
    """
    index = log.index(name)
    mine = np.flatnonzero(index[:, 3] == lane)
    if not len(mine):
        raise LogError(f"{log.path}: stream {name!r} has no row of lane {lane}; it cannot be a probe target")
    mine = mine[np.argsort(index[mine, 0], kind="stable")]
    place = np.searchsorted(index[mine, 0], time_ns, side="right") - 1
    rows = mine[place.clip(min=0)]
    wanted, back = np.unique(rows, return_inverse=True)
    return log.read(name, int(wanted[0]), int(wanted[-1]) + 1).data[wanted - wanted[0]][back].astype(np.float32)
