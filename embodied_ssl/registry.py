"""Names to classes: one small table per kind of part, filled by a decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

from embodied_ssl.errors import ConfigError, nearest

T = TypeVar("T")
P = TypeVar("P")


class Registry(Generic[T]):
    """A table of named parts; an unknown name raises one line with the nearest right one."""

    def __init__(self, kind: str) -> None:
        """Make an empty table.

        Args:
            kind: what the parts are called in messages, for example ``"objective"``.
        """
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[P], P]:
        """Return a decorator that files its argument, a ``T``, under ``name`` and keeps its own type."""

        def file(part: P) -> P:
            if name in self._parts:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._parts[name] = cast(T, part)
            return part

        return file

    def __getitem__(self, name: str) -> T:
        """Return the part called ``name``, or raise `ConfigError` naming the nearest one."""
        if name not in self._parts:
            raise ConfigError(f"unknown {self.kind} {name!r}; {nearest(name, self._parts)}")
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order in which they were registered."""
        return iter(self._parts)
