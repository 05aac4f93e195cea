"""Tables of envs on the terminal: which there are, and what one of them gives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from embodied_ssl.sources.env_card import EnvCard, SensorCard

SENSOR_COLUMNS = (
    *("sensor", "modality", "shape", "rows a tick", "rate in Hz", "unit", "range", "noise", "bias", "latency in ms"),
    *("jitter in ms", "lost in %"),
)
"""Heads of the table of sensors; noise and bias are standard deviations, in the sensor's unit."""


def env_list(cards: Iterable[EnvCard], failures: Iterable[tuple[str, str]] = ()) -> Group:
    """Return a table with a row for each env; `failures` are (id, why it cannot be made here)."""
    table = _table("envs", ("id", "control in Hz", "actions", "ticks an episode", "sensors", "what it is"))
    for card in cards:
        table.add_row(*_list_row(card))
    return Group(table, *(f"{env_id}: {reason}" for env_id, reason in failures))


def _list_row(card: EnvCard) -> tuple[str, ...]:
    names = ", ".join(sensor.spec.name for sensor in card.sensors)
    ticks = "-" if card.episode_ticks is None else str(card.episode_ticks)
    return card.id.rpartition(":")[2], number(card.control_hz), str(_num_actions(card)), ticks, names, card.summary


def env_page(card: EnvCard) -> Group:
    """Return everything about one env: facts, sensors, privileged quantities."""
    sensors = _table("sensors", SENSOR_COLUMNS)
    for row in sensor_rows(card.sensors):
        sensors.add_row(*row)
    parts: list[RenderableType] = [*env_facts(card), "", sensors]
    if card.privileged:
        privileged = _table("privileged, for probes only", ("group", "quantity", "unit"))
        for row in privileged_rows(card):
            privileged.add_row(*row)
        parts.append(privileged)
    return Group(*parts)


def env_facts(card: EnvCard) -> Iterator[str]:
    """Yield the lines that stand above the tables."""
    yield card.id
    if card.summary:
        yield card.summary
    ticks = "no limit known" if card.episode_ticks is None else f"{card.episode_ticks} ticks"
    seconds = "" if card.episode_ticks is None else f" = {number(card.episode_ticks / card.control_hz)} s"
    yield f"control {number(card.control_hz)} Hz, episode {ticks}{seconds}"
    low, high = number(float(np.min(card.action.low))), number(float(np.max(card.action.high)))
    yield f"action: {_num_actions(card)} values in [{low}, {high}]"
    if card.camera_backend is not None:
        yield f"camera back end: {card.camera_backend}"


def sensor_rows(sensors: Iterable[SensorCard]) -> Iterator[tuple[str, ...]]:
    """Yield one row of `SENSOR_COLUMNS` per sensor."""
    for card in sensors:
        spec = card.spec
        yield (
            *(spec.name, spec.modality, " x ".join(map(str, spec.shape)), str(card.num_rows), number(spec.rate_hz)),
            *(spec.unit or "-", f"[{number(spec.low)}, {number(spec.high)}]"),
            *(_or_dash(card.noise_std), _or_dash(card.bias_std)),
            *(_or_dash(1e3 * card.latency_s), _or_dash(1e3 * card.jitter_s), _or_dash(1e2 * card.dropout)),
        )


def privileged_rows(card: EnvCard) -> Iterator[tuple[str, str, str]]:
    """Yield (group, quantity, unit), group by group in their order of appearance."""
    groups = dict.fromkeys(group for group, _ in card.privileged.values())
    for group in groups:
        for name, (own_group, unit) in card.privileged.items():
            if own_group == group:
                yield group, name, unit


def number(value: float) -> str:
    """Return a number without needless digits; infinities as words."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.4g}"


def _or_dash(value: float) -> str:
    return number(value) if value else "-"


def _num_actions(card: EnvCard) -> int:
    return int(np.prod(card.action.shape))


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
