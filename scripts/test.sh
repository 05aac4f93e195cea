#!/usr/bin/env bash
# Everything a change must pass: lint, types, layers, tests, and a small run. bash scripts/test.sh [options of pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

step() {
    echo "== $*"
    "$@" || fail "failed: $*"
}

setup_venv dev,tensorboard,bench,dmc,sb3,warp,hdf5,lerobot,mcap,ros,ulog
cd "$root"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" PYRIGHT_PYTHON_IGNORE_WARNINGS=1
step ruff check .
step ruff format --check .
step pyright --pythonpath "$venv/bin/python"
step lint-imports
step pytest -q "$@"

runs="$(mktemp -d)"
trap 'rm -rf "$runs"' EXIT
step embodied-ssl train --config configs/tiny_cpu.yaml --runs_dir "$runs"
step python scripts/check_summary.py "$runs/tiny_cpu/summary.json"
echo "all passed"
