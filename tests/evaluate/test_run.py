import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from embodied_ssl.evaluate.forecasts import ReadingTable, predict_readings
from embodied_ssl.evaluate.nulls import frozen_random
from embodied_ssl.evaluate.returns import policy_returns, random_returns
from embodied_ssl.evaluate.run import evaluate_run
from embodied_ssl.learner.checkpoint import write_checkpoint
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.run_folder import RunFolder, write_json
from embodied_ssl.sources.envs import make_env


@pytest.fixture(scope="module")
def run(config, spec, tmp_path_factory):
    """A run folder with a checkpoint of an untrained learner and a policy that stands still."""
    import dataclasses

    folder = RunFolder.create(dataclasses.replace(config, runs_dir=str(tmp_path_factory.mktemp("runs"))))
    learner = OnlineLearner(spec, 2, config)
    facts = {"spec": spec.to_json(), "camera_backend": "none"}
    parts = {"learner": learner.state(), "pilot": ({"gain": torch.zeros(1)}, {})}
    write_checkpoint(folder.checkpoints_dir / "00000001", parts, facts)
    write_json(folder.summary_path, {"updates": 1, "seed": 0})
    return folder


def _load_policy(config, learner, part):
    return lambda embedding: part[0]["gain"] * torch.ones(len(embedding), learner.spec.action_size)


@pytest.fixture(scope="module")
def summary(run):
    return evaluate_run(run, _load_policy)


def test_summary_holds_the_promised_keys(run, summary):
    assert summary == json.loads(run.summary_path.read_text())
    assert summary["updates"] == 1
    systems = {"learned", "frozen_random", "raw_tick", "raw_window", "raw_window_pca", "supervised"}
    assert set(summary["probe_r2"]) == {"64", "all"}  # there are 248 training ticks
    for count, row in summary["probe_r2"].items():
        assert set(row) == systems
        assert all(-1 <= value <= 1 for value in row.values())
        assert "joint_vel.0" in summary["probe_r2_per_target"][count]["learned"]
    assert set(summary["forward_skill"]) == {"1", "5"}
    assert set(summary["forward_skill_over_persistence"]) == {"1", "5"}
    assert 1 < summary["effective_rank"] <= 16
    assert set(summary["return"]) == {"policy", "random"}
    assert summary["camera_backend"] == "none"


def test_record_holds_intervals_and_every_sensor(run, summary):
    record = json.loads((run.path / "evaluation.json").read_text())
    learned = record["probes"]["64"]["learned"]
    assert learned["interval"][0] <= learned["interval"][1]
    assert set(learned["groups"]) == {"velocities", "contacts", "forces", "poses", "slow_dynamics"}
    assert set(record["skill"]) == {"clean", "noisy", "over_persistence", "by_change"}
    assert set(record["skill"]["by_change"]) == {"clean", "noisy", "over_persistence"}
    assert set(record["skill"]["clean"]["sensors"]) == {"joint_pos", "accelerometer", "gyro", "touch"}
    assert len(record["probe_set"]["sha256"]) == 64
    assert record["num_labels"] == 248


def test_arrays_for_the_report(run, summary):
    arrays = load_file(run.path / "evaluation.safetensors")
    assert arrays["map_xy"].shape == (len(arrays["map_state"]), 2)
    ticks = len(arrays["timeline_time_s"])
    for kind in ("noisy", "clean", "predicted_1", "predicted_5"):
        assert arrays[f"timeline/joint_pos/{kind}"].shape == (ticks, 6)
    noise = arrays["timeline/joint_pos/noisy"] - arrays["timeline/joint_pos/clean"]
    assert 0.01 < noise.std() < 0.06


def test_evaluating_again_gives_the_same_figures(run, summary):
    again = evaluate_run(run, _load_policy)
    for key in ("probe_r2", "forward_skill", "return", "effective_rank", "probe_set_sha256"):
        assert again[key] == summary[key]


def test_without_a_policy_only_random_actions_have_a_return(run, summary):
    assert set(evaluate_run(run)["return"]) == {"random"}


def test_forecasts_come_back_in_sensor_units_and_order(probe_set, spec, config):
    buffer = probe_set.buffer()
    encoder = frozen_random(spec, config.encoder, buffer, np.arange(8), probe_set.lengths, seed=0)
    lanes, ends = probe_set.ends(6, 5, 3, test=True)
    windows = buffer.gather(torch.from_numpy(lanes), torch.from_numpy(ends + 5), 5)
    truth, _ = encoder.readings(windows)  # an oracle: the standardised readings of the five ticks after each end
    zeros = np.zeros((len(lanes), 16), np.float32)
    table = ReadingTable(probe_set, buffer)
    found = predict_readings(encoder, lambda z, a: truth, zeros, table.actions_after(lanes, ends, 5), (1, 5))
    for name, values in table.noisy.items():
        for index, ahead in enumerate((1, 5)):
            np.testing.assert_allclose(found[name][:, index], values[lanes, ends + ahead], rtol=1e-3, atol=2e-2)


def test_policy_sees_and_acts_and_returns_are_those_of_the_env(config, spec, probe_set):
    encoder = frozen_random(spec, config.encoder, probe_set.buffer(), np.arange(8), probe_set.lengths, seed=0)
    seen = []

    def policy(embedding):
        seen.append(embedding.clone())
        return torch.zeros(len(embedding), spec.action_size)

    env = make_env(config.env, 3)
    returns = policy_returns(env, encoder, policy, seed=5)
    total = np.zeros(3)
    env.reset(seed=5)
    for _ in range(40):
        total += env.step(np.zeros((3, spec.action_size), np.float32))[1]
    np.testing.assert_allclose(returns, total)
    assert len(seen) == 40
    assert not torch.equal(seen[0], seen[-1])
    assert (random_returns(env, 5) == random_returns(env, 5)).all()
    env.close()
