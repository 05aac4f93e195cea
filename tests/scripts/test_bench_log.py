"""The log benchmark runs and speaks the format; its figures are nobody's business here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench" / "log.py"
SYSTEMS = {"ours_fsync", "zarr_write_fsync", "zarr_windows_fsync", "ours", "ours_cache", "zarr_write", "zarr_windows"}
SYSTEMS |= {"zarrs", "hdf5", "mcap", "memmap"}
METRICS = {"write_mb_per_s", "disk_ratio", "sequential_mb_per_s", "windows_per_s"}


CACHE_METRICS = {"build_s", "build_mb", "windows_per_s"}


def _expected():
    lines = {(system, metric) for system in SYSTEMS - {"ours_cache"} for metric in METRICS}
    return lines | {("ours_cache", metric) for metric in CACHE_METRICS}


@pytest.mark.slow
def test_every_system_prints_every_metric_or_why_not(tmp_path):
    words = [sys.executable, BENCH, "--json", "--quick", "--folder", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["system"], line["metric"]) for line in lines} == _expected()
    assert all(line["bench"] == "log" and line["case"] == "noisy" for line in lines)
    always = ("ours_fsync", "ours_cache", "memmap")
    assert all((line["value"] or 0) > 0 for line in lines if line["system"] in always and "reason" not in line)
    assert all(line["reason"] for line in lines if line["value"] is None)
    assert not list(tmp_path.iterdir())
