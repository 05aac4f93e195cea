"""Roles in threads: errors surface, the barrier holds them between turns, the backlog stays bounded."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from embodied_ssl.errors import RunError
from embodied_ssl.health.monitor import Verdict
from embodied_ssl.learner.checkpoint import list_checkpoints
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train
from embodied_ssl.train.crew import Crew, InTurn
from embodied_ssl.train.roles import MAX_ROLL_BACKS, UPDATES_AHEAD, Collector, Student


class Counter:
    """A role whose turn changes two numbers that are equal between turns; fails at a turn if asked."""

    def __init__(self, turns: int, fails_at: int | None = None, turn_s: float = 0.0002) -> None:
        self.turns, self.fails_at, self.turn_s = turns, fails_at, turn_s
        self.begun = self.ended = 0

    @property
    def due(self) -> bool:
        return self.begun < self.turns

    def work(self) -> None:
        self.begun += 1
        time.sleep(self.turn_s)
        if self.begun == self.fails_at:
            raise RunError(f"failed at turn {self.begun}")
        self.ended += 1


def test_roles_overlap_and_finish():
    roles = [Counter(5, turn_s=0.05), Counter(5, turn_s=0.05)]
    began = time.monotonic()
    with Crew(list(roles)):
        while any(role.due for role in roles):
            time.sleep(0.001)
    assert [role.ended for role in roles] == [5, 5]
    assert time.monotonic() - began < 0.45
    assert not {"Counter"} & {thread.name for thread in threading.enumerate()}


def test_the_barrier_holds_every_role_between_two_turns():
    roles = [Counter(10**9), Counter(10**9, turn_s=0.0011)]
    with Crew(list(roles)) as crew:
        for _ in range(40):
            with crew.barrier():
                first = [(role.begun, role.ended) for role in roles]
                time.sleep(0.003)
                assert [(role.begun, role.ended) for role in roles] == first
                assert all(begun == ended for begun, ended in first)
            time.sleep(0.001)
    assert all(role.ended > 10 for role in roles)


def test_an_error_stops_all_roles_and_is_raised_in_the_caller():
    roles = [Counter(10**9, fails_at=3), Counter(10**9)]

    def watch() -> None:
        with Crew(list(roles)) as crew:
            for _ in range(2000):
                crew.check()
                time.sleep(0.001)

    with pytest.raises(RunError, match="failed at turn 3"):
        watch()
    ended = roles[1].ended
    time.sleep(0.02)
    assert roles[1].ended == ended


def test_an_error_in_the_very_last_turn_is_not_lost():
    """The caller leaves when nothing is due, which may be before it looks for errors again."""
    role = Counter(1, fails_at=1)

    def leave_when_nothing_is_due() -> None:
        with Crew([role]):
            while role.due:
                time.sleep(0.001)

    with pytest.raises(RunError, match="failed at turn 1"):
        leave_when_nothing_is_due()


def test_the_callers_own_error_is_the_one_that_leaves():
    def fail_too() -> None:
        with Crew([Counter(1, fails_at=1)]):
            time.sleep(0.02)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_too()


def test_in_turn_works_off_what_is_due_in_order():
    roles = [Counter(3), Counter(2)]
    with InTurn(list(roles)) as crew, crew.barrier():
        assert roles[0].ended == 0
        crew.check()
    assert [role.ended for role in roles] == [3, 2]


def test_a_threaded_run_makes_the_updates_that_its_ratios_ask_for(tiny):
    run = RunFolder.create(tiny(synchronous=False))
    summary = train(run.config, run)
    assert summary["env_steps"] == 800
    assert summary["updates"] == 25
    assert summary["agent_updates"] == 100
    assert run.summary() == summary
    assert run.report_path.exists()
    rows = read_rows(run.metrics_path)
    assert {row["kind"] for row in rows} - {"loop"} == {"episode", "ssl", "health", "agent", "publish"}
    # 4 lanes of 60-tick episodes; the tick that resets a lane belongs to none.
    assert [row["length"] for row in rows if row["kind"] == "episode"] == [60] * 12
    assert [path.name for path in list_checkpoints(run.checkpoints_dir)][-1] == "00000025"


def test_the_collector_waits_for_a_slow_student(tiny, monkeypatch):
    """Back-pressure: what is due never exceeds the allowance by more than one tick's worth."""
    work, collect, backlog = Student.work, Collector.work, []

    def slow(self: Student) -> None:
        time.sleep(0.01)
        work(self)

    def watched(self: Collector) -> None:
        backlog.append(self.pilot.learner.num_due)
        collect(self)

    monkeypatch.setattr(Student, "work", slow)
    monkeypatch.setattr(Collector, "work", watched)
    config = tiny(synchronous=False, env_steps=1200)
    train(config, RunFolder.create(config))
    assert max(backlog) >= UPDATES_AHEAD - 1
    assert max(backlog) <= UPDATES_AHEAD


@pytest.mark.parametrize("synchronous", [True, False])
def test_an_error_in_a_role_ends_the_run(tiny, monkeypatch, synchronous):
    work, turns = Student.work, 0

    def failing(self: Student) -> None:
        nonlocal turns
        turns += 1
        work(self)
        if turns == 10:
            raise RunError("the student fell ill")

    monkeypatch.setattr(Student, "work", failing)
    run = RunFolder.create(tiny(synchronous=synchronous))
    with pytest.raises(RunError, match="fell ill"):
        train(run.config, run)
    assert turns == 10
    (saved,) = list_checkpoints(run.checkpoints_dir)
    assert int(saved.name) in ([8] if synchronous else [8, 9, 10])
    assert train(run.config, run, resume=True)["updates"] == 25


def test_roll_backs_are_counted_published_recorded_and_limited(tiny, monkeypatch):
    ill = Verdict("roll_back", "made up", {"effective_rank": 1.0})
    monkeypatch.setattr("embodied_ssl.health.monitor.HealthMonitor.judge", lambda *_: ill)
    run = RunFolder.create(tiny(env_steps=1200))
    with pytest.raises(RunError, match=f"rolled back {MAX_ROLL_BACKS} times and ill again: made up"):
        train(run.config, run)
    rows = read_rows(run.metrics_path)
    assert [row["updates"] for row in rows if row["kind"] == "health"] == [5, 10, 15, 20]
    versions = [(row["version"], row["updates"]) for row in rows if row["kind"] == "publish"]
    assert versions == [(1, 5), (2, 7), (3, 10), (4, 14), (5, 15)]
    assert all(np.isfinite(row["drift_relative"]) for row in rows if row["kind"] == "publish")
