"""The rule that turns the fields of a topic's messages into streams, from one look at all the messages.

1. Numbers keep the file's own type. The fields of a topic are grouped by type, in order of declaration; a group is a
   stream and a message is a row. The widest float type (without floats: the type with most values) takes the name of
   the topic, the others ``topic#type``; these are integers beside floats, such as flags and counters, and get the
   role ``other``.
2. Arrays of one length all through the file become so many values. Others are padded at the end (floats with NaN,
   integers with 0) to the longest, and their own lengths become the field ``len(path)`` of ``topic#uint32``.
   An array longer than ``max_length`` is left out with a note.
3. Text becomes the stream ``topic#path`` (``topic`` when there is nothing else), role ``text``, as wide as the longest;
   lists of texts are joined by newlines. Text that never changes, beside numbers, stands in the facts instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Limits:
    """What is believed and kept of a message.

    Attributes:
        max_length: most values of one array.
        max_text: most bytes of one text; longer ones are cut.
    """

    max_length: int = 16384
    max_text: int = 4096


@dataclass(frozen=True)
class Slot:
    """Where a field goes in a row: ``row[start:stop]``; its length instead of its values if ``counts``."""

    path: str
    start: int
    stop: int
    counts: bool = False


@dataclass
class FieldScan:
    """What was seen of one field.

    Attributes:
        dtype: declared type, or what holds all values seen; empty for text.
        seen: messages that have it.
        shortest: fewest values, or bytes of text.
        longest: most values, or bytes of text.
        first: the first text.
        changed: whether any later text differs.
        problem: why the field cannot be kept.
    """

    dtype: str = ""
    seen: int = 0
    shortest: int = 1 << 62
    longest: int = 0
    first: str | None = None
    changed: bool = False
    problem: str = ""

    def see(self, value: Any, declared: str) -> None:
        """Take note of one value, as `leaf` returns it."""
        self.seen += 1
        if isinstance(value, str):
            self._see_text(value)
        else:
            self.dtype = declared or (_wider(self.dtype, value) if value.size else self.dtype)
            self._see_length(value.size)
        if self.first is not None and self.dtype:
            self.problem = "it is text in some messages and a number in others"

    def _see_text(self, text: str) -> None:
        self.changed = self.changed or (self.first is not None and text != self.first)
        self.first = text if self.first is None else self.first
        self._see_length(len(text.encode()))

    def _see_length(self, length: int) -> None:
        self.shortest, self.longest = min(self.shortest, length), max(self.longest, length)

    @property
    def ragged(self) -> bool:
        """Whether lengths differ."""
        return self.shortest != self.longest


def leaf(value: Any, declared: str = "") -> np.ndarray | str | None:
    """Return a decoded value as 1-D numbers or text; None when it is absent.

    Args:
        value: number, array, text, bytes, or a list of them.
        declared: numpy name of its type, empty if the format declares none.

    Raises:
        ValueError: it is neither numbers nor text, or is nested unevenly.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, np.uint8)
    if isinstance(value, list) and any(isinstance(part, str) for part in value):
        return "\n".join(str(part) for part in value)
    try:
        array = np.asarray(value, dtype=declared or None).reshape(-1)
    except OverflowError:
        array = np.asarray(value, dtype=np.float64).reshape(-1)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{str(value)[:40]!r} is neither a number nor text")
    return array


def _wider(dtype: str, values: np.ndarray) -> str:
    """Return the type that holds all undeclared numbers so far: bool, int64, else float64."""
    kind = values.dtype.kind
    new = "bool" if kind == "b" else "int64" if kind == "i" else "float64"
    return new if dtype in ("", new) else "float64"


@dataclass
class TopicFields:
    """What was seen of all fields of a topic.

    Attributes:
        declared: numpy names of the numbers that the format declares, by path.
        hidden: paths that are used otherwise (times, sequence numbers).
        fields: by path, in order of first appearance.
        messages: how many messages were looked at.
    """

    declared: Mapping[str, str]
    hidden: frozenset[str]
    fields: dict[str, FieldScan] = field(default_factory=dict)
    messages: int = 0

    def see(self, values: Mapping[str, Any]) -> None:
        """Look at one message."""
        self.messages += 1
        absent = {path: [] for path in self.declared if path not in values}  # in arrays of messages without elements
        for path, value in {**values, **absent}.items():
            if path not in self.hidden:
                self._see_field(path, value)

    def _see_field(self, path: str, value: Any) -> None:
        scan, declared = self.fields.setdefault(path, FieldScan()), self.declared.get(path, "")
        try:
            flat = leaf(value, declared)
        except ValueError as error:
            scan.problem = str(error)
        else:
            if flat is not None:
                scan.see(flat, declared)


@dataclass
class TopicLayout:
    """Which values of a message make which stream.

    Attributes:
        groups: per type its slots.
        texts: per text path its width in bytes.
        constants: texts that never change.
        notes: what was left out.
        counted: arrays whose lengths are stored.
    """

    groups: dict[str, list[Slot]] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)

    def add_number(self, path: str, dtype: str, size: int, counts: bool = False) -> None:
        """Give a field its place at the end of its group."""
        slots = self.groups.setdefault(dtype, [])
        start = slots[-1].stop if slots else 0
        slots.append(Slot(path, start, start + size, counts))

    def width(self, dtype: str) -> int:
        """Return the number of values in a row of a group."""
        return self.groups[dtype][-1].stop

    def main(self) -> str:
        """Return the type that takes the topic's own name; empty when there are no numbers."""
        floats = [dtype for dtype in self.groups if dtype.startswith("float")]
        if floats:
            return max(floats, key=lambda dtype: np.dtype(dtype).itemsize)
        return max(self.groups, key=self.width, default="")


def lay_out(topic: TopicFields, limits: Limits) -> TopicLayout:
    """Apply the rule of this module."""
    layout = TopicLayout()
    for path, scan in topic.fields.items():
        if problem := _problem(path, scan, limits):
            layout.notes.append(f"field {path} was left out of {scan.seen or topic.messages} messages: {problem}")
        elif scan.dtype:
            _place_number(layout, path, scan, topic)
    for path, scan in topic.fields.items():
        if scan.first is not None and not scan.problem:
            _place_text(layout, path, scan, topic, limits)
    return layout


def _problem(path: str, scan: FieldScan, limits: Limits) -> str:
    if scan.problem:
        return scan.problem
    if not scan.seen:
        return "it never has a value"
    if scan.first is None and not scan.longest:
        return "it is always an empty array"
    if scan.dtype and scan.longest > limits.max_length:
        return f"it has up to {scan.longest:,} values, more than max_length={limits.max_length:,}"
    return ""


def _place_number(layout: TopicLayout, path: str, scan: FieldScan, topic: TopicFields) -> None:
    dtype = scan.dtype
    if scan.seen < topic.messages and dtype != "float64" and path not in topic.declared:
        dtype = "float64"
        layout.notes.append(f"field {path} is missing in {topic.messages - scan.seen} messages: stored as NaN")
    layout.add_number(path, dtype, scan.longest)
    array = path.partition("[]")[0]
    if scan.ragged and array not in layout.counted:
        layout.counted.add(array)
        layout.add_number(path, "uint32", 1, counts=True)


def _place_text(layout: TopicLayout, path: str, scan: FieldScan, topic: TopicFields, limits: Limits) -> None:
    if scan.longest > limits.max_text:
        layout.notes.append(f"text {path} is up to {scan.longest:,} bytes long: cut to max_text={limits.max_text:,}")
    if not scan.changed and scan.seen == topic.messages and layout.groups:
        layout.constants[path] = scan.first or ""
    else:
        layout.texts[path] = max(1, min(scan.longest, limits.max_text))
