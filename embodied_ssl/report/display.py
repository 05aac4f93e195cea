"""What a person sees while a run goes on, and the table it closes with."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

GAUGES = {
    "env_steps": ("environment steps", "{:,.0f}"),
    "env_steps_per_s": ("steps/s", "{:,.0f}"),
    "updates": ("updates", "{:,.0f}"),
    "updates_per_s": ("updates/s", "{:,.1f}"),
    "agent_updates": ("agent updates", "{:,.0f}"),
    "forward_skill": ("forward skill", "{:+.3f}"),
    "effective_rank": ("effective rank", "{:.1f}"),
    "return": ("return", "{:.2f}"),
}
"""Values with a row of their own, by name: label and format. ``loss…`` follow, then memory and time left."""

PLAIN_EVERY_S = 10.0


class Display:
    """Shows the newest values: a live table on a terminal, a line every ten seconds elsewhere.

    Use as a context manager; `update` is cheap and may be called at every step, from one thread.
    """

    def __init__(self, env_steps: int, console: Console | None = None) -> None:
        """Prepare; nothing is shown before the context is entered.

        Args:
            env_steps: length of the run, for the time left.
            console: where to write, standard error by default, so that output can be piped.
        """
        self._total = env_steps
        self._console = console or Console(stderr=True)
        self._values: dict[str, Any] = {}
        self._first: tuple[float, float, float] | None = None
        self._next_line_s = 0.0
        self._live: Live | None = None

    def __enter__(self) -> Display:
        """Start showing."""
        self._next_line_s = time.monotonic() + PLAIN_EVERY_S
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Show the last values and stop."""
        if self._live:
            self._live.stop()
        elif self._values:
            self._print_line()

    def update(self, values: Mapping[str, Any]) -> None:
        """Take newer values; those not named stay.

        Args:
            values: numbers by name: those of `GAUGES` and any whose name starts with ``loss``. Speeds that are not
                given are worked out from ``env_steps`` and ``updates`` since the first call.
        """
        self._values.update(values)
        now = time.monotonic()
        if self._first is None:
            self._first = (now, self._values.get("env_steps", 0), self._values.get("updates", 0))
        if self._live is None and now >= self._next_line_s:
            self._next_line_s = now + PLAIN_EVERY_S
            self._print_line()

    def message(self, text: str) -> None:
        """Print a line above the table, such as a health verdict."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _print_line(self) -> None:
        self.message(" · ".join(f"{label} {text}" for label, text in self._rows()))

    def _table(self) -> Table:
        table = Table(show_header=False, title="embodied_ssl", title_justify="left")
        table.add_column()
        table.add_column(justify="right", min_width=12)
        for label, text in self._rows():
            table.add_row(label, text)
        return table

    def _rows(self) -> Iterator[tuple[str, str]]:
        """Yield label and text of each line; runs in the thread of `Live` too, hence the copy."""
        values = self._speeds() | dict(self._values)
        for name, (label, form) in GAUGES.items():
            if _is_number(values.get(name)):
                yield label, form.format(values[name])
        for name in sorted(values):
            if name.startswith("loss") and _is_number(values[name]):
                yield name, f"{values[name]:.4f}"
        yield "memory", f"{resident_gib():.2f} GiB"
        yield (
            "time left",
            _clock((self._total - values.get("env_steps", 0)) / (values.get("env_steps_per_s") or math.nan)),
        )

    def _speeds(self) -> dict[str, float]:
        if self._first is None or time.monotonic() - self._first[0] < 1e-3:
            return {}
        start_s, steps, updates = self._first
        passed_s = time.monotonic() - start_s
        return {
            "env_steps_per_s": (self._values.get("env_steps", 0) - steps) / passed_s,
            "updates_per_s": (self._values.get("updates", 0) - updates) / passed_s,
        }


def resident_gib() -> float:
    """Return the memory this process holds now, in GiB (its peak where the system has no /proc)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "unknown"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
