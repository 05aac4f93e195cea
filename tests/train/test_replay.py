"""Online equals offline: a recorded stream replayed through the buffer gives the live run's weights, bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_runs import CAMERA

from embodied_ssl.config import Config, LogConfig
from embodied_ssl.config_pretrain import for_pretraining
from embodied_ssl.errors import LogError
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.logs import StreamLog
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train


def record(config: Config, name: str = "live") -> tuple[RunFolder, Path]:
    """Train in an env and keep the stream."""
    path = Path(config.runs_dir) / f"{name}.zarr"
    run = RunFolder.create(dataclasses.replace(config, name=name, record=str(path)))
    train(run.config, run)
    return run, path


def replay_of(config: Config, path: Path, name: str = "replay") -> RunFolder:
    log = LogConfig(mode="replay")
    return RunFolder.create(for_pretraining(dataclasses.replace(config, name=name, record="", log=log), [str(path)]))


def assert_same_learning(live: RunFolder, replayed: RunFolder) -> None:
    """Compare everything that learning left: weights, moments, generators, published version, health, losses."""
    folders = [newest_good(run.checkpoints_dir)[0] for run in (live, replayed)]
    assert folders[0].name == folders[1].name
    (parts, _), (others, _) = (read_checkpoint(folder) for folder in folders)
    for name in ("learner", "health", "buffer"):
        for key, tensor in parts[name][0].items():
            assert torch.equal(tensor, others[name][0][key]), (name, key)
        if name != "buffer":  # the same rows may lie in other segments
            assert parts[name][1] == others[name][1]
    assert rows_of(live, "ssl") == rows_of(replayed, "ssl")
    assert rows_of(live, "health") == rows_of(replayed, "health")
    episodes, again = rows_of(live, "episode"), rows_of(replayed, "episode")
    assert [row["length"] for row in again] == [row["length"] for row in episodes]
    # Live returns are summed before rewards are stored, in 32 bits.
    assert [row["return"] for row in again] == pytest.approx([row["return"] for row in episodes], rel=1e-5)


def rows_of(run: RunFolder, kind: str) -> list[dict]:
    rows = [row for row in read_rows(run.metrics_path) if row["kind"] == kind]
    return [{key: value for key, value in row.items() if key != "wall_s"} for row in rows]


@pytest.mark.parametrize("encoder_grad", ["ssl", "frozen"])
def test_a_replay_learns_what_the_live_run_learned_though_no_agent_acts(tiny, encoder_grad):
    live, path = record(tiny(encoder_grad))
    assert live.summary()["agent_updates"] == 100
    replayed = replay_of(live.config, path)
    summary = train(replayed.config, replayed)
    assert (summary["updates"], summary["agent_updates"], summary["env_steps"]) == (25, 0, 800)
    assert summary["source"] == "live.zarr"
    assert_same_learning(live, replayed)


@pytest.mark.slow
def test_of_a_run_without_an_agent_and_with_cameras_too(tiny):
    noise = dataclasses.replace(tiny().agent, name="none")
    live, path = record(tiny(agent=noise, env=CAMERA, env_steps=520))
    replayed = replay_of(live.config, path)
    train(replayed.config, replayed)
    assert_same_learning(live, replayed)


def test_another_seed_or_another_recording_gives_other_weights(tiny):
    """The comparison above can fail."""
    live, path = record(tiny(env_steps=400))
    other = replay_of(dataclasses.replace(live.config, seed=1), path)
    train(other.config, other)
    with pytest.raises(AssertionError):
        assert_same_learning(live, other)


@pytest.mark.slow
def test_a_replay_can_be_stopped_and_resumed(tiny, interrupt_at):
    live, path = record(tiny())
    replayed = replay_of(live.config, path)
    for resume, ticks in ((False, 40), (True, 83)):
        interrupt_at(ticks)
        with pytest.raises(KeyboardInterrupt):
            train(replayed.config, replayed, resume)
        interrupt_at(10**9)
    train(replayed.config, replayed, resume=True)
    assert_same_learning(live, replayed)


def test_recording_changes_nothing_and_a_resumed_run_records_to_a_log_of_its_own(tiny, interrupt_at, capsys):
    plain = RunFolder.create(tiny(name="plain"))
    train(plain.config, plain)
    config = tiny(name="kept", record=str(plain.path.parent / "kept.zarr"))
    run = RunFolder.create(config)
    interrupt_at(110)
    with pytest.raises(KeyboardInterrupt):
        train(config, run)
    interrupt_at(10**9)
    summary = train(config, run, resume=True)
    assert summary["recorded_to"].endswith("kept-2.zarr")
    assert "recording to" in capsys.readouterr().err
    assert_same_learning(plain, run)
    rows = [StreamLog.open(plain.path.parent / name).num_rows("reward") for name in ("kept.zarr", "kept-2.zarr")]
    assert sum(rows) == 800
    assert rows[0] == 110 * 4 + 4  # the first observations, and 110 steps


def test_what_cannot_be_replayed_is_one_line(tiny, tmp_path):
    from embodied_ssl.logs import LogStream
    from embodied_ssl.spec import SensorSpec

    StreamLog.create(tmp_path / "packets.zarr", [LogStream(SensorSpec("imu", "imu", (3,)))]).close()
    for paths, message in (
        ([tmp_path / "packets.zarr"], "not recorded from ticks"),
        ([tmp_path / "a.zarr", tmp_path / "b.zarr"], "takes one recording, got 2"),
        ([tmp_path / "nothing.zarr"], "is no log"),
    ):
        config = for_pretraining(tiny(log=LogConfig(mode="replay")), [str(path) for path in paths])
        with pytest.raises(LogError, match=message) as error:
            train(config, RunFolder.create(config))
        assert "\n" not in str(error.value)
