"""Stopping and going on is the same as not stopping, bit for bit; a saved learner embeds as before."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from learners import NUM_LANES, TickSource, assert_bits_equal, fed_learner, feed, make_learner, tensors_of

import embodied_ssl
from embodied_ssl.buffer.segments import SegmentStore, load_tables, tables_state
from embodied_ssl.errors import CheckpointError
from embodied_ssl.learner.checkpoint import read_checkpoint, write_checkpoint


def source_of(seed=3):
    return TickSource(NUM_LANES, seed, end_chance=0.04)


def learn(learner, source, num_ticks):
    for _ in range(num_ticks):
        feed(learner, source, 1)
        learner.update()


def write(learner, folder):
    segments = SegmentStore(learner.buffer, folder / "segments")
    parts = {
        "learner": learner.state(),
        "buffer": (tables_state(learner.buffer), {"segments": segments.write()}),
    }
    write_checkpoint(folder / "1", parts, {})


def read(folder):
    learner = make_learner(seed=99)  # nothing of it may survive but the config
    parts, _ = read_checkpoint(folder / "1")
    SegmentStore(learner.buffer, folder / "segments").restore(parts["buffer"][1]["segments"])
    load_tables(learner.buffer, dict(parts["buffer"][0]))
    learner.load_state(*parts["learner"])
    return learner


@pytest.mark.parametrize("num_before", [10, 33, 150])
def test_resuming_is_not_stopping(tmp_path, num_before):
    num_after = 40
    straight, source = make_learner(), source_of()
    learn(straight, source, num_before)
    write(straight, tmp_path)
    learn(straight, source, num_after)

    source = source_of()
    for _ in range(num_before):
        source.tick()
    resumed = read(tmp_path)
    learn(resumed, source, num_after)

    assert straight.num_updates == resumed.num_updates > 0
    assert_bits_equal(tensors_of(straight), tensors_of(resumed))
    assert_bits_equal(straight.snapshot.weights, resumed.snapshot.weights)
    assert straight.snapshot.version == resumed.snapshot.version
    assert straight.read_metrics() == resumed.read_metrics()
    assert_bits_equal(straight._healthy, resumed._healthy)


def test_the_state_is_json_and_tensors():
    learner = fed_learner()
    learner.update(3)
    tensors, facts = learner.state()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert all(isinstance(value, torch.Tensor) for value in tensors.values())


def test_a_state_in_memory_can_be_loaded_twice():
    learner = fed_learner()
    learner.update(4)
    learner.mark_healthy()
    tensors, facts = learner.state()
    kept = {name: value.clone() for name, value in tensors.items()}
    learner.update(3)
    expected = tensors_of(learner)
    for _ in range(2):
        twin = make_learner(seed=50)
        twin.buffer = learner.buffer
        twin.load_state(tensors, facts)
        twin.update(3)
        assert_bits_equal(tensors_of(twin), expected)
    assert_bits_equal(tensors, kept)


def test_rolling_back_after_a_resume_gives_the_healthy_state(tmp_path):
    learner = fed_learner()
    learner.update(4)
    learner.mark_healthy()
    healthy = tensors_of(learner)
    learner.update(4)
    write(learner, tmp_path)
    resumed = read(tmp_path)
    resumed.update(2)
    resumed.roll_back()
    assert_bits_equal(tensors_of(resumed), healthy)


def newest_windows(learner):
    lanes = torch.arange(NUM_LANES)
    ends = torch.from_numpy(learner.buffer.newest(np.arange(NUM_LANES)))
    return learner.buffer.gather(lanes, ends, learner.shape.context)


def test_a_saved_learner_embeds_the_same_and_goes_on_learning(tmp_path):
    learner = fed_learner()
    learner.update()
    learner.save(tmp_path / "encoder")
    loaded = embodied_ssl.load(tmp_path / "encoder")
    assert loaded.spec == learner.spec
    assert loaded.config == learner.config
    windows = newest_windows(learner)
    assert torch.equal(loaded.model.encoder(windows), learner.model.encoder(windows))
    assert_bits_equal(loaded.snapshot.weights, learner.snapshot.weights)
    assert loaded.env_steps == 0
    assert loaded.update() == 0
    before = tensors_of(loaded)
    feed(loaded, source_of(8), 60)
    assert loaded.update() > 0
    assert not torch.equal(
        tensors_of(loaded)["model.encoder.core.read.weight"], before["model.encoder.core.read.weight"]
    )


def test_a_saved_learner_may_serve_other_lanes_and_be_saved_again(tmp_path):
    learner = fed_learner()
    learner.save(tmp_path / "encoder")
    loaded = embodied_ssl.load(tmp_path / "encoder", num_lanes=5)
    assert loaded.buffer.num_lanes == 5
    loaded.save(tmp_path / "encoder")
    assert embodied_ssl.load(str(tmp_path / "encoder")).num_lanes == 5


def test_saving_never_replaces_a_folder_of_other_things(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="results"):
        fed_learner(num_ticks=1).save(folder)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_what_is_no_saved_learner_is_one_line(tmp_path):
    write_checkpoint(tmp_path / "1", {}, {"updates": 3})
    for folder, message in (
        (tmp_path / "1", "checkpoint of a run"),
        (tmp_path / "nothing", "manifest.json is missing"),
    ):
        with pytest.raises(CheckpointError, match=message) as error:
            embodied_ssl.load(folder)
        assert "\n" not in str(error.value)
