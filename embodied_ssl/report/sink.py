"""Where metrics go: JSON lines always, TensorBoard and Weights & Biases when their extras are installed.

A row is a flat dict of numbers and short text with at least ``wall_s`` (seconds since the run began, pauses left out),
``env_steps`` and ``updates``; its kind (``"learner"``, ``"agent"``, ``"episode"``, …) says what else it holds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from embodied_ssl.errors import ConfigError, RunError
from embodied_ssl.registry import Registry
from embodied_ssl.run_folder import RunFolder, write_text

Row = Mapping[str, Any]
Maker = Callable[[RunFolder, int | None], "Sink"]
SINKS: Registry[Maker] = Registry("sink")
"""Makers of sinks: they take the run folder and, when a run goes on, the environment step it goes on from."""


class Sink(Protocol):
    """Takes rows of metrics."""

    def write(self, kind: str, row: Row) -> None:
        """Take one row."""
        ...

    def flush(self) -> None:
        """Bring all rows to where they survive the process."""
        ...

    def close(self) -> None:
        """Flush and let go."""
        ...


class JsonlSink:
    """Appends one JSON object a line; each row reaches the file at once, so a killed run keeps its rows."""

    def __init__(self, path: Path, resume_updates: int | None = None, resume_env_steps: int | None = None) -> None:
        """Open for appending.

        Args:
            path: the file; made if missing. A torn last line is dropped.
            resume_updates: learner updates of the checkpoint from which a run goes on; rows with a higher ``updates``
                are dropped, since they will be written again.
            resume_env_steps: the same for ``env_steps``: ticks that came in between two updates.
        """
        self.last_env_steps = 0
        if path.exists():
            rows = read_rows(path)
            last = {"updates": resume_updates, "env_steps": resume_env_steps}
            kept = [row for row in rows if all(most is None or row.get(key, 0) <= most for key, most in last.items())]
            write_text(path, "".join(f"{json.dumps(row)}\n" for row in kept))
            self.last_env_steps = max((row.get("env_steps", 0) for row in kept), default=0)
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, row: Row) -> None:
        """Append one row; non-finite numbers become null."""
        record = {"kind": kind, **{key: _plain(value) for key, value in row.items()}}
        self._file.write(f"{json.dumps(record)}\n")
        self._file.flush()

    def flush(self) -> None:
        """Hand all rows to the operating system; `write` has done so already."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a `JsonlSink` file, none if it is missing; a torn last line is left out.

    Raises:
        RunError: if a line before the last is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [_parse(line, path, number) for number, line in enumerate(lines[:-1], start=1) if line]


def _parse(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError as error:
        raise RunError(f"{path}:{number} is damaged: {error}; delete that line") from error


class TensorBoardSink:
    """Writes the numbers of each row as scalars ``kind/name`` over environment steps."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        """Open a writer.

        Args:
            folder: where event files go.
            purge_step: environment step from which older events are hidden, when a run goes on.
        """
        module = _extra("torch.utils.tensorboard", "tensorboard")
        self._writer = module.SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, kind: str, row: Row) -> None:
        """Add one scalar for each finite number of the row."""
        for name, value in _numbers(row).items():
            self._writer.add_scalar(f"{kind}/{name}", value, row.get("env_steps", 0), new_style=True)

    def flush(self) -> None:
        """Write pending events to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class WandbSink:
    """Logs the numbers of each row to a local Weights & Biases run; ``wandb sync`` uploads it if you wish."""

    def __init__(self, run_folder: RunFolder, mode: str = "offline") -> None:
        """Start a run named after the run folder, or go on with it: the folder keeps its id.

        Args:
            run_folder: the run; files go to ``wandb/`` inside it.
            mode: as in ``wandb.init``; ``offline`` needs neither account nor network.
        """
        module = _extra("wandb", "wandb")
        id_path = run_folder.path / "wandb_id.txt"
        if not id_path.exists():
            write_text(id_path, uuid.uuid4().hex[:12])
        self._run = module.init(
            project="embodied_ssl",
            name=run_folder.path.name,
            id=id_path.read_text(encoding="utf-8"),
            resume="allow",
            dir=str(run_folder.path),
            mode=mode,
        )

    def write(self, kind: str, row: Row) -> None:
        """Log the finite numbers of the row as ``kind/name`` beside ``env_steps``."""
        numbers = {f"{kind}/{name}": value for name, value in _numbers(row).items()}
        self._run.log({**numbers, "env_steps": row.get("env_steps", 0)})

    def flush(self) -> None:
        """Do nothing: the client writes in the background."""

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class SinkGroup:
    """Several sinks behind the face of one."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        """Take the sinks, in the order in which they get rows."""
        self.sinks = tuple(sinks)

    def write(self, kind: str, row: Row) -> None:
        """Give the row to each sink."""
        for sink in self.sinks:
            sink.write(kind, row)

    def flush(self) -> None:
        """Flush each sink."""
        for sink in self.sinks:
            sink.flush()

    def close(self) -> None:
        """Close each sink."""
        for sink in self.sinks:
            sink.close()


def make_sinks(
    names: Iterable[str],
    run_folder: RunFolder,
    resume_updates: int | None = None,
    resume_env_steps: int | None = None,
) -> SinkGroup:
    """Open the named sinks of a run; ``jsonl`` is always among them.

    Args:
        names: `Config.sinks`.
        run_folder: the run.
        resume_updates: learner updates of the checkpoint from which the run goes on, None for a new run.
        resume_env_steps: its environment steps.

    Raises:
        ConfigError: on an unknown name or a missing extra.
    """
    wanted = set(names) - {"jsonl"}
    makers = [SINKS[name] for name in sorted(wanted)]
    jsonl = JsonlSink(run_folder.metrics_path, resume_updates, resume_env_steps)
    purge_step = None if resume_updates is None else jsonl.last_env_steps + 1
    with contextlib.ExitStack() as opened:
        sinks: list[Sink] = [opened.enter_context(contextlib.closing(jsonl))]
        sinks += [opened.enter_context(contextlib.closing(make(run_folder, purge_step))) for make in makers]
        opened.pop_all()
    return SinkGroup(sinks)


@SINKS.register("jsonl")
def _jsonl(run_folder: RunFolder, _: int | None) -> Sink:
    return JsonlSink(run_folder.metrics_path)


@SINKS.register("tensorboard")
def _tensorboard(run_folder: RunFolder, purge_step: int | None) -> Sink:
    return TensorBoardSink(run_folder.path / "tensorboard", purge_step)


@SINKS.register("wandb")
def _wandb(run_folder: RunFolder, _: int | None) -> Sink:
    return WandbSink(run_folder)


def _extra(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f"sink {name!r} is not installed: pip install 'embodied-ssl[{name}]' ({error})") from error


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON has it; numpy and torch scalars become Python numbers."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(row: Row) -> dict[str, float]:
    plain = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in plain.items() if isinstance(value, int | float)}
