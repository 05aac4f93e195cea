"""One log seen as ticks: how many each lane has, where its episodes begin, and the ticks in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embodied_ssl.config import LogConfig
from embodied_ssl.errors import LogError, nearest
from embodied_ssl.logs.reader import StreamLog
from embodied_ssl.logs.tick_recorder import IS_FIRST, stream_names
from embodied_ssl.sources.alignment_counts import AlignmentCounts
from embodied_ssl.sources.alignment_settings import AlignmentSettings
from embodied_ssl.sources.alignment_spec import ActionBounds, action_bounds, of_role
from embodied_ssl.sources.episode_spans import episode_spans
from embodied_ssl.sources.replay import TickReplay, is_recording_of_ticks
from embodied_ssl.sources.replay_packets import LogTicks
from embodied_ssl.sources.sensor_faults import FaultLimits
from embodied_ssl.spec import StreamSpec, Tick


@dataclass(frozen=True)
class LaneTicks:
    """What is known of one lane before its ticks are read.

    Attributes:
        time_ns: ``(T,)`` int64 time of every tick, on the clock of arrival.
        is_first: ``(T,)`` bool: the tick begins an episode, of the log or because a silence cuts it there.
        episode: ``(T,)`` int64 number of its episode in the log; cuts do not count.
        number: of the lane in the log.
    """

    time_ns: np.ndarray
    is_first: np.ndarray
    episode: np.ndarray
    number: int


class LoggedTicks(Protocol):
    """A log that gives ticks.

    Attributes:
        log: the log.
        spec: its sensors.
        lanes: of the log, in order.
        counts: by stream, what became of its packets; none of a recording of ticks.
        bounds: what actions were scaled by; None: they are as recorded.
        resets: whether episodes of the log are apart however close in time: between them an env was reset.
    """

    log: StreamLog
    spec: StreamSpec
    lanes: list[LaneTicks]
    counts: Mapping[str, AlignmentCounts]
    bounds: ActionBounds | None
    resets: bool

    def steps(self) -> Iterator[list[Tick]]:
        """Yield all steps from the beginning; the ticks of a lane come in the order of `lanes`."""
        ...


class RecordedTicks:
    """A recording of ticks."""

    resets = True

    def __init__(self, log: StreamLog) -> None:
        """Read where episodes begin."""
        self.log = log
        self.counts: Mapping[str, AlignmentCounts] = {}
        self.bounds: ActionBounds | None = None
        replay = TickReplay(log)
        self.spec = replay.spec
        heads = log.read(stream_names(replay.spec)["tick"])
        self.lanes = []
        for lane in range(replay.num_lanes):
            mine = heads.lane == lane
            # As the replay does: after a hole nothing of before may be seen.
            hole = np.diff(heads.tick[mine], prepend=-1) != 1
            begins = heads.data[mine, 0] & IS_FIRST > 0
            self.lanes.append(LaneTicks(heads.t_recv_ns[mine], begins | hole, np.cumsum(begins), lane))

    def steps(self) -> Iterator[list[Tick]]:
        """Yield the steps of the live run."""
        return iter(TickReplay(self.log))


class PacketTicks:
    """A log of packets, aligned; its lanes come one after another."""

    resets = False

    def __init__(self, log: StreamLog, control_hz: float, settings: AlignmentSettings) -> None:
        """Align once to learn how many ticks there are, where a silence cuts them, and when they are.

        Raises:
            LogError: the log has no sensor, or a setting does not fit it.
        """
        self.log, self._control_hz, self._settings = log, control_hz, settings
        self.bounds = settings.action_bounds
        totals: dict[str, AlignmentCounts] = {}
        self.counts: Mapping[str, AlignmentCounts] = totals
        self._numbers = sorted({episode.lane for episode in log.episodes}) or [0]
        spec = self._reader(self._numbers[0]).spec
        self.lanes = []
        rates = {sensor.name: sensor.rate_hz for sensor in spec.sensors}
        for number in self._numbers:
            reader, made = self._reader(number), []
            rows = dict.fromkeys(rates, 0)
            for (tick,) in reader:
                made.append((reader.time_ns, reader.episode, tick.is_first[0]))
                for name, fresh in tick.fresh.items():
                    rows[name] += int(fresh.sum())
            time_ns, episode, is_first = np.array(made, np.int64).reshape(-1, 3).T
            self.lanes.append(LaneTicks(time_ns, is_first > 0, episode, number))
            for name, counts in reader.counts.items():
                totals.setdefault(name, AlignmentCounts()).add(counts)
            for name, count in rows.items():
                rates[name] = max(rates[name], count / max(1, len(made)) * spec.control_hz)
        self.spec = _with_rates(spec, rates)

    def _reader(self, number: int) -> LogTicks:
        return LogTicks(self.log, self._control_hz, self._settings, episode_spans(self.log, number))

    def steps(self) -> Iterator[list[Tick]]:
        """Yield steps of one tick each, lane after lane."""
        for place, number in enumerate(self._numbers):
            for (tick,) in self._reader(number):
                yield [dataclasses.replace(tick, lanes=np.array([place]))]


def _with_rates(spec: StreamSpec, rates: Mapping[str, float]) -> StreamSpec:
    """Return ``spec`` with the rate of sensors that sent clearly more rows than they declare: rings are sized by it.

    Files declare a median rate at best, and a sensor that comes in bursts sends more rows than that says.
    """
    sensors = (
        dataclasses.replace(s, rate_hz=rates[s.name]) if rates[s.name] > 1.01 * s.rate_hz else s for s in spec.sensors
    )
    return dataclasses.replace(spec, sensors=tuple(sensors))


def open_logged(config: LogConfig) -> list[LoggedTicks]:
    """Open logs as ticks; actions of packets are scaled alike in all of them.

    Raises:
        LogError: there is no such log, it holds nothing to learn from, or no rate is known.
    """
    logs = [StreamLog.open(path, config.skip_corrupt) for path in config.paths]
    _check_sensors(logs, config)
    packets = [log for log in logs if not is_recording_of_ticks(log)]
    bounds = _bounds(packets)
    return [_recorded(log, config) if log not in packets else _aligned(log, config, bounds) for log in logs]


def _recorded(log: StreamLog, config: LogConfig) -> RecordedTicks:
    check_rate(log, config)
    return RecordedTicks(log)


def check_rate(log: StreamLog, config: LogConfig) -> None:
    """Refuse another rate than that of a recording of ticks, which has no packets to align anew.

    Raises:
        LogError: ``log.control_hz`` is neither 0 nor the recording's own.
    """
    own = StreamSpec.from_json(log.facts["spec"]).control_hz
    if config.control_hz not in (0, own):
        raise LogError(
            f"log.control_hz is {config.control_hz:g}, but {log.path} was recorded from ticks at {own:g} Hz and cannot "
            f"be aligned anew; leave it out, or set it to {own:g}"
        )


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
    settings = AlignmentSettings(
        sensors=chosen,
        max_gap_s=config.max_gap_s or None,
        faults=_fault_limits(chosen or mine, config),
        action_bounds=own,
    )
    try:
        return PacketTicks(log, _rate(log, config), settings)
    except LogError as error:
        raise error if str(log.path) in str(error) else LogError(f"{log.path}: {error}") from None


def _fault_limits(names: Sequence[str], config: LogConfig) -> dict[str, FaultLimits]:
    limits = FaultLimits(frozen_s=config.frozen_s or None, saturated_s=config.saturated_s or None)
    return dict.fromkeys(names, limits)


def _rate(log: StreamLog, config: LogConfig) -> float:
    rate = config.control_hz or log.facts.get("control_hz") or log.facts.get("fps")
    if not isinstance(rate, int | float) or not rate > 0:
        rates = ", ".join(f"{s.name} {s.sensor.rate_hz:g}" for s in of_role(log.streams.values(), "sensor")[:5])
        raise LogError(f"{log.path} says no rate of control; set --log.control_hz (sensors have {rates} Hz)")
    return float(rate)
