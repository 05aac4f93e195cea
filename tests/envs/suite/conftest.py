import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embodied_envs.robots import load_robot
from embodied_envs.simulation import Simulation

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def needs_models() -> None:
    """Skips where the control suite's model files are not installed."""
    if importlib.util.find_spec("dm_control") is None:
        pytest.skip("dm_control is not installed: pip install 'embodied-ssl[dmc]'")


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Loads what the real suite did in one task: arrays [segment, step, ...]."""

    def load(task: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{task}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture
def tolerance_table() -> list:
    """Rows of (shape, value at margin, low, high, margin, x, value) from the real suite; None is an open end."""
    return json.loads((GOLDEN / "tolerance.json").read_text())


@pytest.fixture
def simulate(needs_models: None) -> Callable[[str, int], Simulation]:
    """Makes a task's simulation."""
    return lambda task, lanes: Simulation(load_robot(task), lanes, num_threads=1)
