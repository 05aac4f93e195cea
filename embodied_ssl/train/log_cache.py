"""Where the ticks of logs are kept while they are learned from: in memory, or decoded once into files on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from embodied_ssl.buffer.disk import is_whole
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.buffer.window_index import WindowShape
from embodied_ssl.config import Config
from embodied_ssl.errors import BufferFullError, LogError
from embodied_ssl.learner.online import pick_device, window_shape
from embodied_ssl.logs.layout import COMMIT_FILE
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.train.log_rows import most_rows

FORMAT = 2
"""To be raised when the same logs and settings come to give other ticks."""


def content_key(logs: LogSet, config: Config, shape: WindowShape) -> str:
    """Return what names the decoded form of these logs under these settings.

    It covers every commit of every log, so a log that has grown since gets a key of its own.
    """
    settings = {**asdict(config.log), "paths": None, "cache_dir": None}
    facts = {"format": FORMAT, "spec": logs.spec.to_json(), "log": settings, "shape": asdict(shape)}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for logged in logs.logs:
        digest.update((logged.log.path / COMMIT_FILE).read_bytes())
    return digest.hexdigest()[:32]


@dataclass
class LogCache:
    """A buffer for the learned stretches of logs, and the folder that it is kept in for other runs.

    Attributes:
        buffer: filled already if the logs were decoded before.
        key: names the contents.
        folder: where a filled one lies; None in memory.
        aside: where this process fills it; None if there is nothing to fill.
        notes: lines that people should read.
    """

    buffer: StreamBuffer
    key: str = ""
    folder: Path | None = None
    aside: Path | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, logs: LogSet, lanes: Sequence[int], filled: np.ndarray, config: Config) -> LogCache:
        """Find or make the buffer; one on disk that is damaged is made anew.

        Args:
            logs: what it is for.
            lanes: the lane of every learned stretch.
            filled: ``(N,)`` ticks of each lane.
            config: of the run; ``buffer`` has no say here.

        Raises:
            LogError: it does not fit in memory or on disk, or ``log.cache_dir`` is no folder.
        """
        shape, device, notes = window_shape(config), pick_device(config.device), []
        sizes = logs.spec, len(filled), max(int(filled.max()), shape.length), (shape,), device
        if not config.log.cache_dir:
            try:
                return cls(StreamBuffer(*sizes, min_rows=most_rows(logs, lanes, filled)))
            except BufferFullError as error:
                reason = str(error).partition(";")[0]
                raise LogError(f"no room for the ticks of the logs: {reason}; --log.cache_dir names a disk") from None
        key = content_key(logs, config, shape)
        folder = Path(config.log.cache_dir) / key
        kept = _reopened(folder, key, device, notes)
        if kept is not None:
            return cls(kept, key, folder)
        try:
            aside, rows = _own(folder), most_rows(logs, lanes, filled)
            buffer = StreamBuffer(*sizes, storage="disk", folder=aside, min_rows=rows)
        except BufferFullError as error:
            raise LogError(f"log.cache_dir cannot be used: {error}") from None
        return cls(buffer, key, folder, aside, notes)

    @property
    def is_filled(self) -> bool:
        """Whether there is nothing left to append."""
        return self.buffer.num_ticks > 0

    def keep(self) -> None:
        """Make the filled buffer known to other runs; files are renamed under the running process, which has them open.

        Raises:
            LogError: the disk refuses.
        """
        if self.aside is None or self.folder is None:
            return
        try:
            self.buffer.persist(self.key)
            if is_whole(self.folder, self.key):  # another process was faster
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            self.aside.replace(self.folder)
            self.aside = None
        except (BufferFullError, OSError) as error:
            raise LogError(f"cannot keep the decoded logs in {self.folder}: {error}") from None

    def close(self) -> None:
        """Delete what was not filled to its end."""
        if self.aside is not None:
            shutil.rmtree(self.aside, ignore_errors=True)


def _reopened(folder: Path, key: str, device: torch.device, notes: list[str]) -> StreamBuffer | None:
    """Return the buffer kept in ``folder``, None if there is none; a damaged one is noted and deleted."""
    if not is_whole(folder, key):
        return None
    try:
        return StreamBuffer.reopen(folder, key, device)
    except BufferFullError as error:
        notes.append(f"{str(error).partition(';')[0]}; the logs are decoded again")
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _own(folder: Path) -> Path:
    """Return a folder of this process to fill, and delete those of processes that are gone."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if not _lives(left.suffix.removeprefix(".")):
            shutil.rmtree(left, ignore_errors=True)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    return aside


def _lives(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
