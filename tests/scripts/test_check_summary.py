import copy
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "scripts" / "check_summary.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_summary", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def summary(script) -> dict:
    return {
        **dict.fromkeys(script.POSITIVE, 1),
        **dict.fromkeys(script.PRESENT, 0),
        "forward_skill": {"1": 0.5},
        "probe_r2": {labels: dict.fromkeys(script.SYSTEMS, 0.5) for labels in script.LABELS},
        "return": {"policy": {"mean": 1.0}, "random": -1.0},
    }


def test_a_whole_summary_has_no_problems(script, summary):
    assert list(script.problems(summary)) == []


def test_each_gap_is_named(script, summary):
    broken = copy.deepcopy(summary)
    broken["updates"] = 0
    broken["probe_r2"]["64"]["learned"] = None
    broken["return"]["policy"]["mean"] = float("nan")
    del broken["camera_backend"], broken["forward_skill"], broken["probe_r2"]["all"]
    found = list(script.problems(broken))
    assert len(found) == 5 + len(script.SYSTEMS)
    for key in ("updates", "camera_backend", "forward_skill", "probe_r2.64.learned", "probe_r2.all.learned", "policy"):
        assert any(key in sentence for sentence in found), key
