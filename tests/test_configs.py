"""Every config that we ship takes its first steps; only what makes it short is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied_ssl.cli import main
from embodied_ssl.config_file import load_config
from embodied_ssl.run_folder import RunFolder

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
STEPS_AFTER_START = 10


def test_there_are_configs():
    assert {"quickstart", "tiny_cpu"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_takes_a_few_steps(path, tmp_path):
    config = load_config(path)
    lanes = config.env.num_lanes
    # Windows must fit, and as many of them as a batch asks for.
    ticks = config.encoder.context_ticks + config.learner.horizon_ticks + 4
    shorter = {
        "--runs_dir": tmp_path,
        "--env_steps": (ticks + STEPS_AFTER_START) * lanes,
        "--learner.learning_starts": ticks * lanes,
        "--agent.learning_starts": ticks * lanes,
        "--env.kwargs.camera_backend": "ray",
        "--evaluation.enabled": "false",
        "--device": "cpu",
    }
    words = [str(word) for pair in shorter.items() for word in pair]
    assert main(["train", "--config", str(path), *words]) == 0
    summary = RunFolder.open(tmp_path / "latest").summary()
    assert summary["updates"] == int(STEPS_AFTER_START * lanes * config.learner.update_to_data_ratio) > 0
    assert summary["agent_updates"] > 0
    assert summary["camera_backend"] == "ray"
