"""An encoder learned from a recording goes on learning in an env."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny_runs import TINY, robots_of

from embodied_ssl.cli import main
from embodied_ssl.config import EvaluationConfig, LogConfig
from embodied_ssl.config_file import dump_config
from embodied_ssl.config_pretrain import for_pretraining
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train
from embodied_ssl.train.session import Session


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> RunFolder:
    """A run that learned from what a run in an env recorded."""
    folder = tmp_path_factory.mktemp("runs")
    live = dataclasses.replace(TINY, runs_dir=str(folder), env_steps=480, record=str(folder / "live.zarr"))
    train(live, RunFolder.create(live))
    offline = dataclasses.replace(live, record="", log=LogConfig(holdout=0.2))
    run = RunFolder.create(for_pretraining(offline, [str(folder / "live.zarr")]))
    train(run.config, run)
    return run


def test_it_begins_with_the_published_weights_and_then_learns(pretrained, tiny):
    config = tiny(name="online", encoder_from=str(pretrained.path))
    session = Session.build(config, RunFolder.create(config))
    (note,) = session.start()
    assert "encoder of" in note
    published = read_checkpoint(newest_good(pretrained.checkpoints_dir)[0])[0]["learner"][0]
    for name, weight in session.learner.model.encoder.state_dict().items():
        assert torch.equal(weight, published[f"snapshot.{name}"]), name
    stream = robots_of(session).stream
    embedding = stream.embed()
    lanes = torch.arange(config.env.num_lanes)
    windows = session.learner.buffer.gather(lanes, torch.zeros_like(lanes), config.encoder.context_ticks)
    with torch.no_grad():
        torch.testing.assert_close(embedding, session.learner.model.encoder(windows)[:, 0])
    session.source.close()
    run = RunFolder.create(config)
    summary = train(config, run)
    assert summary["inherited"]["sensors"] == ["accelerometer", "gyro", "joint_pos", "touch"]
    assert summary["inherited"]["heads"]
    after = read_checkpoint(newest_good(run.checkpoints_dir)[0])[0]["learner"][0]
    name = "core.read.weight"
    assert not torch.equal(after[f"snapshot.{name}"], published[f"snapshot.{name}"])


def test_a_frozen_one_stays_as_it_came_through_a_resume_too(pretrained, tiny):
    config = tiny("frozen", name="frozen", env_steps=400, encoder_from=str(pretrained.path))
    run = RunFolder.create(config)
    train(config, run)
    summary = train(dataclasses.replace(config, env_steps=480), run, resume=True)
    assert summary["inherited"]["from"] == str(pretrained.path)
    published, after = (
        read_checkpoint(newest_good(each.checkpoints_dir)[0])[0]["learner"][0] for each in (pretrained, run)
    )
    for name, value in published.items():
        if name.startswith("snapshot."):
            assert torch.equal(after[name], value), name


def test_the_command_takes_it_and_refuses_what_does_not_fit(pretrained, tiny, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(dump_config(tiny(env_steps=320, evaluation=EvaluationConfig(enabled=False))))
    words = ["train", "--config", str(tmp_path / "c.yaml"), "--encoder", str(pretrained.path)]
    assert main(words) == 0
    assert "encoder of" in capsys.readouterr().err
    for more, message in (
        (["--encoder.hidden_dim", "48"], "set --encoder.hidden_dim 32"),
        (["--encoder", "x"], "given twice"),
    ):
        assert main([*words, *more]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert message in err
