"""A run's stream recorded to a log while it is learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embodied_ssl.errors import LogError
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.logs.writer import LogWriter
from embodied_ssl.spec import StreamSpec, Tick

MAX_NUMBER = 10_000


class Recording:
    """One log of one life of a run.

    A run that goes on after a stop records to a log of its own, ``NAME-2.zarr``: the first one may hold steps after
    the checkpoint, which the run makes anew. A replay takes one log; the others can be learned from in mode shuffle.
    """

    def __init__(self, path: Path, writer: LogWriter, recorder: TickRecorder) -> None:
        """Keep the parts; see `start`."""
        self.path, self._writer, self._recorder = path, writer, recorder

    @classmethod
    def start(
        cls, path: Path, spec: StreamSpec, num_lanes: int, env: Mapping[str, Any], goes_on: bool = False
    ) -> Recording:
        """Make a new log.

        Args:
            path: its folder; if the run ``goes_on``, the next free name of that form.
            spec: of the stream.
            num_lanes: robots side by side.
            env: JSON-able facts of the env.
            goes_on: the run has steps behind it.

        Raises:
            LogError: there is a log at ``path`` already, or it cannot be made.
        """
        path = _free(path) if goes_on else path
        writer = create_recording(path, spec, num_lanes, env)
        return cls(path, writer, TickRecorder(writer, spec, num_lanes))

    def write(self, ticks: Sequence[Tick]) -> None:
        """Take the ticks of one step."""
        self._recorder.write(ticks)

    def close(self) -> None:
        """Commit everything."""
        self._writer.close()


def _free(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, MAX_NUMBER))
    for name in (path, *names):
        if not name.exists():
            return name
    raise LogError(f"{path} and its {MAX_NUMBER} successors exist; set --record to another name")
