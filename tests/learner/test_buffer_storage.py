"""A learner keeps its history where it is told to, and learns the same from there."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from learners import small_config
from streams import SPEC, TickSource

from embodied_ssl.config import BufferConfig
from embodied_ssl.errors import BufferFullError, ConfigError
from embodied_ssl.learner.online import OnlineLearner


def learned(**storage):
    config = small_config()
    config = dataclasses.replace(config, buffer=dataclasses.replace(config.buffer, **storage))
    source, learner = TickSource(3, 0), OnlineLearner(SPEC, 3, config)
    for _ in range(150):  # the ring goes round
        learner.buffer.append(source.tick())
    assert learner.update(3) == 3
    return learner


def test_a_history_on_disk_is_learned_from_like_one_in_memory_and_leaves_no_file(tmp_path):
    there, here = learned(storage="disk", folder=str(tmp_path / "ring")), learned(storage="host")
    assert there.buffer.placement.kind == "disk"
    assert here.buffer.placement.kind == "host"
    assert not list((tmp_path / "ring").iterdir())
    for name, value in here.model.state_dict().items():
        assert torch.equal(there.model.state_dict()[name], value), name
    again = learned(storage="disk", folder=str(tmp_path / "ring"))  # as a run that is resumed does
    assert again.num_updates == 3


def test_a_folder_belongs_to_disk_and_to_nothing_else(tmp_path):
    wrongs: list[dict[str, Any]] = [{"storage": "disk"}, {"folder": "x"}, {"storage": "host", "folder": "x"}]
    for wrong in wrongs:
        with pytest.raises(ConfigError, match=r"buffer\.folder"):
            BufferConfig(**wrong)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(BufferFullError, match="is not empty"):
        learned(storage="disk", folder=str(tmp_path))
    assert (tmp_path / "mine.txt").exists()
