"""Several logs as one set of ticks: sensors united by name, episodes split, stretches laid out in lanes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from embodied_ssl.config import LogConfig
from embodied_ssl.errors import LogError
from embodied_ssl.sources.log_split import Stretch, apart, episodes_of, split
from embodied_ssl.sources.logged_ticks import LoggedTicks, open_logged
from embodied_ssl.spec import SensorSpec, StreamSpec, Tick


@dataclass(frozen=True)
class LogSet:
    """Logs that are learned from together.

    Attributes:
        logs: each as ticks.
        spec: all their sensors.
        learned: stretches to learn from.
        held_out: stretches to evaluate on, never learned from.
    """

    logs: list[LoggedTicks]
    spec: StreamSpec
    learned: list[Stretch]
    held_out: list[Stretch]

    @classmethod
    def open(cls, config: LogConfig, context_ticks: int, horizon_ticks: int) -> LogSet:
        """Open the logs and split their episodes.

        Args:
            config: which, at which rate, and how much is held out.
            context_ticks: of a window.
            horizon_ticks: of a window.

        Raises:
            LogError: there is no such log, logs do not fit each other, or nothing is left to learn from.
        """
        logs = open_logged(config)
        spec = united_spec(logs, config.sensors)
        learned, held_out = [], []
        for number, logged in enumerate(logs):
            episodes, gap_ticks = episodes_of(number, logged.lanes), context_ticks + horizon_ticks
            mine, theirs = split(episodes, config.holdout, gap_ticks)
            if not logged.resets:
                mine = apart(mine, theirs, logged.lanes, round(gap_ticks * 1e9 / spec.control_hz))
            _check_long_enough(logged, [one for episode in episodes for one in episode], mine, horizon_ticks)
            learned += mine
            held_out += theirs
        return cls(logs, spec, learned, held_out)

    def layout(self) -> tuple[list[int], np.ndarray]:
        """Lay the learned stretches out in as many lanes as the widest log has, the lanes filled alike.

        Stretches of a log with several lanes come side by side, so they stay in lanes of their own; those of a log with
        one lane come one after another and go where there is most room.

        Returns:
            The lane of every learned stretch, and ``(N,)`` ticks of each lane.
        """
        filled = np.zeros(max(len(logged.lanes) for logged in self.logs), np.int64)
        lanes = [0] * len(self.learned)
        order = sorted(range(len(self.learned)), key=lambda i: self._priority(self.learned[i]))
        for i in order:
            stretch = self.learned[i]
            alone = len(self.logs[stretch.log].lanes) == 1
            lanes[i] = int(filled.argmin()) if alone else stretch.lane
            filled[lanes[i]] += stretch.num_ticks
        return lanes, filled

    def _priority(self, stretch: Stretch) -> tuple[bool, int]:
        """Logs with several lanes first, since theirs cannot be moved; then the longest."""
        alone = len(self.logs[stretch.log].lanes) == 1
        return alone, -stretch.num_ticks if alone else 0

    def ticks(self, stretches: Sequence[Stretch], lanes: Sequence[int]) -> Iterator[Tick]:
        """Yield the ticks of ``stretches``, each in the lane given for it; every log is read once.

        The first tick of a stretch is the first of an episode, whatever it was in the log.
        """
        for number, logged in enumerate(self.logs):
            mine = [(s, lane) for s, lane in zip(stretches, lanes, strict=True) if s.log == number]
            if mine:
                yield from self._ticks_of(logged, mine)

    def _ticks_of(self, logged: LoggedTicks, stretches: list[tuple[Stretch, int]]) -> Iterator[Tick]:
        num_ticks = max(len(lane.is_first) for lane in logged.lanes)
        target = np.full((num_ticks, len(logged.lanes)), -1, np.int64)
        is_first = np.zeros(target.shape, bool)
        for stretch, lane in stretches:
            target[stretch.start : stretch.stop, stretch.lane] = lane
            is_first[stretch.start, stretch.lane] = True
        seen = np.zeros(len(logged.lanes), np.int64)
        for step in logged.steps():
            for tick in step:
                at = seen[tick.lanes], tick.lanes
                seen[tick.lanes] += 1
                wanted = np.flatnonzero(target[at] >= 0)
                if len(wanted):
                    yield self._fitted(tick, wanted, target[at][wanted], is_first[at][wanted])

    def _fitted(self, tick: Tick, wanted: np.ndarray, lanes: np.ndarray, is_first: np.ndarray) -> Tick:
        """Return the lane-ticks ``wanted`` in other lanes, with nothing where this log lacks a sensor."""
        rows, fresh, age_s = {}, {}, {}
        for sensor in self.spec.sensors:
            if sensor.name in tick.rows:
                parts = (table[sensor.name][wanted] for table in (tick.rows, tick.fresh, tick.age_s))
            else:
                parts = _nothing(sensor, len(wanted))
            rows[sensor.name], fresh[sensor.name], age_s[sensor.name] = parts
        action = np.zeros((len(wanted), self.spec.action_size), np.float32)
        action[:, : tick.action.shape[1]] = tick.action[wanted]
        return Tick(
            lanes=lanes,
            rows=rows,
            fresh=fresh,
            age_s=age_s,
            action=action,
            reward=tick.reward[wanted],
            is_first=is_first,
            terminated=tick.terminated[wanted],
            truncated=tick.truncated[wanted],
        )


def _nothing(sensor: SensorSpec, num_lanes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.zeros((num_lanes, 0, *sensor.shape), sensor.dtype)
    return rows, np.zeros((num_lanes, 0), bool), np.zeros((num_lanes, 0), np.float32)


def _check_long_enough(
    logged: LoggedTicks, episodes: Sequence[Stretch], learned: Sequence[Stretch], horizon_ticks: int
) -> None:
    longest, left = (max((s.num_ticks for s in part), default=0) for part in (episodes, learned))
    if longest <= horizon_ticks:
        raise LogError(
            f"{logged.log.path}: its longest episode has {longest} ticks at {logged.spec.control_hz:g} Hz, expected "
            f"more than learner.horizon_ticks ({horizon_ticks}); set it lower{_longer(logged)}"
        )
    if left <= horizon_ticks:
        raise LogError(
            f"{logged.log.path}: log.holdout leaves stretches of at most {left} of {longest} ticks to learn from, "
            f"expected more than learner.horizon_ticks ({horizon_ticks}); set it lower"
        )


def _longer(logged: LoggedTicks) -> str:
    more = ", align at a higher --log.control_hz, or allow longer silences with --log.max_gap_s"
    return more if logged.counts else ""


def united_spec(logs: Sequence[LoggedTicks], wanted: Sequence[str] = ()) -> StreamSpec:
    """Return the sensors of ``logs``, united by name at their highest rate, in the order in which they come.

    Args:
        logs: each with sensors of its own.
        wanted: names of those to keep; none: all.

    Raises:
        LogError: logs have no sensor at all, or one of the same name and another form, another rate of ticks, or
            actions of another size; both logs are named.
    """
    home: dict[str, LoggedTicks] = {}
    sensors: dict[str, SensorSpec] = {}
    for logged in logs:
        _check_rates(logs[0], logged)
        for sensor in (one for one in logged.spec.sensors if not wanted or one.name in wanted):
            known = sensors.setdefault(sensor.name, sensor)
            if _form(known) != _form(sensor):
                raise LogError(
                    f"sensor {sensor.name!r} is {_form(known)} in {home[sensor.name].log.path} and {_form(sensor)} in "
                    f"{logged.log.path}; rename one when importing, or learn from them apart"
                )
            home.setdefault(sensor.name, logged)
            sensors[sensor.name] = max(known, sensor, key=lambda one: one.rate_hz)
    return StreamSpec(tuple(sensors.values()), _action_size(logs), logs[0].spec.control_hz)


def _form(sensor: SensorSpec) -> str:
    return f"{sensor.dtype} {sensor.shape}"


def _check_rates(first: LoggedTicks, other: LoggedTicks) -> None:
    if first.spec.control_hz != other.spec.control_hz:
        raise LogError(
            f"{first.log.path} has {first.spec.control_hz:g} ticks a second, {other.log.path} has "
            f"{other.spec.control_hz:g}; align packets to one rate with --log.control_hz"
        )


def _action_size(logs: Sequence[LoggedTicks]) -> int:
    # Logs without actions give zeros of any width.
    acting = [logged for logged in logs if any(stream.role == "action" for stream in logged.log.streams.values())]
    for logged in acting:
        if logged.spec.action_size != acting[0].spec.action_size:
            raise LogError(
                f"actions have {acting[0].spec.action_size} values in {acting[0].log.path} and "
                f"{logged.spec.action_size} in {logged.log.path}; learn from them apart"
            )
    return acting[0].spec.action_size if acting else max(logged.spec.action_size for logged in logs)
