"""One commit as lines of the commit file: almost always one; more when it says too much for one line.

Each line is a commit of its own that a reader may meet alone: rows never shrink and lie in chunks or in a tail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.journal import MAX_LINE_BYTES
from embodied_ssl.logs.jsonable import jsonable
from embodied_ssl.logs.sealing import sealed

MAX_FACT_BYTES = 64 << 10
"""Longest facts of an episode and longest note, as JSON."""
SPLIT_BYTES = 32 << 20
"""A longer line is split."""
SPLIT_CHUNKS = 1 << 19


@dataclass(frozen=True)
class CommitState:
    """What a commit brings a log to: its number, the rows of every stream, the tail file and its bytes."""

    number: int
    rows: Sequence[int]
    tail: tuple[int, int]


def short_enough(what: str, value: Any) -> Any:
    """Return a value as JSON has it.

    Raises:
        LogError: it is no JSON, or longer than `MAX_FACT_BYTES`.
    """
    try:
        text = json.dumps(jsonable(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise LogError(f"{what} must be JSON ({error}): {str(value)[:120]}") from None
    if len(text) > MAX_FACT_BYTES:
        raise LogError(f"{what} has {len(text):,} bytes, expected at most {MAX_FACT_BYTES:,}; record it as a stream")
    return json.loads(text)


def episode_facts(facts: Mapping[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of an episode as JSON; raises as `short_enough`."""
    if facts is not None and not isinstance(facts, Mapping):
        raise LogError(f"facts of an episode are {type(facts).__name__}, expected a dict")
    return short_enough("facts of an episode", {**(facts or {}), **more})


def commit_lines(
    before: CommitState, after: CommitState, chunks: list[list[Any]], events: list[list[Any]], chunk_rows: Sequence[int]
) -> list[bytes]:
    """Return the lines that bring a log from one state to the next; ``after.number`` is not looked at.

    Args:
        before: ``number`` is the one of the first line.
        after: rows and tail in the end.
        chunks: ``[stream, first chunk, CRC32Cs of data, CRC32Cs of index]``, each stream once.
        events: episodes and notes.
        chunk_rows: rows of a chunk, by stream.
    """
    if sum(len(entry[2]) for entry in chunks) <= SPLIT_CHUNKS:
        line = _line(before.number, after, chunks, events)
        if len(line) <= SPLIT_BYTES:
            return [line]
    lines, rows = [], list(before.rows)
    for entry in _split_chunks(chunks):
        stream, first, crcs, _ = entry
        rows[stream] = max(rows[stream], min(after.rows[stream], (first + len(crcs)) * chunk_rows[stream]))
        state = CommitState(0, list(rows), before.tail)
        lines.append(_line(before.number + len(lines), state, [entry], []))
    for some in _split_events(events):
        lines.append(_line(before.number + len(lines), CommitState(0, list(rows), before.tail), [], some))
    lines.append(_line(before.number + len(lines), after, [], []))
    if max(map(len, lines)) > MAX_LINE_BYTES:
        raise LogError(f"a line of {max(map(len, lines)):,} bytes is too long for the commit file; nothing was changed")
    return lines


def _line(number: int, state: CommitState, chunks: list[list[Any]], events: list[list[Any]]) -> bytes:
    record = {"n": number, "t_ns": time.time_ns(), "rows": list(state.rows), "chunks": chunks}
    return sealed(record | {"tail": list(state.tail), "events": events})


def _split_chunks(chunks: list[list[Any]]) -> Iterator[list[Any]]:
    for stream, first, data, index in chunks:
        for at in range(0, len(data), SPLIT_CHUNKS):
            part = slice(at, at + SPLIT_CHUNKS)
            yield [stream, first + at, data[part], index[part]]


def _split_events(events: list[list[Any]]) -> Iterator[list[list[Any]]]:
    some: list[list[Any]] = []
    size = 0
    for event in events:
        length = len(json.dumps(event))
        if some and size + length > SPLIT_BYTES:
            yield some
            some, size = [], 0
        some.append(event)
        size += length
    if some:
        yield some
