"""The spine: source -> buffer -> update -> snapshot -> policy, from start to summary."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from typing import Any

import torch

from embodied_ssl.config import Config
from embodied_ssl.report.display import Display
from embodied_ssl.report.sink import make_sinks
from embodied_ssl.run_folder import RunFolder, write_json
from embodied_ssl.train.crew import Crew, InTurn
from embodied_ssl.train.recorder import Recorder
from embodied_ssl.train.roles import Collector, Student, Trainer
from embodied_ssl.train.session import Session, versions


def train(config: Config, run: RunFolder, resume: bool = False) -> dict[str, Any]:
    """Run until ``config.env_steps`` and leave a whole run folder.

    Args:
        config: every setting.
        run: where to write.
        resume: go on from the newest good checkpoint of ``run``.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the turn is finished and a checkpoint written.
        EmbodiedSSLError: a setting, env or checkpoint is wrong.
    """
    torch.set_num_threads(1)  # roles overlap instead: more threads than cores only wait for each other
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.lock())
        session = Session.build(config, run, resume)
        stack.callback(session.source.close)
        notes = session.resume() if resume else session.start()
        sink = make_sinks(config.sinks, run, *session.resumed_at)
        stack.callback(sink.close)
        display = stack.enter_context(Display(config.env_steps))
        recorder = Recorder(session.learner, sink, display, session.wall_s)
        for note in [*notes, f"camera back end: {session.source.camera_backend}"]:
            recorder.message(note)
        if not _loop(session, recorder):
            recorder.message(f"stopped and saved; go on with: embodied-ssl {session.command} --resume {run.path}")
            raise KeyboardInterrupt
    return _close(session, recorder)


def _loop(session: Session, recorder: Recorder) -> bool:
    """Collect, learn and act until the steps are done; return False after Ctrl-C."""
    config = session.config
    collector = Collector(session.source, session.pilot, recorder, config.env_steps)
    student = Student(session.learner, session.monitor, recorder, config.health.every)
    trainer = Trainer(session.pilot, recorder)
    student.num_roll_backs = session.num_roll_backs

    def save() -> None:
        session.wall_s, session.num_roll_backs = recorder.wall_s, student.num_roll_backs
        session.save()

    saved_at = session.learner.num_updates
    with _Interrupt() as interrupt, (InTurn if config.synchronous else Crew)([student, trainer]) as crew:
        while not (interrupt.asked or (collector.finished and not student.due and not trainer.due)):
            crew.check()
            if collector.due:
                collector.work()
            else:
                time.sleep(0.001)
            recorder.agent_updates = session.pilot.num_updates
            recorder.loop()
            if session.learner.num_updates - saved_at >= config.checkpoint_every:
                saved_at = session.learner.num_updates
                with crew.barrier():
                    save()
    if not interrupt.asked:
        session.learner.publish()
        recorder.publication(session.learner.publications[-1])
    save()
    return not interrupt.asked


class _Interrupt:
    """Turns the first Ctrl-C or SIGTERM into a request; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _close(session: Session, recorder: Recorder) -> dict[str, Any]:
    """Write the summary, evaluate, and write the report."""
    from embodied_ssl.evaluate.run import evaluate_run
    from embodied_ssl.report.html import write_report
    from embodied_ssl.rl.saved_policy import load_policy

    summary = {
        "env_steps": session.learner.env_steps,
        "updates": session.learner.num_updates,
        "agent_updates": session.pilot.num_updates,
        **recorder.speeds(),
        "wall_s": recorder.wall_s,
        "stream_skill": {k: v for k, v in session.monitor.read_skill().items() if math.isfinite(v)},
        "num_roll_backs": session.num_roll_backs,
        **session.source.facts(),
        "overflow_rows": session.learner.buffer.num_overflow_rows,
        "camera_backend": session.source.camera_backend,
        "inherited": session.inherited,
        "versions": versions(),
        "seed": session.config.seed,
    }
    write_json(session.run.summary_path, summary)
    if session.config.evaluation.enabled:
        try:
            summary = evaluate_run(session.run, load_policy)
        except KeyboardInterrupt:
            recorder.message(f"trained and saved; measure it with: embodied-ssl evaluate {session.run.path}")
            raise
    write_report(session.run)
    return summary
