"""Real processes: SIGKILL in mid-run, Ctrl-C, and mistakes on the command line."""

from __future__ import annotations

import dataclasses
import random
import signal
import time

from embodied_ssl.buffer.segments import SegmentStore
from embodied_ssl.learner.checkpoint import list_checkpoints, newest_good, read_checkpoint
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.spec import StreamSpec

PATIENCE_S = 60.0


def wait_for_checkpoints(run: RunFolder, more_than: int, process) -> None:
    """Wait until the newest checkpoint has more than so many updates."""
    until = time.monotonic() + PATIENCE_S
    while not any(int(path.name) > more_than for path in list_checkpoints(run.checkpoints_dir)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def check_good(run: RunFolder) -> dict[str, int]:
    """Verify the newest good checkpoint with its segments; return its facts."""
    store: list[SegmentStore] = []

    def verify(manifest) -> None:
        if not store:
            learner = OnlineLearner(StreamSpec.from_json(manifest["facts"]["spec"]), 1, run.config)
            store.append(SegmentStore(learner.buffer, run.segments_dir))
        store[0].verify(manifest["parts"]["buffer"]["segments"])

    folder, _ = newest_good(run.checkpoints_dir, verify)
    return read_checkpoint(folder)[1]


def test_sigkill_again_and_again_then_resume_to_the_end(tiny, command, tmp_path):
    """Checkpoints follow each other as fast as they can be written, so that kills fall into the writing of one."""
    config = tiny(name="killed", synchronous=False, env_steps=20_000, checkpoint_every=1)
    run, rng, updates, env_steps = RunFolder(tmp_path / "killed"), random.Random(0), 0, config.env_steps
    process = command(config=config)
    for _ in range(2):
        wait_for_checkpoints(run, updates + 2, process)
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        facts = check_good(run)
        assert facts["updates"] > updates
        updates, env_steps = facts["updates"], facts["env_steps"] + 800
        process = command("--resume", str(run.path), "--env_steps", str(env_steps))
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert f"{updates} updates" in err
    assert "run folder:" in out
    assert run.summary()["env_steps"] == env_steps
    assert run.summary()["updates"] >= updates + 800 * config.learner.update_to_data_ratio
    rows = [line for line in run.metrics_path.read_text().splitlines() if '"kind": "health"' in line]
    assert len(rows) == len({line.split('"updates": ')[1].split(",")[0] for line in rows})


def test_ctrl_c_saves_and_says_how_to_go_on(tiny, command, tmp_path):
    config = tiny(name="stopped", synchronous=False, env_steps=20_000)
    process = command(config=config)
    run = RunFolder(tmp_path / "stopped")
    wait_for_checkpoints(run, 0, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    (told,) = [line for line in err.splitlines() if line.startswith("stopped and saved")]
    words = told.partition("embodied-ssl train ")[2].split()
    assert words == ["--resume", str(run.path)]
    facts = check_good(run)
    process = command(*words, "--env_steps", str(facts["env_steps"] + 80))
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    newest = run.checkpoints_dir / f"{facts['updates']:08d}"
    assert f"resumed from {newest}" in err
    assert run.summary()["env_steps"] == facts["env_steps"] + 80


def test_a_misspelt_key_is_one_line(command, tmp_path):
    process = command("--learner.lrr", "1", "--runs_dir", str(tmp_path / "runs"))
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "--learner.lr" in err
    assert not (tmp_path / "runs").exists()


def test_a_refused_env_is_one_line_in_a_real_process(tiny, command, tmp_path):
    env = dataclasses.replace(tiny().env, kwargs={"camera_backend": "lead"})
    process = command(config=tiny(env=env, runs_dir=str(tmp_path / "runs")))
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert "lead" in err
    assert list((tmp_path / "runs").iterdir()) == []
