import io
import subprocess
import sys

import pytest
from rich.console import Console

from embodied_ssl.report import display
from embodied_ssl.report.display import Display

MEASURE = """
import mmap
from embodied_ssl.report.display import resident_gib
held = resident_gib()
block = mmap.mmap(-1, 64 << 20)
block.write(b"x" * len(block))
print(resident_gib() - held)
"""


class Clock:
    """Time that tests move by hand."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(display, "time", clock)
    return clock


def plain() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_come_every_ten_seconds_and_at_the_end(clock):
    console = plain()
    with Display(1000, console) as shown:
        for second in range(25):
            clock.now = 100.0 + second
            shown.update({"env_steps": second * 10, "updates": second})
    assert len(text(console).splitlines()) == 3


def test_a_line_holds_speeds_losses_and_the_time_left(clock):
    console = plain()
    with Display(1000, console) as shown:
        shown.update({"env_steps": 100, "updates": 0})
        clock.now += 10
        shown.update(
            {"env_steps": 300, "updates": 50, "loss/spread": 0.25, "effective_rank": 12.0, "return": float("nan")}
        )
    line = text(console).splitlines()[-1]
    for part in ("steps/s 20", "updates/s 5.0", "loss/spread 0.2500", "effective rank 12.0", "time left 0:35", "GiB"):
        assert part in line
    assert "return" not in line


def test_given_speeds_win_over_measured_ones(clock):
    console = plain()
    with Display(1000, console) as shown:
        shown.update({"env_steps": 0})
        clock.now += 1
        shown.update({"env_steps": 500, "env_steps_per_s": 100})
    assert "time left 0:05" in text(console)


def test_time_left_is_unknown_before_anything_moved(clock):
    console = plain()
    with Display(1000, console) as shown:
        shown.update({"env_steps": 0})
    assert "time left unknown" in text(console)


def test_on_a_terminal_a_live_table_is_drawn():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with Display(1000, console) as shown:
        shown.update({"env_steps": 123, "loss/spread": 0.25})
        shown.message("health: rolled back")
    assert "health: rolled back" in text(console)
    assert "environment steps" in text(console)
    assert "123" in text(console)


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "0:05"), (65, "1:05"), (3661, "1:01:01"), (-3, "0:00"), (float("nan"), "unknown")]
)
def test_clock(seconds, words):
    assert display._clock(seconds) == words


def test_memory_is_that_of_this_process():
    """In a process of its own: in this one other tests' threads and allocators move the figure."""
    measured = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, timeout=60)
    assert float(measured.stdout) == pytest.approx(64 / 1024, abs=0.02)
