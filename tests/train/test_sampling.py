"""Runs that sample otherwise than uniformly stop and resume without a trace, too."""

from __future__ import annotations

import pytest
import torch

from embodied_ssl.config import SamplingConfig
from embodied_ssl.learner.checkpoint import newest_good, read_checkpoint
from embodied_ssl.run_folder import RunFolder
from embodied_ssl.train import train


@pytest.mark.parametrize("keep", ["random", pytest.param("least_redundant", marks=pytest.mark.slow)])
def test_stop_and_resume_is_no_stop_with_a_long_term_memory(tiny, interrupt_at, keep):
    sampling = SamplingConfig(
        half_life_ticks=40.0, distinct_episodes=True, kept_segments=5, segment_ticks=26, keep=keep
    )
    whole, stopped = (RunFolder.create(tiny(name=name, sampling=sampling)) for name in ("whole", "stopped"))
    train(whole.config, whole)
    interrupt_at(150)
    with pytest.raises(KeyboardInterrupt):
        train(stopped.config, stopped)
    interrupt_at(10**9)
    train(stopped.config, stopped, resume=True)
    (first, _), (second, _) = (read_checkpoint(newest_good(run.checkpoints_dir)[0]) for run in (whole, stopped))
    for part in ("learner", "buffer"):
        assert first[part][0].keys() == second[part][0].keys()
        for name, tensor in first[part][0].items():
            assert torch.equal(tensor, second[part][0][name]), name
    memory = {name: tensor for name, tensor in first["buffer"][0].items() if name.startswith("sampling.")}
    assert int((memory["sampling.high"] > memory["sampling.low"]).sum()) == 5
