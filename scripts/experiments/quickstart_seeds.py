"""Run the quickstart with several seeds, one fresh process each, and write what came of it.

    python scripts/experiments/quickstart_seeds.py --seeds 0 1 2 3 4     # one JSON row a seed
    python scripts/experiments/quickstart_seeds.py --table               # docs/results/quickstart.md and the README

Seeds whose row with the same config and code lies there already are left out, so that a stopped experiment goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quickstart_table import Row, write_tables

from embodied_ssl.config import Config
from embodied_ssl.config_file import config_hash, load_config
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"


def hardware(config: Config) -> dict[str, Any]:
    """Return what the speed depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": cores,
        "device": f"device {config.device}",
        "torch_threads_per_role": 1,
    }


def run_seed(config: Config, path: Path, seed: int, runs_dir: str) -> Row:
    """Train with one seed in a process of its own and return its row."""
    words = ["--seed", str(seed), "--name", f"{config.name}-seed{seed}", "--runs_dir", runs_dir]
    began = time.monotonic()
    command = [sys.executable, "-m", "embodied_ssl", "train", "--config", str(path), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wall_s = time.monotonic() - began
    told = [line for line in done.stdout.splitlines() if line.startswith("run folder: ")]
    summary = RunFolder.open(told[-1].removeprefix("run folder: ")).summary()
    return {
        "experiment": "quickstart",
        "task": config.env.id,
        "recipe": config.name,
        "seed": seed,
        "config_hash": hash_without_seed(config),
        "code_hash": code_hash("embodied_ssl", "envs"),
        "config": dataclasses.asdict(config) | {"seed": seed},
        "versions": summary["versions"],
        "hardware": hardware(config),
        "wall_s": round(wall_s, 1),
        "summary": {key: value for key, value in summary.items() if key not in ("versions", "seed")},
    }


def code_hash(*folders: str) -> str:
    """Return a digest of the sources that a result depends on: rows of other code are not mixed with it."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def hash_without_seed(config: Config) -> str:
    """Return the name of what all seeds of an experiment share."""
    return config_hash(dataclasses.replace(config, seed=0))


def rows_of(path: Path, config: Config) -> list[Row]:
    """Return the newest row of every seed of ``config`` and the present code, by seed."""
    wanted = (hash_without_seed(config), code_hash("embodied_ssl", "envs"))
    newest = {row["seed"]: row for row in read_rows(path) if (row["config_hash"], row.get("code_hash")) == wanted}
    return [newest[seed] for seed in sorted(newest)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--config", type=Path, default=QUICKSTART)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "quickstart.jsonl")
    parser.add_argument("--runs_dir", default=str(ROOT / "runs"))
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--table", action="store_true", help="write the tables from the rows that are there")
    options = parser.parse_args(argv)
    config = load_config(options.config)
    if options.table:
        rows = [row for row in rows_of(options.out, config) if row["seed"] in options.seeds]
        if not rows:
            raise SystemExit(f"{options.out} holds no row of {options.config} and this code; run the seeds first")
        seeds = " ".join(str(row["seed"]) for row in rows)
        command = f"python scripts/experiments/quickstart_seeds.py --seeds {seeds}"
        if options.config.resolve() != QUICKSTART:
            command += f" --config {options.config.name}"
        write_tables(rows, command, options.out.with_suffix(".md"), options.readme)
        return
    have = {row["seed"] for row in rows_of(options.out, config)}
    for seed in options.seeds:
        if seed not in have:
            row = run_seed(config, options.config, seed, options.runs_dir)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
