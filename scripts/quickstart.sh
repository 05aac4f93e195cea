#!/usr/bin/env bash
# From a fresh clone to a finished run: bash scripts/quickstart.sh [options of `embodied-ssl train`]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

setup_venv
cd "$root"
exec embodied-ssl train --config configs/quickstart.yaml "$@"
