"""Synchronous runs on a CPU: same seed, same bits; stop and resume, same bits as no stop."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from tiny_runs import CAMERA, robots_of

from embodied_ssl.buffer.windows import Windows
from embodied_ssl.config import Config
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train
from embodied_ssl.train.session import Session

NOT_COMPARED = {"wall_s", "loop"}


def run_of(config: Config, name: str) -> RunFolder:
    return RunFolder.create(dataclasses.replace(config, name=name))


def assert_same_tensors(first: Any, second: Any) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def assert_same_windows(first: Windows, second: Windows) -> None:
    for field in dataclasses.fields(Windows):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, other), field.name
            continue
        for name, sensor in one.items():
            for key, value in vars(sensor).items():
                assert torch.equal(value, vars(other[name])[key]), (name, key)


def all_windows(run: RunFolder) -> Windows:
    """Restore the newest checkpoint and gather every legal window of its buffer."""
    session = Session.build(run.config, run)
    session.resume()
    session.source.close()
    learner = session.learner
    lanes, ends = (torch.from_numpy(array) for array in learner.buffer.indices[learner.shape].all_legal())
    assert len(lanes) > 100
    return learner.buffer.gather(lanes, ends, learner.shape.length)


def assert_same_runs(first: RunFolder, second: RunFolder) -> None:
    """Compare all that the newest checkpoints hold, the buffers' contents, and the rows of metrics."""
    folders = [newest_good(run.checkpoints_dir)[0] for run in (first, second)]
    assert folders[0].name == folders[1].name
    (parts, facts), (other_parts, other_facts) = (read_checkpoint(folder) for folder in folders)
    assert parts.keys() == other_parts.keys() == {"learner", "pilot", "health", "stream", "buffer", "env"}
    for name, (tensors, details) in parts.items():
        assert_same_tensors(tensors, other_parts[name][0])
        if name != "buffer":  # the same rows may lie in other segments
            assert details == other_parts[name][1]
    assert {**facts, "wall_s": 0} == {**other_facts, "wall_s": 0}
    assert_same_windows(all_windows(first), all_windows(second))
    assert rows_of(first) == rows_of(second)


def rows_of(run: RunFolder) -> list[dict[str, Any]]:
    """Return what is a function of the stream; the drift is measured on windows redrawn at a resume."""
    rows = [row for row in read_rows(run.metrics_path) if row["kind"] not in ("loop", "publish")]
    return [{key: value for key, value in row.items() if key != "wall_s"} for row in rows]


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(tiny):
    runs = [run_of(tiny(seed=seed), name) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    for run in runs:
        summary = train(run.config, run)
        assert summary["updates"] == 25
        assert summary["agent_updates"] == 100
        assert summary["stream_skill"].keys() == {"skill_1", "skill_5", "skill_15"}
    assert_same_runs(runs[0], runs[1])
    weights = [read_checkpoint(newest_good(run.checkpoints_dir)[0])[0]["learner"][0] for run in (runs[0], runs[2])]
    name = "model.encoder.core.read.weight"
    assert not torch.equal(weights[0][name], weights[1][name])


@pytest.mark.parametrize("encoder_grad", ["ssl", "critic", "ssl+critic", "frozen"])
def test_stop_and_resume_is_no_stop(tiny, interrupt_at, encoder_grad):
    config = tiny(encoder_grad)
    whole, stopped = run_of(config, "whole"), run_of(config, "stopped")
    train(config, whole)
    for resume, ticks in ((False, 41), (True, 83)):  # before the first update, and in mid-run
        interrupt_at(ticks)
        with pytest.raises(KeyboardInterrupt):
            train(config, stopped, resume)
        interrupt_at(10**9)
    train(config, stopped, resume=True)
    assert_same_runs(whole, stopped)


def test_with_cameras_too(tiny, interrupt_at):
    config = tiny(env=CAMERA, env_steps=520)
    whole, stopped = run_of(config, "whole"), run_of(config, "stopped")
    train(config, whole)
    interrupt_at(110)
    with pytest.raises(KeyboardInterrupt):
        train(config, stopped)
    interrupt_at(10**9)
    assert train(config, stopped, resume=True)["camera_backend"] == "ray"
    assert_same_runs(whole, stopped)


def test_resuming_a_finished_run_again_and_again_keeps_it_whole(tiny):
    """A resume with no tick to add must not write the ticks it has into the segment that older checkpoints name."""
    config = tiny(env_steps=400)
    run = run_of(config, "a")
    train(config, run)
    before = all_windows(run)
    sizes = {path.name: path.stat().st_size for path in run.segments_dir.iterdir()}
    for _ in range(2):
        train(config, run, resume=True)
    assert {path.name: path.stat().st_size for path in run.segments_dir.iterdir()} == sizes
    assert_same_windows(before, all_windows(run))
    assert train(dataclasses.replace(config, env_steps=440), run, resume=True)["env_steps"] == 440
    assert len(list(run.segments_dir.iterdir())) == len(sizes) + 1


def test_a_stream_older_than_the_newest_version_is_recomputed_after_a_resume(tiny):
    """The last thing a run does is to publish: its stream has not seen that version yet."""
    config = tiny(env_steps=400)
    run = run_of(config, "a")
    train(config, run)
    session = Session.build(config, run)
    session.resume()
    stream = robots_of(session).stream
    assert stream.version < session.learner.snapshot.version
    embedding = stream.embed().clone()
    lanes = torch.arange(config.env.num_lanes)
    ends = torch.from_numpy(session.learner.buffer.newest(lanes.numpy()))
    windows = session.learner.buffer.gather(lanes, ends, config.encoder.context_ticks)
    session.learner.model.encoder.load_state_dict(session.learner.snapshot.weights)
    with torch.no_grad():
        expected = session.learner.model.encoder(windows)[:, 0]
    session.source.close()
    torch.testing.assert_close(embedding, expected)
