"""Roles that overlap in threads, with a barrier for consistent checkpoints; or the same roles in turn."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Protocol

IDLE_S = 0.002
"""Pause of a role that has nothing to do."""
YIELD_S = 1e-4
"""Pause after a turn."""


class Role(Protocol):
    """A part of the loop that works in small turns."""

    @property
    def due(self) -> bool:
        """Whether a turn can be taken now."""
        ...

    def work(self) -> None:
        """Take one turn."""
        ...


class Crew:
    """Runs roles in threads beside the caller. An error in one stops all and is raised in the caller.

    Torch and MuJoCo release the GIL, so roles overlap; each turn holds its own lock, and `barrier` takes all locks:
    inside it every role stands between two turns.
    """

    def __init__(self, roles: list[Role]) -> None:
        """Prepare a thread and a lock per role."""
        self._roles = [(role, threading.Lock()) for role in roles]
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=pair, name=type(pair[0]).__name__, daemon=True)
            for pair in self._roles
        ]

    def __enter__(self) -> Crew:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Let every role finish its turn, and raise what failed in the last ones."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            self.check()

    def _run(self, role: Role, lock: threading.Lock) -> None:
        try:
            while not self._stop.is_set():
                with lock:
                    worked = role.due
                    if worked:
                        role.work()
                # Without this pause the thread could take its lock again before a waiting barrier gets it.
                time.sleep(YIELD_S if worked else IDLE_S)
        except BaseException as error:
            self._error = error
            self._stop.set()

    def check(self) -> None:
        """Raise the error of a role that failed."""
        if self._error is not None:
            raise self._error

    @contextlib.contextmanager
    def barrier(self) -> Iterator[None]:
        """Hold every role between two turns."""
        with contextlib.ExitStack() as stack:
            for _, lock in self._roles:
                stack.enter_context(lock)
            yield


class InTurn:
    """The deterministic form: whenever the caller yields, every role works until it has nothing due."""

    def __init__(self, roles: list[Role]) -> None:
        """Keep the roles in order."""
        self._roles = roles

    def __enter__(self) -> InTurn:
        """Nothing to start."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to stop."""

    def check(self) -> None:
        """Let each role catch up."""
        for role in self._roles:
            while role.due:
                role.work()

    @contextlib.contextmanager
    def barrier(self) -> Iterator[None]:
        """Nothing runs beside the caller."""
        yield
