"""Pretrain on real recordings without labels and foretell their held-out stretches.

    python scripts/experiments/recordings.py --seeds 0 1 2     # one JSON row a recording and seed
    python scripts/experiments/recordings.py --table           # docs/results/recordings.md

``g1``: three episodes of a Unitree G1 (LeRobot v2.1; camera, 26 joint states, actions, 30 Hz). ``px4`` and
``px4_small``: three PX4 flights (ULog; IMU at 250 Hz and the attitude), aligned to 50 Hz. The last fifth of each is
held out. The recordings are those of EMBODIED_SSL_DATA. Skill is 1 - err / err_ref in sensor units, the median over
sensors, against persistence and against the best of persistence, mean and a linear autoregression.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_folder import data_folder
from pretrain_runs import embodied_ssl, pretrain, row_of
from quickstart_seeds import ROOT
from quickstart_table import Interval, figure

from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import read_json, write_text

SHARED = "--log.holdout=0.2 --learner.learning_starts=0 --device=cpu --health.min_rank_fraction=0.02"
RECORDINGS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "g1": (
        ("lerobot_v21/g1",),
        "--image_size [48,64]",
        "--log.control_hz=30 --learner.max_frames=64 --encoder.features_dim=64 --learner.lr=3e-4",
    ),
    "px4": (
        ("ulog/sample.ulg", "ulog/sample_appended_multiple.ulg"),
        "",
        "--log.control_hz=50 --encoder.features_dim=64 --log.sensors sensor_combined vehicle_attitude",
    ),
    # The one that moves all the time: the long flight of ``px4`` is at rest after seven seconds.
    "px4_moving": (
        ("ulog/sample_appended_multiple.ulg",),
        "",
        "--log.control_hz=50 --encoder.features_dim=64 --log.sensors sensor_combined vehicle_attitude",
    ),
    # Another generation of the firmware: its topics have other fields, so it is a recording of its own.
    "px4_small": (
        ("ulog/sample_log_small.ulg",),
        "",
        "--log.control_hz=50 --encoder.features_dim=64 --learner.lr=3e-4 "
        "--log.sensors sensor_combined vehicle_attitude vehicle_angular_acceleration",
    ),
}
"""Files, options of the import, options of the run."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=list(RECORDINGS), nargs="+", default=list(RECORDINGS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "recordings.jsonl")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs")
    parser.add_argument("--env_steps", type=int, default=12_000)
    parser.add_argument("--table", action="store_true", help="write the table from the rows that are there")
    options = parser.parse_args(argv)
    if options.table:
        write_table(read_rows(options.out), options.out.with_suffix(".md"))
        return
    for name in options.only:
        for seed in options.seeds:
            row = run_seed(name, seed, options.runs_dir, options.env_steps)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def imported(name: str, folder: Path) -> list[Path]:
    """Return the recordings as logs, importing them the first time."""
    files, words, _ = RECORDINGS[name]
    logs = [folder / f"{name}_{number}_log.zarr" for number in range(len(files))]
    folder.mkdir(parents=True, exist_ok=True)
    for file, log in zip(files, logs, strict=True):
        if not log.exists():
            embodied_ssl("import", str(data_folder() / file), "--out", str(log), *words.split())
    return logs


def run_seed(name: str, seed: int, runs_dir: Path, env_steps: int) -> dict[str, Any]:
    """Pretrain with one seed; its evaluation foretells the held-out stretches."""
    files, _, options = RECORDINGS[name]
    logs, began = imported(name, runs_dir), time.monotonic()
    run = pretrain(name, seed, runs_dir, logs, [*SHARED.split(), f"--env_steps={env_steps}", *options.split()])
    evaluation = read_json(run.path / "evaluation.json")
    return row_of(run, "recordings", seed, files) | {
        "recording": name,
        "wall_s": round(time.monotonic() - began, 1),
        "summary": {"skill": evaluation["skill"], "effective_rank": evaluation["effective_rank"]},
        "held_out_episodes": evaluation["probe_set"]["test_episodes"],
    }


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write skill by recording and horizon over the seeds of the newest code.

    Raises:
        SystemExit: there is no row.
    """
    if not rows:
        raise SystemExit("no rows; run the seeds first")
    rows = [row for row in rows if row["code_hash"] == rows[-1]["code_hash"]]
    last = rows[-1]
    lines = [
        "# Real recordings: forward skill on held-out stretches",
        "",
        "Mean over seeds with a 95 % t-interval; made by `python scripts/experiments/recordings.py` on "
        f"{last['hardware']['cpu']}, {last['hardware']['cores']} cores, no GPU.",
        "",
        "`level`: the forecast itself; `change`: the newest reading plus the change that is foretold.",
        "",
        "| recording | against | form | ticks ahead | median over sensors | by sensor |",
        "|---|---|---|---|---|---|",
    ]
    for name in RECORDINGS:
        mine = [row for row in rows if row["recording"] == name]
        lines += [line for row in mine[:1] for line in _lines(name, mine, row["summary"]["skill"])]
    write_text(path, "\n".join([*lines, ""]))


def _lines(name: str, rows: list[dict[str, Any]], skill: dict[str, Any]) -> list[str]:
    lines = []
    for case, words in (("over_persistence", "persistence"), ("noisy", "best simple predictor")):
        for form, path in (("level", (case,)), ("change", ("by_change", case))):
            for ticks in skill[case]["median"]:
                median = _interval(rows, *path, "median", ticks)
                each = [f"{s} {_interval(rows, *path, 'sensors', s, ticks)}" for s in skill[case]["sensors"]]
                lines.append(
                    f"| {name} ({len(rows)} seeds) | {words} | {form} | {ticks} | {median} | {', '.join(each)} |"
                )
    return lines


def _interval(rows: list[dict[str, Any]], *path: str) -> str:
    return Interval.of(rows, figure("skill", *path)).text()


if __name__ == "__main__":
    main()
