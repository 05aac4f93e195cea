"""Making a log's folder, bringing it back to its last commit, and what other zarr libraries are told of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs import layout
from embodied_ssl.logs.aside import aside_folder, put_in_place
from embodied_ssl.logs.chunks import ArrayFormat, default_chunk_rows
from embodied_ssl.logs.journal import FORMAT, Journal
from embodied_ssl.logs.jsonable import jsonable
from embodied_ssl.logs.schema import INDEX_COLUMNS, LogStream
from embodied_ssl.logs.sealing import sealed

MAX_METADATA_BYTES = 16 << 20


def make_store(
    path: Path, streams: Sequence[LogStream], facts: Mapping[str, Any], chunk_rows: Mapping[str, int]
) -> None:
    """Make the folder of an empty log: aside first, so that it is whole or not there.

    Raises:
        LogError: the folder exists and is not empty, a name comes twice, or facts are not JSON.
    """
    header = header_of(streams, facts, {s.name: chunk_rows.get(s.name, default_chunk_rows(s)) for s in streams})
    with layout.named_errors(path):
        refuse_taken(path)
        aside = aside_folder(path, "creating")
        try:
            whole = aside / path.name
            whole.mkdir()
            fill_store(whole, streams, header, {stream.name: 0 for stream in streams})
            layout.write_aside(whole / layout.COMMIT_FILE, [sealed(header)], sync=True)
            put_in_place(whole, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def refuse_taken(path: Path) -> None:
    """Refuse a path that holds something, or that names no folder."""
    if not path.name or path.name == "..":
        raise LogError(f"{path} names no folder of its own; expected one such as run.zarr")
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise LogError(f"{path} exists; record to a new folder, or go on with it through StreamLog.append_to")


def header_of(
    streams: Sequence[LogStream],
    facts: Mapping[str, Any],
    chunk_rows: Mapping[str, int],
    shard_chunks: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the header of a commit file, checked."""
    names = [stream.name for stream in streams]
    if not names or len(set(names)) != len(names):
        raise LogError(f"a log needs at least one stream and unique names, got {names}")
    entries = []
    for stream in streams:
        rows, shards = int(chunk_rows[stream.name]), (shard_chunks or {}).get(stream.name, 0)
        ArrayFormat.of(stream, "data", rows, shards)
        entries.append(stream.to_json() | {"chunk_rows": rows} | ({"shard_chunks": shards} if shards else {}))
    header = {"log": FORMAT, "created_ns": time.time_ns(), "facts": _json(facts), "streams": entries}
    if (size := len(sealed(header))) > MAX_METADATA_BYTES // 2:
        raise LogError(f"streams and facts of a log have {size:,} bytes, expected at most {MAX_METADATA_BYTES // 2:,}")
    return header


def fill_store(root: Path, streams: Sequence[LogStream], header: dict[str, Any], rows: Mapping[str, int]) -> None:
    """Make the folders and all ``zarr.json`` of a log whose streams have ``rows``."""
    (root / layout.TAIL_FOLDER).mkdir()
    (root / layout.STREAMS_FOLDER).mkdir()
    for stream in streams:
        for array in layout.ARRAYS:
            (layout.stream_folder(root, stream.name) / array).mkdir(parents=True)
    formats = {entry["sensor"]["name"]: entry for entry in header["streams"]}
    for path, record in metadata_records(root, streams, header["facts"], formats, rows):
        layout.write_aside(path, [json.dumps(record, indent=1).encode()], sync=True)
    for stream in streams:
        layout.sync_folder(layout.stream_folder(root, stream.name))
    layout.sync_folder(root / layout.STREAMS_FOLDER)


def metadata_records(
    root: Path,
    streams: Sequence[LogStream],
    facts: dict[str, Any],
    formats: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, int | Mapping[str, int]],
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield path and content of every ``zarr.json`` of a log: groups first, then arrays.

    Args:
        root: the log.
        streams: its streams.
        facts: its facts.
        formats: ``chunk_rows`` and, in shards, ``shard_chunks`` by stream.
        rows: rows by stream, or by stream and array, that other libraries are told.
    """
    yield root / "zarr.json", _group({"embodied_ssl_log": FORMAT, "facts": facts})
    yield root / layout.STREAMS_FOLDER / "zarr.json", _group({})
    for stream in streams:
        folder = layout.stream_folder(root, stream.name)
        yield folder / "zarr.json", _group(stream.to_json())
        chunk_rows, shards = formats[stream.name]["chunk_rows"], formats[stream.name].get("shard_chunks", 0)
        for array in layout.ARRAYS:
            told = rows[stream.name]
            count = told if isinstance(told, int) else told[array]
            record = array_metadata(stream, array, chunk_rows, shards, count)
            yield folder / array / "zarr.json", record


def array_metadata(stream: LogStream, array: str, chunk_rows: int, shard_chunks: int, num_rows: int) -> dict[str, Any]:
    """Return the ``zarr.json`` of one array."""
    columns = {"columns": list(INDEX_COLUMNS)} if array == "index" else {}
    return ArrayFormat.of(stream, array, chunk_rows, shard_chunks).metadata(num_rows, columns)


def holds_record(path: Path, record: dict[str, Any]) -> bool:
    """Return whether a ``zarr.json`` says what it should, whatever its white space.

    Raises:
        FileNotFoundError: it is missing.
        LogError: it is no plain file, or far too long.
    """
    try:
        found = json.loads(layout.read_file(path, MAX_METADATA_BYTES))
    except (ValueError, RecursionError):
        return False
    return json.dumps(found, sort_keys=True) == json.dumps(record, sort_keys=True)


def formats_of(journal: Journal) -> dict[str, dict[str, int]]:
    """Return ``chunk_rows`` and ``shard_chunks`` by stream."""
    shards = journal.shard_chunks
    return {name: {"chunk_rows": rows, "shard_chunks": shards[name]} for name, rows in journal.chunk_rows.items()}


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"attributes": attributes, "zarr_format": 3, "node_type": "group"}


def stray_files(journal: Journal, keep_ends: bool = False) -> list[Path]:
    """Return whatever lies in a log's folders and belongs neither to its last commit nor to zarr.

    Args:
        journal: of the log.
        keep_ends: chunks whose rows are committed, but lie in the tail, are no strays: a closed log has them for
            other zarr libraries, which would read zeros without them.
    """
    strays = [path for path in _listed(journal.root) if path.name.endswith(layout.PARTIAL)]
    for stream in journal.streams:
        folder = layout.stream_folder(journal.root, stream.name)
        size = max(1, journal.shard_chunks[stream.name])
        committed = -(-len(journal.chunks[stream.name]) // size)
        if keep_ends and journal.first_open_row(stream.name) < journal.rows[stream.name]:
            committed += 1
        for array in layout.ARRAYS:
            names = {
                layout.chunk_path(journal.root, stream.name, array, number, len(stream.sensor.shape)).name
                for number in range(committed)
            }
            strays += [path for path in _listed(folder / array) if path.name != "zarr.json" and path.name not in names]
    tail = layout.tail_path(journal.root, journal.tail[0])
    return strays + [path for path in _listed(journal.root / layout.TAIL_FOLDER) if path != tail]


def _listed(folder: Path) -> list[Path]:
    """Return what lies in a folder; nothing when there is none, which `missing_folders` tells of."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def missing_folders(journal: Journal) -> list[Path]:
    """Return the folders of a log that are not there."""
    arrays = [layout.stream_folder(journal.root, s.name) / array for s in journal.streams for array in layout.ARRAYS]
    return [path for path in (journal.root / layout.TAIL_FOLDER, *arrays) if not path.is_dir()]


def drop_uncommitted(journal: Journal) -> list[str]:
    """Delete whatever is not of the last commit; doing it again does nothing.

    Returns:
        Names of the deleted files, for people.
    """
    strays = stray_files(journal, keep_ends=True)
    for path in strays:
        layout.remove(path)
    return [str(path.relative_to(journal.root)) for path in strays]


def _json(facts: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(jsonable(dict(facts)), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise LogError(f"facts of a log must be JSON ({error}): {str(facts)[:120]}") from None
