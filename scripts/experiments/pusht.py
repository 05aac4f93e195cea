"""Pretrain on the PushT demonstrations without labels, and read positions and angle from the frozen embedding.

    python scripts/experiments/pusht.py --seeds 0 1 2       # one JSON row a seed, to docs/results/pusht.jsonl
    python scripts/experiments/pusht.py --table             # docs/results/pusht.md

The recording is ``pusht.zarr`` of EMBODIED_SSL_DATA (diffusion-policy demonstrations, 10 Hz, 96 px). Images and past
actions are learned from; the state is only ever a probe target. Read-outs are fitted on episodes that were learned from
and scored on whole held-out episodes: Pearson r and R2 of each target.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data_folder import data_folder
from pretrain_runs import embodied_ssl, pretrain, row_of
from pusht_table import write_table
from quickstart_seeds import ROOT

from embodied_ssl.config import Config
from embodied_ssl.encoders.stream_encoder import StreamEncoder, View
from embodied_ssl.evaluate.embeddings import map_episodes
from embodied_ssl.evaluate.feature_sets import Bench, Ends
from embodied_ssl.evaluate.log_probe_set import log_probe_set
from embodied_ssl.evaluate.mlp_probe import mlp_predictor
from embodied_ssl.evaluate.nulls import principal_components
from embodied_ssl.evaluate.probes import ridge_predictor
from embodied_ssl.evaluate.scores import r2
from embodied_ssl.evaluate.subject import load_subject
from embodied_ssl.evaluate.supervised import SupervisedData, SupervisedRecipe, supervised_predictor
from embodied_ssl.evaluate.targets import Targets
from embodied_ssl.learner.online import window_shape
from embodied_ssl.report.sink import read_rows
from embodied_ssl.run_folder import RunFolder

RECIPE = (
    "--encoder.context_ticks=4 --encoder.features_dim=192 --encoder.image_dim=128 --learner.horizon_ticks=6 "
    "--learner.batch_size=32 --learner.windows_per_episode=4 --learner.max_frames=100000 --learner.shift_pixels=2 "
    "--learner.learning_starts=0 --log.holdout=0.2 --evaluation.enabled=false "
    "--evaluation.train_episodes=200 --evaluation.test_episodes=100 --checkpoint_every=500 "
    "--objectives.sensor_reconstruction=null --device=cpu"
)
THUMBNAIL = 24
"""Side of the pictures whose principal components are a null: 96 pixels in blocks of four."""
SUPERVISED_STEPS = 1500


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "pusht.jsonl")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs")
    parser.add_argument("--table", action="store_true", help="write the table from the rows that are there")
    parser.add_argument("--env_steps", type=int, default=40_000)
    options = parser.parse_args(argv)
    if options.table:
        write_table(read_rows(options.out), options.out.with_suffix(".md"))
        return
    log = imported(options.runs_dir)
    for seed in options.seeds:
        row = run_seed(log, seed, options.runs_dir, [*RECIPE.split(), f"--env_steps={options.env_steps}"])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps({name: kinds["linear"]["r"] for name, kinds in row["scores"].items()}, indent=1))


def imported(folder: Path) -> Path:
    """Return the recording as a log, importing it the first time."""
    log = folder / "pusht_log.zarr"
    if not log.exists():
        folder.mkdir(parents=True, exist_ok=True)
        embodied_ssl("import", str(data_folder() / "pusht.zarr"), "--out", str(log))
    return log


def run_seed(log: Path, seed: int, runs_dir: Path, recipe: Sequence[str]) -> dict[str, Any]:
    """Pretrain with one seed and score its embedding beside the nulls."""
    began = time.monotonic()
    run = pretrain("pusht", seed, runs_dir, [log], recipe)
    trained = time.monotonic()
    measured = score_run(run, seed)
    seconds = {"train_s": round(trained - began, 1), "probe_s": round(time.monotonic() - trained, 1)}
    return row_of(run, "pusht", seed, ["pusht.zarr"]) | seconds | measured


def score_run(run: RunFolder, seed: int) -> dict[str, Any]:
    """Return Pearson r and R2 of every target by feature set and kind of probe."""
    config, encoder = run.config, load_subject(run).encoder
    probe_set = log_probe_set(config.log, window_shape(config), encoder.spec, config.evaluation)
    bench = Bench.make(probe_set, encoder, 0)
    train, test = (with_angle(bench.targets(ends)) for ends in (bench.train, bench.test))
    scores = {}
    for name, (x, y) in feature_sets(bench, encoder, seed).items():
        labels = [np.arange(len(train.values))]
        linear = ridge_predictor(x, train, y, one_scale=name.endswith("_pca"))(labels)[0]
        scores[name] = {"linear": score(linear, test), "mlp": score(mlp_predictor(x, train, y, seed)(labels)[0], test)}
    scores["supervised"] = {"linear": score(supervised(bench, encoder, config, train, seed), test)}
    return {"scores": scores, "ticks": {"train": len(train.values), "test": len(test.values)}}


def with_angle(targets: Targets) -> Targets:
    """Return agent x y, block x y, and sine and cosine of the block's angle."""
    state = targets.values[:, [targets.names.index(f"state.{i}") for i in range(5)]]
    values = np.column_stack([state[:, :4], np.sin(state[:, 4]), np.cos(state[:, 4])])
    names = ("agent_x", "agent_y", "block_x", "block_y", "block_sin", "block_cos")
    return Targets(values, names, {"all": names}, targets.episodes)


def feature_sets(bench: Bench, encoder: StreamEncoder, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return features of training and test ticks: the embedding with and without past actions, and the nulls."""
    random = bench.random_encoder(encoder, 500_000 + seed)
    pixels = map_episodes(thumbnails, bench.buffer, bench.probe_set.lengths)
    sets = bench.feature_sets(encoder, 500_000 + seed)
    return {
        "learned": sets["learned"],
        "learned_pixels_only": split(without_actions(encoder, bench), bench),
        "frozen_random": sets["frozen_random"],
        "frozen_random_pixels_only": split(without_actions(random, bench), bench),
        "raw_pixels_pca": principal_components(*split(pixels, bench), encoder.features_dim),
        "raw_actions_window": sets["raw_window"],
    }


def split(per_tick: np.ndarray, bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of training and of test ticks."""

    def at(ends: Ends) -> np.ndarray:
        return per_tick[ends].astype(np.float64)

    return at(bench.train), at(bench.test)


def without_actions(encoder: StreamEncoder, bench: Bench) -> np.ndarray:
    """Return embeddings ``(N, T, D)`` of encoders that are shown pictures only."""

    def embed(windows: Any) -> torch.Tensor:
        keep = torch.ones(len(windows.lane), len(encoder.spec.sensors) + 1, dtype=torch.bool)
        keep[:, -1] = False
        still = {s.name: torch.zeros(len(windows.lane), 2, dtype=torch.int64) for s in encoder.spec.images}
        return encoder(windows, View({}, still, keep))

    return map_episodes(embed, bench.buffer, bench.probe_set.lengths)


def thumbnails(windows: Any) -> torch.Tensor:
    """Return the newest picture of every tick, shrunk by averaging, ``(B, L, 3 * THUMBNAIL ** 2)``."""
    (frames,) = windows.frames.values()
    pixels = frames.values.flatten(0, 1).permute(0, 3, 1, 2).float()
    small = torch.nn.functional.adaptive_avg_pool2d(pixels, THUMBNAIL).flatten(1)
    small = small.view(*frames.values.shape[:2], -1)
    return small.gather(1, frames.slot[..., None].expand(-1, -1, small.shape[2]))


def supervised(bench: Bench, encoder: StreamEncoder, config: Config, train: Targets, seed: int) -> np.ndarray:
    """Return what the same architecture predicts when it is trained with all labels: the ceiling of these episodes."""
    data = SupervisedData(bench.buffer, bench.probe_set.lengths, bench.train, bench.test, train, ("all",))
    recipe = SupervisedRecipe(
        lambda number: bench.random_encoder(encoder, number).train().requires_grad_(True),
        SUPERVISED_STEPS,
        config.learner.jitter,
        500_000 + seed,
    )
    return supervised_predictor(data, recipe)([np.arange(len(train.values))])[0]


def score(predictions: np.ndarray, test: Targets) -> dict[str, dict[str, float]]:
    """Return Pearson r and R2 of every target over all test ticks."""
    correlations = [float(np.corrcoef(predictions[:, i], test.values[:, i])[0, 1]) for i in range(len(test.names))]
    return {
        "r": dict(zip(test.names, np.round(correlations, 4).tolist(), strict=True)),
        "r2": dict(zip(test.names, np.round(r2(predictions, test), 4).tolist(), strict=True)),
    }


if __name__ == "__main__":
    main()
