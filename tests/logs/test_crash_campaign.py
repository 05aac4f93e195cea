"""A short crash campaign; the long one is `scripts/crash_campaign.py --kills 300`."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "crash_campaign.py"


def test_kills_at_random_moments_lose_and_invent_nothing(tmp_path):
    words = [sys.executable, SCRIPT, "--kills", "15", "--seed", "3", "--json", "--folder", tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["fault"] for line in lines if "fault" in line] == []
    assert done.returncode == 0
    counts = {line["count"]: line["value"] for line in lines}
    assert sum(counts.get(f"{what} killed", 0) for what in ("recorders", "recoveries", "compactions")) >= 15
    assert counts["rows checked"] > 1000
    assert counts["rows read from the tail"] > 100
    assert not list(tmp_path.iterdir())
