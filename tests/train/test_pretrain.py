"""Learning from logs: as many updates as in an env, the same bits after a stop, from disk as from memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import small_config
from one_line import said_in_one_line
from packet_logs import record_packets
from streams import SPEC, TickSource
from tick_logs import record_ticks

from embodied_ssl.cli import main
from embodied_ssl.config import Config, EvaluationConfig, HealthConfig, LogConfig
from embodied_ssl.config_file import dump_config
from embodied_ssl.config_pretrain import for_pretraining
from embodied_ssl.errors import CheckpointError, ConfigError, LogError, RunError
from embodied_ssl.evaluate.run import evaluate_run
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.sources.log_set import LogSet
from embodied_ssl.sources.log_split import Stretch
from embodied_ssl.train import train
from embodied_ssl.train.session import Session


@pytest.fixture
def logs(tmp_path) -> list[str]:
    """Two logs of three and of one lane; the second lacks the camera."""
    record_ticks(tmp_path / "a.zarr", num_steps=150, num_lanes=3)
    blind = dataclasses.replace(SPEC, sensors=SPEC.sensors[:3])
    record_ticks(tmp_path / "b.zarr", num_steps=300, num_lanes=1, seed=1, spec=blind)
    return [str(tmp_path / "a.zarr"), str(tmp_path / "b.zarr")]


def config_of(tmp_path: Path, **settings) -> Config:
    config = small_config()
    changed = {
        "runs_dir": str(tmp_path / "runs"),
        "env_steps": 260,
        "synchronous": True,
        "checkpoint_every": 6,
        "health": HealthConfig(every=5),
        "evaluation": EvaluationConfig(enabled=False),
        "log": LogConfig(holdout=0.2),
    }
    return dataclasses.replace(config, **(changed | settings))


def pretrained(config: Config, logs: list[str], name: str = "pretrain") -> RunFolder:
    config = for_pretraining(dataclasses.replace(config, name=name), logs)
    run = RunFolder.create(config)
    train(config, run)
    return run


def weights_of(run: RunFolder) -> dict[str, torch.Tensor]:
    return dict(read_checkpoint(newest_good(run.checkpoints_dir)[0])[0]["learner"][0])


def assert_same_weights(one: RunFolder, other: RunFolder) -> None:
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_run_makes_the_updates_of_a_run_of_so_many_steps_and_keeps_no_rows(logs, tmp_path):
    run = pretrained(config_of(tmp_path), logs)
    summary = run.summary()
    learner = run.config.learner
    updates = int((260 - learner.learning_starts) * learner.update_to_data_ratio)
    assert (summary["env_steps"], summary["updates"]) == (260, updates)
    assert summary["learned_ticks"] + summary["held_out_ticks"] == 750
    assert summary["source"] == "a.zarr + 1"
    assert not run.segments_dir.exists()
    assert run.report_path.exists()
    assert {row["kind"] for row in read_rows(run.metrics_path)} - {"loop"} == {"ssl", "health", "publish"}


def test_stop_and_resume_is_no_stop(logs, tmp_path, interrupt_at):
    whole = pretrained(config_of(tmp_path), logs, "whole")
    config = for_pretraining(config_of(tmp_path, name="stopped"), logs)
    run = RunFolder.create(config)
    interrupt_at(15)
    with pytest.raises(KeyboardInterrupt):
        train(config, run)
    interrupt_at(10**9)
    train(config, run, resume=True)
    assert_same_weights(whole, run)


def test_a_log_that_changed_its_sensors_is_not_gone_on_with(logs, tmp_path):
    config = for_pretraining(config_of(tmp_path), logs)
    run = pretrained(config, logs)
    alone = dataclasses.replace(run.config, log=dataclasses.replace(run.config.log, paths=logs[1:]))
    with pytest.raises(CheckpointError, match="the sensors are not those of"):
        train(alone, RunFolder(run.path), resume=True)


def test_a_log_that_has_grown_is_neither_evaluated_on_nor_gone_on_with(tmp_path):
    """What was held out follows from the log: as it is now, learned episodes would be scored on."""
    path = tmp_path / "p.zarr"
    record_packets(path, num_episodes=8)
    off = EvaluationConfig(train_episodes=4, test_episodes=3, enabled=False)
    run = pretrained(config_of(tmp_path, log=LogConfig(holdout=0.3), evaluation=off), [str(path)])
    evaluate_run(run)
    facts = run.summary()
    assert set(facts["packets"][str(path)]) == {"imu", "joint", "push"}
    assert facts["action_bounds"][str(path)]["low"][0] == pytest.approx(-3, abs=0.1)
    with StreamLog.append_to(path) as writer:
        begin = 1_900_000_000_000_000_000
        writer.begin_episode(begin)
        writer.append("joint", np.zeros((80, 1), np.float32), begin + np.arange(80) * 50_000_000)
        writer.end_episode(begin + 4 * 10**9)
    for again in (lambda: evaluate_run(run), lambda: train(run.config, RunFolder(run.path), resume=True)):
        with pytest.raises(LogError, match=r"p.zarr has .* rows, but .* pretrain anew"):
            again()


def test_from_disk_is_from_memory_and_logs_are_decoded_once(logs, tmp_path, monkeypatch):
    memory = pretrained(config_of(tmp_path), logs, "memory")
    cached = config_of(tmp_path, log=LogConfig(holdout=0.2, cache_dir=str(tmp_path / "cache")))
    first = pretrained(cached, logs, "first")
    assert_same_weights(memory, first)
    (kept,) = (tmp_path / "cache").iterdir()
    assert not kept.name.startswith(".")

    def decode(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr("embodied_ssl.sources.log_set.LogSet.ticks", decode)
    second = pretrained(cached, logs, "second")
    assert_same_weights(memory, second)


@pytest.mark.slow
def test_a_run_that_reads_ahead_from_disk_can_be_stopped_and_resumed(logs, tmp_path, interrupt_at):
    memory = pretrained(config_of(tmp_path), logs, "memory")
    cached = config_of(tmp_path, name="cached", log=LogConfig(holdout=0.2, cache_dir=str(tmp_path / "cache")))
    run = RunFolder.create(for_pretraining(cached, logs))
    interrupt_at(12)
    with pytest.raises(KeyboardInterrupt):
        train(run.config, run)
    interrupt_at(10**9)
    train(run.config, run, resume=True)
    assert_same_weights(memory, run)


@pytest.mark.slow
def test_the_cache_follows_the_logs_and_leaves_nothing_of_a_stopped_fill(logs, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    config = config_of(tmp_path, log=LogConfig(holdout=0.2, cache_dir=str(cache)))
    pretrained(config, logs, "first")
    pretrained(dataclasses.replace(config, log=dataclasses.replace(config.log, holdout=0.3)), logs, "other")
    assert len(list(cache.iterdir())) == 2
    record_ticks(tmp_path / "c.zarr", seed=7)

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("embodied_ssl.sources.log_set.LogSet._fitted", broken)
    with pytest.raises(KeyboardInterrupt):
        pretrained(config, [str(tmp_path / "c.zarr")], "stopped")
    assert len(list(cache.iterdir())) == 2


def test_what_is_held_out_is_never_in_the_buffer(logs, tmp_path):
    """Every stored tick is a learned tick of the logs, by its action, which no two ticks share."""
    config = for_pretraining(config_of(tmp_path), logs)
    session = Session.build(config, RunFolder.create(config))
    session.start()
    shape, buffer = session.learner.shape, session.learner.buffer
    opened = LogSet.open(config.log, shape.context, shape.horizon)
    learned, held = (actions_of(opened, stretches) for stretches in (opened.learned, opened.held_out))
    lanes, ends = (torch.from_numpy(array) for array in buffer.indices[session.learner.shape].all_legal())
    windows = buffer.gather(lanes, ends, 1)
    stored = {action.numpy().tobytes() for action in windows.action[:, 0][windows.action_mask[:, 0]]}
    assert len(stored) > 300
    assert stored <= learned
    assert len(held) > 50
    assert not stored & held
    session.source.close()


def actions_of(logs: LogSet, stretches: list[Stretch]) -> set[bytes]:
    return {action.tobytes() for tick in logs.ticks(stretches, range(len(stretches))) for action in tick.action}


def test_evaluation_scores_held_out_episodes_and_has_no_returns(logs, tmp_path, capsys):
    sizes = EvaluationConfig(train_episodes=6, test_episodes=3, supervised_steps=5)
    run = pretrained(config_of(tmp_path, evaluation=sizes), logs)
    summary = run.summary()
    assert summary["forward_skill"].keys() == {"1"}
    assert summary["return"] == {}
    assert 1 < summary["effective_rank"] <= 8
    again = evaluate_run(run)
    assert again["forward_skill"] == summary["forward_skill"]
    page = run.report_path.read_text()
    assert "records do not fit" not in page
    assert "Forward skill" in page
    assert main(["runs", str(tmp_path / "runs")]) == 0
    assert "a.zarr + 1" in capsys.readouterr().out
    assert main(["evaluate", str(run.path)]) == 0


def test_a_replay_has_nothing_to_evaluate_on(logs, tmp_path):
    config = config_of(tmp_path, log=LogConfig(mode="replay"), evaluation=EvaluationConfig())
    run = pretrained(config, logs[:1])
    assert run.config.evaluation.enabled is False
    with pytest.raises(RunError, match="replay learned from every episode"):
        evaluate_run(run)


MISTAKES = {
    "no log": ([], "log.paths is empty"),
    "no such log": (["--log", "nothing.zarr"], "is no log"),
    "twice": (["--log", "A", "--log", "A"], "given twice"),
    "no value": (["--log"], "--log takes a path"),
    "replay of two": (["--log", "A", "--log", "B", "--log.mode", "replay"], "takes one recording"),
    "mode": (["--log", "A", "--log.mode", "shufle"], "did you mean 'shuffle'"),
    "holdout": (["--log", "A", "--log.holdout", "1.5"], "log.holdout is 1.5"),
    "critic": (["--log", "A", "--agent.encoder_grad", "critic"], "a log has no critic"),
    "record": (["--log", "A", "--record", "x.zarr"], "only a run in an env can be recorded"),
    "too little held out": (["--log", "A", "--log.holdout", "0", "--evaluation.enabled"], "nothing was held out"),
    "encoder": (["--log", "A", "--encoder", "runs/nothing"], "is no run folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(logs, tmp_path, capsys, monkeypatch, mistake):
    words, message = MISTAKES[mistake]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(dump_config(config_of(tmp_path)))
    paths = dict(zip("AB", logs, strict=True))
    assert main(["pretrain", "--config", "c.yaml", *(paths.get(word, word) for word in words)]) == 2
    said_in_one_line(capsys, message, tmp_path)


def test_train_sends_logs_to_pretrain(logs, tmp_path, capsys):
    assert main(["train", "--log", logs[0]]) == 2
    assert "use `embodied-ssl pretrain" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="at least one log"):
        for_pretraining(config_of(tmp_path))


@pytest.mark.slow
def test_the_command_pretrains_and_goes_on(logs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(dump_config(config_of(tmp_path)))
    assert main(["pretrain", "--config", "c.yaml", "--log", "a.zarr", "--log=b.zarr", "--log.holdout", "0.3"]) == 0
    assert "learned from" in capsys.readouterr().out
    run = RunFolder.open(tmp_path / "runs" / "pretrain")
    assert run.config.log.paths == logs
    assert main(["pretrain", "--resume", str(run.path), "--env_steps", "300"]) == 0
    assert run.summary()["env_steps"] == 300
    with pytest.raises(SystemExit):
        main(["pretrain", "--help"])
    assert "usage: embodied-ssl pretrain --log A" in capsys.readouterr().out


@pytest.mark.slow
def test_a_threaded_run_makes_its_updates_too(logs, tmp_path):
    run = pretrained(config_of(tmp_path, synchronous=False), logs)
    assert run.summary()["updates"] == 20
    assert np.isfinite([row["loss"] for row in read_rows(run.metrics_path) if row["kind"] == "ssl"]).all()


def packets_config(tmp_path: Path, **settings) -> Config:
    sizes = EvaluationConfig(train_episodes=4, test_episodes=3, supervised_steps=5)
    return config_of(tmp_path, env_steps=400, evaluation=sizes, **settings)


def test_privileged_streams_of_a_log_are_probed_beside_all_nulls_on_held_out_episodes(tmp_path):
    record_packets(tmp_path / "p.zarr", num_episodes=8)
    run = pretrained(packets_config(tmp_path, log=LogConfig(holdout=0.3)), [str(tmp_path / "p.zarr")])
    summary = run.summary()
    systems = {"learned", "frozen_random", "raw_tick", "raw_window", "raw_window_pca", "supervised"}
    assert set(summary["probe_r2"]["all"]) == systems
    assert set(summary["probe_r2_per_target"]["all"]["learned"]) == {"angle.0", "angle.1"}
    # The sine of the angle is a sensor with little noise: a probe finds it if targets and ticks belong together.
    assert summary["probe_r2_per_target"]["all"]["raw_window"]["angle.0"] > 0.9
    record = json.loads((run.path / "evaluation.json").read_text())
    assert record["probe_groups"] == {"angle": ["angle"]}
    assert record["probe_set"]["test_episodes"] == 2
    page = run.report_path.read_text()
    assert "records do not fit" not in page
    assert "angle.0" in page


@pytest.mark.slow
def test_what_privileged_streams_hold_changes_no_weight(tmp_path):
    runs = []
    for name, scale in (("true", 1.0), ("false", -7.0)):
        (tmp_path / name).mkdir()
        record_packets(tmp_path / name / "p.zarr", state_scale=scale)
        config = dataclasses.replace(packets_config(tmp_path), evaluation=EvaluationConfig(enabled=False))
        runs.append(pretrained(config, [str(tmp_path / name / "p.zarr")], name))
    assert_same_weights(*runs)


def test_one_long_recording_is_held_out_at_its_end(tmp_path):
    record_packets(tmp_path / "p.zarr", num_episodes=1, seconds=40.0)
    run = pretrained(packets_config(tmp_path, log=LogConfig(holdout=0.25)), [str(tmp_path / "p.zarr")])
    summary = run.summary()
    assert summary["held_out_ticks"] == pytest.approx(200, abs=2)
    gap = run.config.encoder.context_ticks + run.config.learner.horizon_ticks
    assert summary["learned_ticks"] == pytest.approx(600 - gap, abs=3)
    assert summary["forward_skill"]["1"] is not None


def test_a_sensor_that_sends_more_than_its_rate_says_is_named(tmp_path, capsys):
    """Declared at 10 Hz, read three times a tick of 20 Hz: the ring has room for a quarter more than declared."""
    liar = dataclasses.replace(SPEC, sensors=(SPEC["joint"], dataclasses.replace(SPEC["imu"], rate_hz=21.0)))
    source = TickSource(1, 0, liar, end_chance=0.03)
    with create_recording(tmp_path / "liar.zarr", liar, 1, fsync=False) as writer:
        recorder = TickRecorder(writer, liar, 1)
        for _ in range(300):
            tick = source.tick()
            recorder.write([dataclasses.replace(tick, fresh={**tick.fresh, "imu": np.ones((1, 3), bool)})])
    pretrained(config_of(tmp_path), [str(tmp_path / "liar.zarr")])
    assert "sensor 'imu' sends more rows than its rate says" in capsys.readouterr().err
