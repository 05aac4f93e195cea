"""The benchmarks run and speak their format; their figures are nobody's business here."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied_envs.rendering.probe import gl_platform_works

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"
KEYS = {"bench", "case", "system", "metric", "value", "unit", "machine", "versions"}
SHORT = ["--json", "--repeats", "1", "--seconds", "0.01"]


def _lines(script: str, *words: str) -> list[dict]:
    done = subprocess.run([sys.executable, BENCH / script, *SHORT, *words], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_sim_prints_every_system_and_why_one_is_missing():
    lines = _lines("sim.py", "--robots", "Runner", "--lanes", "2", "--tasks", "--no-half-cheetah")
    assert {(line["system"], line["metric"]) for line in lines} == {
        (system, metric)
        for system in ("ours", "ours_with_probe_targets", "raw_batch")
        for metric in ("env_steps_per_s", "cpu_us_per_step")
    }
    assert all(line.keys() >= KEYS and line["case"] == "Runner/2" and line["value"] > 0 for line in lines)


def test_render_prints_every_preset():
    if not gl_platform_works("egl"):
        pytest.skip("no EGL library on this machine")
    lines = _lines("render.py", "--robots", "Runner", "--pixels", "32")
    cases = {line["case"] for line in lines}
    assert cases == {"fast/32", "quality/32", "ray/32"}
    assert {line["system"] for line in lines} == {"ours", "mujoco_default"}


def test_tables_have_the_ratio_to_ours(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    table: Any = importlib.import_module((BENCH / "table.py").stem)
    common = {
        "bench": "sim",
        "case": "Runner/2",
        "metric": "env_steps_per_s",
        "unit": "1/s",
        "repeats": 3,
        "machine": "x",
    }
    records = [common | {"system": "ours", "value": 90.0}, common | {"system": "raw_batch", "value": 100.0}]
    (tmp_path / "bench_sim.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "PAGE", tmp_path / "benchmarks.md")
    table.main()
    assert "| Runner/2 | raw_batch | 100.0 | 0.90 |" in (tmp_path / "benchmarks.md").read_text()


def test_buffer_prints_every_metric_and_why_a_peer_is_missing():
    words = ("--json", "--quick", "--cases", "vectors", "--systems", "ours", "bare_ring", "torchrl")
    done = subprocess.run([sys.executable, BENCH / "buffer.py", *words], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    values = {(line["system"], line["metric"]): line["value"] for line in lines}
    metrics = {"append_per_s", "windows_per_s", "legal_fraction", "peak_memory_ratio", "cost_ratio_20x_capacity"}
    for system in ("ours", "bare_ring"):
        assert {metric for name, metric in values if name == system} >= metrics
        assert values[system, "legal_fraction"] == 1
        assert values[system, "windows_per_s"] > 0
    assert {line["reason"] for line in lines if line["system"] == "torchrl"} == {"no --peer-python was given"}
    assert all(line.keys() >= KEYS for line in lines)


def test_the_legality_check_sees_a_window_that_crosses_an_episode(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    workload: Any = importlib.import_module((BENCH / "buffer_workload.py").stem)
    case = workload.CASES["pixels"]
    marks = np.stack([np.full((4, 5), 3.0), np.tile([10.0, 11, 12, 13, 18], (4, 1))], 2)
    assert workload.num_legal(case, marks) == 4
    marks[0, 4] = (4.0, 0.0)
    marks[1, 2, 1] = 13.0
    marks[2, :, 1] = 7.0
    assert workload.num_legal(case, marks) == 1
