"""Imports for tests: a source becomes a real log; real recordings are found by the environment variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.importers import IMPORTERS, ImportReport
from embodied_ssl.logs.importing import import_recording, made_with


def data_file(part: str) -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("EMBODIED_SSL_DATA", default)) / part
    if not path.exists():
        pytest.skip(f"no recording {part}; set EMBODIED_SSL_DATA to the folder that holds it")
    return path


def import_log(source: Path, name: str, tmp_path: Path, **options: Any) -> tuple[StreamLog, ImportReport]:
    """Import ``source`` into a fresh log; checks that progress adds up to the total and rows to the report."""
    out = tmp_path / f"{name}_{len(list(tmp_path.iterdir()))}.zarr"
    shown: list[tuple[int, int | None]] = []
    report = import_recording(source, out, None, options, lambda done, total: shown.append((done, total)))
    log = StreamLog.open(out)
    assert log.facts["format"] == name
    assert shown[-1][0] == shown[-1][1] == sum(report.rows.values())
    assert report.rows == {stream: log.num_rows(stream) for stream in log.streams}
    return log, report


def read_schema(source: Path, name: str, **options: Any) -> list[str]:
    """Return the names of the streams; nothing is written."""
    return [stream.name for stream in made_with(IMPORTERS[name], "importer", options, source).streams()]


def check_episodes(
    log: StreamLog, name: str, lengths: list[int], gap_ns: int = 1_000_000_000, lead_ns: int = 0, tail_ns: int = 0
) -> None:
    """Check that rows of a stream fill the episodes in order, and that a gap keeps episodes apart.

    Args:
        log: the log.
        name: of the stream.
        lengths: rows of each episode.
        gap_ns: between episodes.
        lead_ns: from the begin of an episode to its first row.
        tail_ns: from its last row to its end.
    """
    t_ns, start = log.index(name)[:, 0], 0
    assert len(log.episodes) == len(lengths)
    for episode, length in zip(log.episodes, lengths, strict=True):
        rows = t_ns[start : start + length]
        assert rows[0] == episode.start_ns + lead_ns
        assert episode.end_ns is not None
        assert rows[-1] == episode.end_ns - tail_ns
        assert (np.diff(rows) > 0).all()
        if start:
            assert rows[0] - t_ns[start - 1] >= gap_ns
        start += length
    assert start == len(t_ns)
