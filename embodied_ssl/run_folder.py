"""A run on disk: what lies where, and writing so that a crash leaves the old file or the new one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from embodied_ssl.config import Config
from embodied_ssl.config_file import dump_config, load_config
from embodied_ssl.errors import RunError, nearest


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file aside, sync it to disk and rename it into place.

    Args:
        path: the file to make or replace; its folder exists.
        write: called with the open binary file.
    """
    aside = path.with_name(f".{path.name}.tmp")
    with aside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that ``path`` holds the old text or the new, never a part."""
    write_atomic(path, lambda file: file.write(text.encode("utf-8")))


def write_json(path: Path, record: object) -> None:
    """Write JSON so that ``path`` holds the old record or the new, never a part.

    Args:
        path: the file to make or replace.
        record: plain dicts, lists, text and numbers; a non-finite number is a ValueError, since JSON has none.
    """
    write_text(path, json.dumps(record, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        RunError: if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; the run has not come that far") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def create(cls, config: Config) -> RunFolder:
        """Make ``runs_dir/name``, or ``name-2``, ``name-3``, … if that is taken, and write ``config.yaml`` into it.

        Raises:
            RunError: if the name is no plain folder name or the folder cannot be made.
        """
        if Path(config.name).name != config.name or config.name in ("", ".", ".."):
            raise RunError(f"name is {config.name!r}, expected a plain folder name; runs_dir says where it lies")
        try:
            run = cls(_claim(Path(config.runs_dir), config.name))
            run.save_config(config)
        except OSError as error:
            raise RunError(
                f"cannot make a run folder in {config.runs_dir}: {error.strerror}; set --runs_dir"
            ) from error
        return run

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Open an existing run; ``latest`` (or ``some/dir/latest``) is the newest one of ``runs`` (``some/dir``).

        Raises:
            RunError: if there is no run at ``path``.
        """
        path = Path(path)
        if path.name == "latest" and not path.exists():
            return _latest(path.parent if len(path.parts) > 1 else Path(Config().runs_dir))
        if not (path / "config.yaml").is_file():
            names = [run.path.name for run in list_runs(path.parent)]
            raise RunError(f"{path} is no run folder (it has no config.yaml); {nearest(path.name, names)}")
        return cls(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the lock goes with the process, however it ends.

        Raises:
            RunError: another process has it.
        """
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"{self.path} is in use by another process; wait for it or stop it") from None
            yield

    @property
    def config(self) -> Config:
        """The resolved config of the run, read from disk."""
        return load_config(self.config_path)

    @property
    def config_path(self) -> Path:
        """Resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """Rows of metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def summary_path(self) -> Path:
        """The figures of the finished run."""
        return self.path / "summary.json"

    @property
    def checkpoints_dir(self) -> Path:
        """One folder a checkpoint."""
        return self.path / "checkpoints"

    @property
    def segments_dir(self) -> Path:
        """Append-only pieces of the buffer that checkpoints name by hash."""
        return self.path / "segments"

    @property
    def report_path(self) -> Path:
        """The self-contained report."""
        return self.path / "report.html"

    def save_config(self, config: Config) -> None:
        """Write the resolved config of the run."""
        write_text(self.config_path, dump_config(config))

    def summary(self) -> dict[str, Any]:
        """Return the figures of the finished run.

        Raises:
            RunError: if it is unfinished.
        """
        return read_json(self.summary_path)

    def discard_if_unused(self) -> None:
        """Remove the folder if nothing but its config was written: the run was refused before it began."""
        files = [item for item in self.path.rglob("*") if item.is_file() and item != self.config_path]
        if not any(file.stat().st_size for file in files):
            shutil.rmtree(self.path)


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """Return the runs in a folder of runs, in the order in which they were started; none if there is no such folder."""
    configs = [file for file in runs_dir.glob("*/config.yaml") if file.is_file()]
    return [RunFolder(file.parent) for file in sorted(configs, key=lambda file: (file.stat().st_mtime_ns, file))]


def _latest(runs_dir: Path) -> RunFolder:
    runs = list_runs(runs_dir)
    if not runs:
        raise RunError(f"there is no run in {runs_dir}; start one with `embodied-ssl train`")
    return runs[-1]


def _claim(runs_dir: Path, name: str) -> Path:
    """Return a new or empty folder; making it is what claims it, so two runs that start at once get two folders."""
    runs_dir.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = runs_dir / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            if path.is_dir() and not any(path.iterdir()):
                return path
        number += 1
