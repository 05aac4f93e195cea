"""Evaluate a run: probes beside their nulls, forward skill, returns; into the run folder and its summary."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from embodied_ssl.evaluate.feature_sets import Bench
from embodied_ssl.evaluate.figure_arrays import frame_arrays, map_arrays, timeline_arrays
from embodied_ssl.evaluate.forecasts import ReadingTable, predict_readings
from embodied_ssl.evaluate.intervals import mean_interval
from embodied_ssl.evaluate.log_probe_set import log_probe_set
from embodied_ssl.evaluate.mlp_probe import mlp_predictor
from embodied_ssl.evaluate.nulls import moving_columns, raw_window
from embodied_ssl.evaluate.probe_set import ProbeSet, collect_probe_set
from embodied_ssl.evaluate.probes import Predictor, draw_labels, probe_table, ridge_predictor
from embodied_ssl.evaluate.returns import RETURN_SEED, policy_returns, random_returns
from embodied_ssl.evaluate.skill import baseline_predictions, forward_skill, reading_scale
from embodied_ssl.evaluate.subject import PolicyLoader, Subject, load_subject
from embodied_ssl.evaluate.summary import finite, summary_of
from embodied_ssl.evaluate.supervised import SupervisedData, SupervisedRecipe, supervised_predictor
from embodied_ssl.health.gauges import effective_rank
from embodied_ssl.learner.online import window_shape
from embodied_ssl.run_folder import RunFolder, read_json, write_atomic, write_json
from embodied_ssl.sources.envs import make_env
from embodied_ssl.sources.host_env import on_host

LABEL_SEED = 4_099
"""Same labels and same bootstrap for every run and encoder."""
NULL_SEED = 500_000
"""Added to the run's seed for what is drawn anew in each run: the random encoder, the ceiling."""


def evaluate_run(run: RunFolder, load_policy: PolicyLoader | None = None) -> dict[str, Any]:
    """Evaluate the newest good checkpoint and write what was found.

    Args:
        run: the run folder.
        load_policy: makes the policy from the checkpoint; without it only random actions have a return.

    Returns:
        The summary, with the evaluation merged in, as in ``summary.json``. ``evaluation.json`` holds intervals and
        every target, sensor and group; ``evaluation.safetensors`` what the report draws.

    Raises:
        CheckpointError: there is no good checkpoint.
        RunError: the recorded camera back end does not work here.
    """
    record, arrays = evaluate_subject(load_subject(run, load_policy))
    write_json(run.path / "evaluation.json", record)
    payload = save(arrays)
    write_atomic(run.path / "evaluation.safetensors", lambda file: file.write(payload))
    summary = read_json(run.summary_path) if run.summary_path.exists() else {"seed": run.config.seed}
    summary |= summary_of(record)
    write_json(run.summary_path, summary)
    return summary


def evaluate_subject(subject: Subject) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure everything.

    Returns:
        The JSON-able record and the arrays of the report.
    """
    began = time.monotonic()
    probe_set = _probe_set(subject)
    bench = Bench.make(probe_set, subject.encoder, max(subject.horizons))
    skill, timeline = _skill(subject, bench)
    figure_map, state_name = map_arrays(bench)
    record = {
        "probe_set": _describe(probe_set),
        "camera_backend": probe_set.camera_backend,
        "effective_rank": float(effective_rank(torch.from_numpy(bench.embedding[bench.train]))),
        "num_labels": len(bench.train[0]),
        "probe_groups": {group: list(names) for group, names in probe_set.groups.items()},
        "probe_groups_averaged": list(bench.averaged),
        "probes": _probes(subject, bench) if probe_set.privileged else {},
        "skill": skill,
        "return": _returns(subject),
        "map_state_name": state_name,
        "wall_s": time.monotonic() - began,
    }
    return finite(record), figure_map | timeline | frame_arrays(bench)


def _probe_set(subject: Subject) -> ProbeSet:
    """Return the frozen episodes of the env, or those of the logs of which some were held out."""
    spec, sizes, context = subject.encoder.spec, subject.config.evaluation, subject.encoder.context_ticks
    if subject.config.log.paths:
        return log_probe_set(subject.config.log, window_shape(subject.config), spec, sizes, subject.logs)
    episodes = sizes.train_episodes, sizes.test_episodes
    return collect_probe_set(subject.config.env, spec, *episodes, context, subject.camera_backend)


def _describe(probe_set: ProbeSet) -> dict[str, Any]:
    kinds = {kind: probe_set.kinds.count(kind) for kind in dict.fromkeys(probe_set.kinds)}
    return {
        "sha256": probe_set.content_hash,
        "train_episodes": probe_set.num_train,
        "test_episodes": probe_set.num_episodes - probe_set.num_train,
        "kinds": kinds,
    }


def _probes(subject: Subject, bench: Bench) -> dict[str, dict[str, Any]]:
    """Return number of labels -> feature set -> score; the small network beside the ridge at all labels."""
    train, test = bench.targets(bench.train), bench.targets(bench.test)
    seed = NULL_SEED + subject.config.seed
    sets = bench.feature_sets(subject.encoder, seed)
    predictors: dict[str, Predictor] = {
        name: ridge_predictor(x, train, y, one_scale=name == "raw_window_pca") for name, (x, y) in sets.items()
    }
    data = SupervisedData(bench.buffer, bench.probe_set.lengths, bench.train, bench.test, train, bench.averaged)
    recipe = SupervisedRecipe(
        lambda number: bench.random_encoder(subject.encoder, number).train().requires_grad_(True),
        subject.config.evaluation.supervised_steps,
        subject.config.learner.jitter,
        seed,
    )
    predictors["supervised"] = supervised_predictor(data, recipe)
    labels = draw_labels(len(train.values), np.random.default_rng(LABEL_SEED))
    table = probe_table(predictors, test, labels, bench.averaged, np.random.default_rng(LABEL_SEED))
    records = {count: {name: score.to_json() for name, score in row.items()} for count, row in table.items()}
    if subject.config.evaluation.mlp_probe:
        networks = {name: mlp_predictor(x, train, y, seed) for name, (x, y) in sets.items()}
        scores = probe_table(networks, test, {"all": labels["all"]}, bench.averaged, np.random.default_rng(LABEL_SEED))
        for name, score in scores["all"].items():
            records["all"][name]["mlp"] = score.to_json()
    return records


def _skill(subject: Subject, bench: Bench) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return forward skill against clean readings, noisy readings, and over persistence; and the timelines.

    ``by_change`` holds the same of the newest reading plus the foretold change.
    """
    horizons = subject.horizons
    if not subject.encoder.spec.vectors:
        return {}, {}
    readings = ReadingTable(bench.probe_set, bench.buffer)
    ends = [readings.usable(*part, horizons) for part in (bench.train, bench.test)]
    windows = moving_columns(*(raw_window(bench.raw, *part, bench.context_ticks) for part in ends))
    train, test = (readings.forward_set(w, *part, horizons) for w, part in zip(windows, ends, strict=True))
    if subject.forecaster is None:
        return {}, timeline_arrays(bench, readings, ends[1], {}, horizons)
    embedding = bench.embedding[ends[1]]
    forecasts = predict_readings(
        subject.encoder, subject.forecaster, embedding, readings.actions_after(*ends[1], max(horizons)), horizons
    )
    baselines, scale = baseline_predictions(train, test, horizons), reading_scale(train)
    persistence = {"persistence": baselines["persistence"]}
    cases = {"clean": (baselines, test.clean), "noisy": (baselines, test.noisy)}
    cases["over_persistence"] = (persistence, test.clean)
    if not readings.has_clean:
        del cases["clean"]

    def scored(guesses: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {
            name: forward_skill(
                guesses, against, truth, scale, test.episodes, np.random.default_rng(LABEL_SEED), horizons
            ).to_json()
            for name, (against, truth) in cases.items()
        }

    scores = scored(forecasts) | {"by_change": scored(_by_change(subject, embedding, forecasts, test.now))}
    return scores, timeline_arrays(bench, readings, ends[1], forecasts, horizons)


def _by_change(
    subject: Subject, embedding: np.ndarray, forecasts: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the newest reading plus the change that the model foretells, ``(n, horizons, d)`` by sensor.

    What a sensor shows now is known; where it hardly changes, or has a level that no training episode had, the model's
    own guess of the level is all the error there is. With much sensor noise the plain forecast is the better one.
    """
    assert subject.present is not None
    no_actions = np.zeros((len(embedding), 1, subject.encoder.spec.action_size), np.float32)
    implied = predict_readings(subject.encoder, subject.present, embedding, no_actions, (1,))
    return {name: now[name][:, None] + values - implied[name] for name, values in forecasts.items()}


def _returns(subject: Subject) -> dict[str, Any]:
    """Return mean, t-interval and every return of the policy and of random actions, in the same episodes' envs.

    Nothing can be tried in a log.
    """
    if subject.config.log.paths:
        return {}
    num_lanes, seed = subject.config.evaluation.return_episodes, RETURN_SEED + subject.config.seed
    arms: dict[str, Any] = {"random": lambda env: random_returns(env, seed)}
    if (policy := subject.policy) is not None:
        arms["policy"] = lambda env: policy_returns(env, subject.encoder, policy, seed)
    records = {}
    for name, measure in arms.items():
        env = on_host(make_env(subject.config.env, num_lanes, subject.camera_backend))
        try:
            values = measure(env)
        finally:
            env.close()
        mean, low, high = mean_interval(values.tolist())
        records[name] = {"mean": mean, "interval": [low, high], "episodes": values.tolist()}
    return records
