"""Topics of a ULog file, as pyulog holds them, to tables of one type each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied_ssl.logs.importers.message_fields import TopicLayout
from embodied_ssl.logs.importers.message_times import median_rate_hz
from embodied_ssl.logs.schema import LogStream
from embodied_ssl.spec import SensorSpec

LATEST_US = ((1 << 63) - 1) // 1000
MAX_TEXT, MAX_TEXT_BYTES = 4096, 64 << 20
"""Bytes of one row of text, and of all rows of a stream of texts."""
_TIMES = ("timestamp", "timestamp_sample")


@dataclass(frozen=True)
class Table:
    """All rows of one stream.

    Attributes:
        stream: what they are.
        fields: name of each value; empty for text.
        columns: one ``(n,)`` array for each value.
        t_ns: ``(n,)`` capture times.
        t_recv_ns: ``(n,)`` times at which they were logged.
    """

    stream: LogStream
    fields: list[str]
    columns: list[np.ndarray]
    t_ns: np.ndarray
    t_recv_ns: np.ndarray


def topic_tables(topics: Iterable[Any], notes: list[str]) -> list[Table]:
    """Return the tables of all topics.

    Args:
        topics: ``ULog.data_list``.
        notes: gets what was left out or is odd.
    """
    tables: list[Table] = []
    taken: set[str] = set()
    for topic in topics:
        name = topic.name if not topic.multi_id else f"{topic.name}.{topic.multi_id}"
        name = name if name not in taken else f"{name}@{topic.msg_id}"
        taken.add(name)
        if "timestamp" in topic.data:
            tables += _tables(name, topic, notes)
        else:
            notes.append(f"{name}: its rows carry no timestamp: left out")
    return tables


def _tables(name: str, topic: Any, notes: list[str]) -> list[Table]:
    valid = topic.data["timestamp"] <= LATEST_US
    if not valid.all():
        notes.append(f"{name}: {int((~valid).sum())} rows with impossible times were left out")
    t_ns, t_recv_ns = _times(topic.data, valid)
    _note_times(name, t_ns, notes)
    layout, texts, columns = _split(topic, valid, name, notes)
    rate, main = median_rate_hz(t_ns), layout.main()
    tables = []
    for dtype, slots in layout.groups.items():
        stream = f"{name}#{dtype}" if dtype != main else name
        spec = SensorSpec(stream, "vector", (layout.width(dtype),), dtype, rate)
        fields = [slot.path for slot in slots]
        values = [columns[field] for field in fields]
        tables.append(Table(LogStream(spec, "sensor" if dtype == main else "other"), fields, values, t_ns, t_recv_ns))
    for field, letters in texts.items():
        spec = SensorSpec(f"{name}#{field}", "text", (len(letters),), "uint8", rate)
        tables.append(Table(LogStream(spec, "text"), [], letters, t_ns, t_recv_ns))
    return tables


def _split(
    topic: Any, valid: np.ndarray, name: str, notes: list[str]
) -> tuple[TopicLayout, dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """Return the groups of numbers, the letters of each text, and the columns of numbers."""
    layout, texts, columns = TopicLayout(), dict[str, list[np.ndarray]](), dict[str, np.ndarray]()
    for field in topic.field_data:
        path, values = field.field_name, topic.data[field.field_name][valid]
        if path in _TIMES or "_padding" in path:
            continue
        if field.type_str == "char":
            texts.setdefault(re.sub(r"\[\d+\]$", "", path), []).append(values.view(np.uint8))
            continue
        if field.type_str == "bool":
            values = _truth(values, f"{name}.{path}", notes)
        columns[path] = values
        layout.add_number(path, values.dtype.name, 1)
    return layout, texts, columns


def _truth(values: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """Return a bool column, which pyulog gives as int8; as uint8 where the file holds other values than 0 and 1."""
    values = np.ascontiguousarray(values).view(np.uint8)
    if (values > 1).any():
        notes.append(f"{name}: declared bool, but holds values up to {int(values.max())}: kept as uint8")
        return values
    return values.view(np.bool_)


def _times(data: Any, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return capture and arrival times ``(n,)`` in nanoseconds."""
    logged = data["timestamp"][valid].astype(np.int64) * 1000
    if "timestamp_sample" not in data:
        return logged, logged
    sampled = data["timestamp_sample"][valid]
    usable = (sampled > 0) & (sampled <= LATEST_US)
    return np.where(usable, np.where(usable, sampled, 0).astype(np.int64) * 1000, logged), logged


def _note_times(name: str, t_ns: np.ndarray, notes: list[str]) -> None:
    steps = np.diff(t_ns)
    if len(t_ns) == 1:
        notes.append(f"{name}: one message only: its rate is nominally 1 Hz")
    elif len(t_ns) and not steps.any():
        notes.append(f"{name}: all {len(t_ns)} rows carry the same time {t_ns[0]} ns: the rate is nominally 1 Hz")
    elif (steps == 0).any():
        notes.append(f"{name}: {int((steps == 0).sum())} rows repeat the time of the row before")
    if (steps < 0).any():
        notes.append(f"{name}: {int((steps < 0).sum())} rows are older than the row before")


def message_tables(log: Any, notes: list[str]) -> list[Table]:
    """Return the text messages of the system, and their levels, as tables."""
    groups = {"logged_messages": log.logged_messages}
    groups |= {f"logged_messages.tag{tag}": messages for tag, messages in log.logged_messages_tagged.items()}
    return [table for name, messages in groups.items() for table in _message_tables(name, messages, notes)]


def _message_tables(name: str, messages: list[Any], notes: list[str]) -> list[Table]:
    timed = [message for message in messages if message.timestamp <= LATEST_US]
    if len(timed) < len(messages):
        notes.append(f"{name}: {len(messages) - len(timed)} rows with impossible times were left out")
    if not timed:
        return []
    t_ns = np.array([message.timestamp for message in timed], np.uint64).astype(np.int64) * 1000
    raw = [message.message.encode(errors="replace") for message in timed]
    width, rate = _text_width(name, raw, notes), median_rate_hz(t_ns)
    raw = [text[:width].decode(errors="ignore").encode() for text in raw]  # no letter is cut in two
    letters = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in raw), np.uint8).reshape(len(raw), width)
    levels = np.array([message.log_level for message in timed], np.uint8)
    text = LogStream(SensorSpec(name, "text", (width,), "uint8", rate), "text")
    level = LogStream(SensorSpec(f"{name}#level", "vector", (1,), "uint8", rate), "other")
    return [Table(text, [], list(letters.T), t_ns, t_ns), Table(level, ["level"], [levels], t_ns, t_ns)]


def _text_width(name: str, raw: list[bytes], notes: list[str]) -> int:
    """Return bytes of a row of text: the longest, unless one long message would make all rows large."""
    longest = max(1, *map(len, raw))
    width = min(longest, MAX_TEXT, max(64, MAX_TEXT_BYTES // len(raw)))
    if width < longest:
        cut = sum(len(text) > width for text in raw)
        notes.append(f"{name}: {cut} texts of up to {longest:,} bytes were cut to {width:,}")
    return width
