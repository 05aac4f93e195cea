import importlib.util
import subprocess
import sys

import pytest

from embodied_envs.robots import load_robot
from embodied_envs.suite import ACTION_REPEAT, SUITE
from embodied_envs.suite.model_files import read_domain


def test_every_task_has_a_published_action_repeat():
    assert ACTION_REPEAT.keys() == SUITE.keys()


def test_a_missing_extra_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"dm_control; fix: pip install 'embodied-ssl\[dmc\]'$") as caught:
        load_robot("cheetah-run").build()
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("needs_models")
def test_an_unknown_domain_is_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"without dolphin\.xml"):
        read_domain("dolphin")


def test_an_unknown_task_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'walker-walk'"):
        load_robot("walker-wlak")


@pytest.mark.usefixtures("needs_models")
def test_models_are_read_without_importing_the_package():
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from embodied_envs.robots import load_robot\nfrom embodied_envs.suite import SUITE\n"
        "print([load_robot(task).build().compile().nu for task in SUITE], 'dm_control' in sys.modules)"
    )
    path = next(p for p in sys.path if p.endswith("envs"))
    done = subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1, 2, 6, 6, 2, 2] False"
    assert "deprecated" not in done.stderr


@pytest.mark.usefixtures("needs_models")
def test_the_cheetah_weighs_what_its_file_asks_for():
    model = load_robot("cheetah-run").build().compile()
    assert model.body_mass.sum() == pytest.approx(14.0)


@pytest.mark.usefixtures("needs_models")
@pytest.mark.parametrize("task", SUITE)
def test_controls_lie_between_minus_one_and_one(task):
    model = load_robot(task).build().compile()
    assert (model.actuator_ctrllimited == 1).all()
    assert (model.actuator_ctrlrange == [-1.0, 1.0]).all()
