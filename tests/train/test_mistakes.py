"""What a user can get wrong before the first tick: one line each, status 2, and no run folder left behind."""

from __future__ import annotations

import pytest
from one_line import said_in_one_line

from embodied_ssl.cli import main
from embodied_ssl.config_file import dump_config

MISTAKES = {
    "env id": (["--env.id", "embodied_envs:Embodied/Runer-v0"], "Runer"),
    "env module": (["--env.id", "no_such_module:Runner-v0"], "no_such_module"),
    "env syntax": (["--env.id", "what is this"], "what is this"),
    "discrete actions": (["--env.id", "CartPole-v1", "--env.kwargs", "DROP"], "expected a Box"),
    "env argument": (["--env.kwargs.camerass", "true"], "camerass"),
    "env argument's value": (["--env.kwargs.episode_ticks", "0"], "episode_ticks"),
    "env argument's type": (["--env.kwargs.episode_ticks", "long"], "episode_ticks"),
    "camera back end": (["--env.kwargs.camera_backend", "lead", "--env.kwargs.cameras", "true"], "lead"),
    "objective": (["--objectives.temporal_contrst.weight", "1"], "did you mean 'temporal_contrast'"),
    "objective's option": (["--objectives.temporal_contrast.temprature", "1"], "temprature"),
    "objective's weight": (["--objectives.spread.weight", "heavy"], "objectives.spread.weight"),
    "objective's negative weight": (["--objectives.spread.weight", "-1"], "objectives.spread.weight"),
    "sink": (["--sinks", "tensorbord"], "did you mean 'tensorboard'"),
    "device": (["--device", "gpu"], "device is 'gpu'"),
    "no critic": (["--agent.name", "none", "--agent.encoder_grad", "critic"], "there is no critic"),
    "no lane for the policy": (["--env.num_lanes", "1"], "agent.noise_lanes is 1, expected fewer"),
    "log that exists": (["--record", "TAKEN"], "taken"),
    "no run to begin with": (["--encoder", "nowhere"], "nowhere is no run folder"),
    "no interval": (["--checkpoint_every", "0"], "checkpoint_every is 0"),
    "no gauges": (["--health.every", "0"], "health.every is 0"),
    "no headed objective": (
        [
            *("--agent.encoder_grad", "frozen"),
            *(
                word
                for name in ("temporal_contrast", "forward_prediction", "inverse_dynamics", "sensor_reconstruction")
                for word in (f"--objectives.{name}", "null")
            ),
        ],
        "no objective has a head",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_and_nothing_left(tiny, tmp_path, capsys, mistake):
    words, message = MISTAKES[mistake]
    config = tiny(runs_dir=str(tmp_path / "runs"))
    if "DROP" in words:
        words = words[: words.index("--env.kwargs")]
        config.env.kwargs.clear()
    (tmp_path / "c.yaml").write_text(dump_config(config))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").write_text("mine")
    words = [str(tmp_path / "taken") if word == "TAKEN" else word for word in words]
    try:
        assert main(["train", "--config", str(tmp_path / "c.yaml"), *words]) == 2
    finally:
        config.env.kwargs.update({"cameras": False, "episode_ticks": 60})
    said_in_one_line(capsys, message, tmp_path)
