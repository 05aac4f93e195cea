"""Making a log's folder, and bringing it back to its last commit."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.chunks import ArrayFormat, default_chunk_rows
from embodied_ssl.logs.journal import FORMAT, Journal, sealed
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream


def make_store(
    path: Path, streams: Sequence[LogStream], facts: Mapping[str, Any], chunk_rows: Mapping[str, int]
) -> None:
    """Make the folder of an empty log: aside first, so that it is whole or not there.

    Raises:
        LogError: the folder exists and is not empty, a name comes twice, or facts are not JSON.
    """
    names = [stream.name for stream in streams]
    if not names or len(set(names)) != len(names):
        raise LogError(f"a log needs at least one stream and unique names, got {names}")
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise LogError(f"{path} exists; record to a new folder, or go on with it through StreamLog.append_to")
    rows = {s.name: int(chunk_rows.get(s.name, default_chunk_rows(s))) for s in streams}
    header = {"log": FORMAT, "created_ns": time.time_ns(), "facts": _json(facts)}
    header["streams"] = [stream.to_json() | {"chunk_rows": rows[stream.name]} for stream in streams]
    aside = path.with_name(f".{path.name}.creating")
    with layout.named_errors(path):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            _fill_store(aside, streams, rows, header)
            if path.exists():
                path.rmdir()
            aside.rename(path)
            layout.sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def _fill_store(root: Path, streams: Sequence[LogStream], rows: Mapping[str, int], header: dict[str, Any]) -> None:
    (root / layout.TAIL_FOLDER).mkdir()
    _write_group(root, {"embodied_ssl_log": FORMAT, "facts": header["facts"]})
    _write_group(root / layout.STREAMS_FOLDER, {})
    for stream in streams:
        folder = layout.stream_folder(root, stream.name)
        _write_group(folder, stream.to_json())
        for array in layout.ARRAYS:
            (folder / array).mkdir()
        write_shapes(root, stream, rows[stream.name], 0, sync=True)
    layout.write_aside(root / layout.COMMIT_FILE, sealed(header), sync=True)
    layout.sync_folder(root)


def _write_group(folder: Path, attributes: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    record = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    layout.write_aside(folder / "zarr.json", json.dumps(record, indent=1).encode(), sync=True)


def write_shapes(root: Path, stream: LogStream, chunk_rows: int, num_rows: int, sync: bool) -> None:
    """Tell other zarr libraries how many rows a stream has; ours never reads it."""
    for array in layout.ARRAYS:
        columns = {"columns": list(INDEX_COLUMNS)} if array == "index" else {}
        record = ArrayFormat.of(stream, array, chunk_rows).metadata(num_rows, columns)
        path = layout.stream_folder(root, stream.name) / array / "zarr.json"
        layout.write_aside(path, json.dumps(record, indent=1).encode(), sync)


def drop_uncommitted(journal: Journal) -> list[str]:
    """Delete whatever is not of the last commit; doing it again does nothing.

    Returns:
        Names of the deleted files, for people.
    """
    dropped: list[str] = []
    for stream in journal.streams:
        committed = len(journal.chunks[stream.name])
        for array in layout.ARRAYS:
            for path in sorted((layout.stream_folder(journal.root, stream.name) / array).iterdir()):
                if path.name != "zarr.json" and not _is_committed(path.name, array, committed):
                    path.unlink()
                    dropped.append(str(path.relative_to(journal.root)))
    for path in sorted((journal.root / layout.TAIL_FOLDER).iterdir()):
        if path != layout.tail_path(journal.root, journal.tail[0]):
            path.unlink()
            dropped.append(str(path.relative_to(journal.root)))
    return dropped


def _is_committed(key: str, array: str, num_chunks: int) -> bool:
    number = key.split(".")[0 if array == "data" else -1]
    return number.isdigit() and int(number) < num_chunks


def _json(facts: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(dict(facts), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LogError(f"facts of a log must be JSON ({error}): {str(facts)[:120]}") from None
