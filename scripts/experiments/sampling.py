"""Does a long-term memory, or a taste for the recent, help when the world changes? One JSON row a seed and sampler.

    python scripts/experiments/sampling.py --seeds 0 1 2 3 4        # all samplers, about 10 minutes on 2 cores
    python scripts/experiments/sampling.py --table                  # means and spreads of the rows that are there

A runner moves by coloured noise. Half-way its motors are rewired: every action works the other way round. The ring
is so small that at the end it has forgotten the first half. Then the forward skill is measured on fresh episodes of
both worlds, against the better of persistence and the mean, as a median over sensors. All samplers see the same
stream and make the same number of updates. Before the switch the skill on the first world is measured as well, so
that forgetting can be told from never having learned.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quickstart_seeds import code_hash, hardware

from embodied_envs.batch_vector_env import BatchVectorEnv
from embodied_ssl.buffer.stream_buffer import StreamBuffer
from embodied_ssl.config import BufferConfig, Config, LearnerConfig, SamplingConfig
from embodied_ssl.config_file import config_hash
from embodied_ssl.learner.online import OnlineLearner
from embodied_ssl.learner.stream import Stream
from embodied_ssl.objectives.forward import ForwardPrediction
from embodied_ssl.report.sink import read_rows
from embodied_ssl.rl.noise import ColouredNoise

ROOT = Path(__file__).resolve().parents[2]
HORIZONS = (1, 5, 15)
WORLDS = {"first": 1.0, "second": -1.0}
"""How the motors are wired: what an action is multiplied with."""
NUM_LANES, TEST_LANES, TEST_TICKS = 8, 16, 120
CAPACITY = 256
"""Ticks of the ring, a small part of either half."""
SAMPLERS = {
    "uniform": SamplingConfig(),
    "recent": SamplingConfig(half_life_ticks=64.0, uniform_share=0.5),
    "two_tier_random": SamplingConfig(kept_segments=128, segment_ticks=64, kept_share=0.5),
    "two_tier_least_redundant": SamplingConfig(
        kept_segments=128, segment_ticks=64, kept_share=0.5, keep="least_redundant"
    ),
}


def config_of(sampler: str, seed: int) -> Config:
    """Return the learner's settings: one objective that is judged, one that keeps the embedding from collapse."""
    return Config(
        name=f"sampling-{sampler}",
        seed=seed,
        device="cpu",
        objectives={"forward_prediction": {"weight": 1.0}, "sensor_reconstruction": {"weight": 1.0}},
        buffer=BufferConfig(capacity_ticks=CAPACITY),
        learner=LearnerConfig(batch_size=32, windows_per_episode=4, update_to_data_ratio=0.05),
        sampling=SAMPLERS[sampler],
    )


def flow(env: BatchVectorEnv, stream: Stream, noise: ColouredNoise, ticks: int, sign: float, seed: int) -> Any:
    """Let ``ticks`` flow from a reset on; yields after each."""
    stream.reset(*env.reset(seed=seed))
    for _ in range(ticks):
        action = noise.sample()
        stream.observe(stream.ticks.to_env(action), *env.step(stream.ticks.to_env(sign * action)))
        yield


def test_set(learner: OnlineLearner, sign: float, seed: int) -> StreamBuffer:
    """Return fresh episodes of a world in a buffer of their own; the same for every sampler."""
    env = BatchVectorEnv("Runner", TEST_LANES, cameras=False)
    buffer = StreamBuffer(learner.spec, TEST_LANES, TEST_TICKS + 2, (learner.shape,))
    noise = ColouredNoise(TEST_LANES, learner.spec.action_size, np.random.default_rng(10_000 + seed))
    stream = Stream(env, learner.model.encoder, learner, buffer)
    for _ in flow(env, stream, noise, TEST_TICKS, sign, 20_000 + seed):
        pass
    env.close()
    return buffer


@torch.no_grad()
def skill_on(learner: OnlineLearner, buffer: StreamBuffer) -> dict[str, float]:
    """Return the forward skill by horizon: ``1 - err / min(err of persistence, err of the mean)``, sensors' median."""
    encoder, shape = learner.model.encoder, learner.shape
    forward = next(h for h in learner.model.objectives.children() if isinstance(h, ForwardPrediction))
    lanes, ends = (torch.from_numpy(part) for part in buffer.indices[shape].all_legal())
    windows = buffer.gather(lanes, ends, shape.length)
    whole = windows.valid.all(1)
    embedding = encoder(windows)
    readings, mask = encoder.readings(windows)
    skills = {}
    for horizon in HORIZONS:
        target, now = readings[:, -1], readings[:, -1 - horizon]
        guess = forward.predict_readings(embedding[:, -1 - horizon], windows.action[:, -horizon:])[:, -1]
        seen = (mask[:, -1] & mask[:, -1 - horizon] & whole[:, None]).float()
        mean = (target * seen).sum(0) / seen.sum(0).clamp(min=1)
        errors = [((other - target).square() * seen).sum(0) for other in (guess, now, mean.expand_as(target))]
        model, persistence, constant = (
            torch.stack([part.sum() for part in error.split(encoder.sensor_dims)]) for error in errors
        )
        best = torch.minimum(persistence, constant)
        skills[f"skill_{horizon}"] = round(float((1 - model / best.clamp(min=1e-9)).median()), 4)
    return skills


def run(sampler: str, seed: int, ticks: int) -> dict[str, Any]:
    """Learn through the switch and return one row."""
    config, began = config_of(sampler, seed), time.process_time()
    env = BatchVectorEnv("Runner", NUM_LANES, cameras=False)
    learner = OnlineLearner.from_env(env, config=config)
    tests = {name: test_set(learner, sign, seed) for name, sign in WORLDS.items()}
    stream = learner.stream(env)
    noise = ColouredNoise(NUM_LANES, learner.spec.action_size, np.random.default_rng(seed))
    skills: dict[str, Any] = {}
    for name, sign in WORLDS.items():
        for _ in flow(env, stream, noise, ticks, sign, seed):
            learner.update()
        skills[f"after_{name}"] = {world: skill_on(learner, tests[world]) for world in WORLDS}
    env.close()
    return {
        "experiment": "sampling",
        "sampler": sampler,
        "seed": seed,
        "ticks_each": ticks,
        "config_hash": config_hash(dataclasses.replace(config, seed=0)),
        "code_hash": code_hash("embodied_ssl", "envs"),
        "sampling": dataclasses.asdict(config.sampling),
        "capacity_ticks": CAPACITY,
        "updates": learner.num_updates,
        "hardware": hardware(config),
        "cpu_s": round(time.process_time() - began, 1),
        **skills,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table: median over seeds, with lowest and highest, of the skill 5 ticks ahead."""
    lines = [
        "| sampler | seeds | first world, before the switch | first world, at the end | second world, at the end |"
    ]
    lines.append("|---|---|---|---|---|")
    for sampler in SAMPLERS:
        mine = [row for row in rows if row["sampler"] == sampler]
        if mine:
            cells = []
            for when, world in (("after_first", "first"), ("after_second", "first"), ("after_second", "second")):
                values = sorted(row[when][world]["skill_5"] for row in mine)
                cells.append(f"{np.median(values):.3f} ({values[0]:.3f} to {values[-1]:.3f})")
            lines.append(f"| {sampler} | {len(mine)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    parser.add_argument("--ticks", type=int, default=1000, help="ticks a lane before and after the switch")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "sampling.jsonl")
    parser.add_argument("--table", action="store_true", help="print the table of the rows that are there")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = list(read_rows(options.out)) if options.out.exists() else []
    code = code_hash("embodied_ssl", "envs")
    rows = [row for row in rows if (row["ticks_each"], row["code_hash"]) == (options.ticks, code)]
    if options.table:
        print(table(rows))
        return
    have = {(row["seed"], row["sampler"]) for row in rows}
    for seed in options.seeds:
        for sampler in options.samplers:
            if (seed, sampler) not in have:
                row = run(sampler, seed, options.ticks)
                options.out.parent.mkdir(parents=True, exist_ok=True)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
