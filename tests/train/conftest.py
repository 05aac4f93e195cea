from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import TINY

from embodied_ssl.config import Config
from embodied_ssl.config_file import dump_config
from embodied_ssl.train.roles import Collector

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny(tmp_path) -> Callable[..., Config]:
    """Makes a config of a few seconds; keyword arguments replace settings, ``encoder_grad`` one of the agent's."""

    def make(encoder_grad: str = "ssl", **settings: Any) -> Config:
        agent = dataclasses.replace(TINY.agent, encoder_grad=encoder_grad)
        return dataclasses.replace(TINY, **({"agent": agent, "runs_dir": str(tmp_path)} | settings))

    return make


@pytest.fixture
def interrupt_at(monkeypatch) -> Callable[[int], None]:
    """Makes this process get a SIGINT within the tick that follows so many others."""
    work = Collector.work

    def schedule(tick: int) -> None:
        done = 0

        def working(self: Collector) -> None:
            nonlocal done
            done += 1
            if done == tick:
                signal.raise_signal(signal.SIGINT)
            work(self)

        monkeypatch.setattr(Collector, "work", working)

    return schedule


@pytest.fixture
def command(tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `python -m embodied_ssl train` in a process of its own; a config is passed as a file."""

    def start(*words: str, config: Config | None = None) -> subprocess.Popen[str]:
        if config is not None:
            (tmp_path / "config.yaml").write_text(dump_config(config))
            words = ("--config", str(tmp_path / "config.yaml"), *words)
        paths = [str(ROOT), str(ROOT / "envs"), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, "-m", "embodied_ssl", "train", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )

    return start


@pytest.fixture(autouse=True)
def _same_threads():
    """`train` sets torch's threads for the process; give other tests theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
