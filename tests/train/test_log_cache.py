"""Logs decoded once: a damaged cache is noted and made anew, other causes have words of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from learners import small_config
from streams import SPEC, TickSource
from tick_logs import record_ticks

from embodied_ssl.buffer import memory
from embodied_ssl.buffer.prefetch import tensors_of
from embodied_ssl.config import Config, EvaluationConfig, LogConfig
from embodied_ssl.config_pretrain import for_pretraining
from embodied_ssl.errors import ConfigError, LogError
from embodied_ssl.logs.tick_recorder import TickRecorder, create_recording
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train.session import Session


@pytest.fixture
def log(tmp_path) -> str:
    record_ticks(tmp_path / "a.zarr", num_steps=150, num_lanes=3)
    return str(tmp_path / "a.zarr")


def config_of(tmp_path: Path, log: str, cache: Path | None = None, **learner) -> Config:
    config = dataclasses.replace(
        small_config(),
        runs_dir=str(tmp_path / "runs"),
        evaluation=EvaluationConfig(enabled=False),
        log=LogConfig(holdout=0.2, cache_dir=str(cache or "")),
    )
    config = dataclasses.replace(config, learner=dataclasses.replace(config.learner, **learner))
    return for_pretraining(config, [log])


def started(config: Config) -> tuple[Session, list[str]]:
    session = Session.build(config, RunFolder(Path(config.runs_dir)))
    try:
        return session, session.start()
    finally:
        session.source.close()


def windows_of(session: Session) -> list[torch.Tensor]:
    buffer, shape = session.learner.buffer, session.learner.shape
    lanes, ends = (torch.from_numpy(array) for array in buffer.draw(shape, 64, np.random.default_rng(0)))
    return list(tensors_of(buffer.gather(lanes, ends, shape.length)))


@pytest.mark.parametrize("name", ["tables.safetensors", "sensor1.values.bin", "ticks.bin"])
def test_a_damaged_cache_is_noted_and_made_anew(log, tmp_path, name):
    config = config_of(tmp_path, log, tmp_path / "cache")
    whole, notes = started(config)
    assert len(notes) == 1
    (kept,) = (tmp_path / "cache").iterdir()
    content = bytearray((kept / name).read_bytes())
    content[-1] ^= 1
    (kept / name).write_bytes(content)
    again, notes = started(config)
    assert f"{name} is" in notes[0]
    assert "damaged" in notes[0]
    assert notes[0].endswith("the logs are decoded again")
    assert all(torch.equal(a, b) for a, b in zip(windows_of(whole), windows_of(again), strict=True))
    _, notes = started(config)
    assert notes[0] == f"the ticks lie in {kept} already"


def test_a_cache_dir_that_is_a_file_is_called_that(log, tmp_path):
    (tmp_path / "cache").write_text("x")
    with pytest.raises(LogError, match=r"^log\.cache_dir cannot be used: cannot keep a buffer in .*: Not a directory$"):
        started(config_of(tmp_path, log, tmp_path / "cache"))


@pytest.mark.parametrize(
    ("function", "cache", "message"),
    [
        (
            "disk_bytes",
            "cache",
            r"^log\.cache_dir cannot be used: the buffer needs .* on the disk of .* free some of it$",
        ),
        (
            "host_bytes",
            None,
            r"^no room for the ticks of the logs: .* 0\.1 MB can be had; --log\.cache_dir names a disk$",
        ),
    ],
)
def test_a_lack_of_room_says_where_and_what_helps(log, tmp_path, monkeypatch, function, cache, message):
    monkeypatch.setattr(memory, function, lambda *_: 60_000)
    with pytest.raises(LogError, match=message):
        started(config_of(tmp_path, log, tmp_path / cache if cache else None))


def test_too_few_windows_for_one_batch_are_refused_with_both_numbers(log, tmp_path):
    with pytest.raises(ConfigError, match=r"^\d+ windows of \d+ ticks .* learner\.batch_size \(4,096\)"):
        started(config_of(tmp_path, log, batch_size=4096))


@pytest.mark.parametrize("num_lanes", [1, 3])
def test_every_row_of_a_log_finds_room_whatever_its_rate_says(tmp_path, num_lanes):
    """The sensor ``slow`` says 6 Hz and sends in every tick of 20 Hz."""
    source, path = TickSource(num_lanes, 0, end_chance=0.03), tmp_path / "liar.zarr"
    with create_recording(path, SPEC, num_lanes, fsync=False) as writer:
        recorder = TickRecorder(writer, SPEC, num_lanes)
        for _ in range(400):
            tick = source.tick()
            tick.fresh["slow"][:, 0], tick.fresh["slow"][:, 1:] = True, False
            recorder.write([tick])
    session, notes = started(config_of(tmp_path, str(path)))
    buffer = session.learner.buffer
    assert len(notes) == 1
    assert buffer.num_overflow_rows["slow"] == 0
    assert buffer.row_count["slow"].sum() == buffer.num_ticks > 200
    assert buffer.rows["slow"].capacity <= 1.1 * buffer.capacity  # and little more room is taken than is needed
    shape = session.learner.shape
    lanes, ends = (torch.from_numpy(array) for array in buffer.indices[shape].all_legal())
    rows = buffer.gather(lanes, ends, 1).rows["slow"]
    assert rows.fresh.all()
