"""Pretraining runs of experiments: started as a user would, and told of in one row each."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quickstart_seeds import code_hash, hardware

from embodied_ssl.run_folder import RunFolder


def embodied_ssl(*words: str) -> None:
    """Run the command in a process of its own."""
    subprocess.run([sys.executable, "-m", "embodied_ssl", *words], check=True)


def pretrain(name: str, seed: int, runs_dir: Path, logs: Sequence[Path], recipe: Sequence[str]) -> RunFolder:
    """Learn from logs with one seed; the run folder is new each time."""
    run_name = f"{name}-seed{seed}-{time.time_ns() // 10**9}"
    words = [word for log in logs for word in ("--log", str(log))]
    words += ["--seed", str(seed), "--name", run_name, "--runs_dir", str(runs_dir), *recipe]
    embodied_ssl("pretrain", *words)
    return RunFolder.open(str(runs_dir / run_name))


def row_of(run: RunFolder, experiment: str, seed: int, recordings: Sequence[str]) -> dict[str, Any]:
    """Return what every row says of its run: config, code, versions, hardware; ``recordings`` stand for the logs."""
    config, summary = dataclasses.asdict(run.config), run.summary()
    config["log"]["paths"] = list(recordings)
    return {
        "experiment": experiment,
        "seed": seed,
        "config": {key: value for key, value in config.items() if key != "runs_dir"},
        "code_hash": code_hash("embodied_ssl"),
        "versions": summary["versions"],
        "hardware": hardware(run.config),
        "updates": summary["updates"],
    }
