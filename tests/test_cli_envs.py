"""`embodied-ssl envs` and `embodied-ssl view`."""

from __future__ import annotations

import pytest

from embodied_envs import ENV_IDS
from embodied_ssl.cli import main
from embodied_ssl.config_flags import parse_kwargs
from embodied_ssl.errors import ConfigError
from embodied_ssl.sources.env_ids import find_env_id, list_env_ids

RUNNER = "embodied_envs:Embodied/Runner-v0"


def one_line(capsys) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("embodied-ssl: ")
    return err


def test_envs_lists_every_robot_with_its_summary(capsys):
    assert main(["envs"]) == 0
    out = capsys.readouterr().out
    for env_id in ENV_IDS:
        assert env_id in out
    assert "Planar two-legged runner" in out
    assert "accelerometer" in out


def test_envs_of_one_env_shows_sensors_privileged_and_action(capsys):
    assert main(["envs", "Runner", "--camera_backend", "ray", "--episode_ticks", "40"]) == 0
    out = capsys.readouterr().out
    for text in (RUNNER, "episode 40 ticks = 2 s", "6 values in [-1, 1]", "camera back end: ray", "slow_dynamics"):
        assert text in out
    touch = next(line.split() for line in out.splitlines() if line.lstrip().startswith("touch "))
    assert touch[:6] == ["touch", "touch", "2", "1", "20", "N"]


def test_envs_works_for_any_gymnasium_id(capsys):
    assert main(["envs", "Pendulum-v1"]) == 0
    out = capsys.readouterr().out
    assert "1 values in [-2, 2]" in out
    assert "privileged" not in out


def test_envs_check_holds_an_env_against_the_contract(capsys):
    words = ["envs", "Runner", "--check", "--camera_backend", "ray", "--camera_px", "16", "--episode_ticks", "30"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"{RUNNER} keeps the contract" in out
    assert "rates as declared" in out


def test_view_writes_and_names_its_files(tmp_path, capsys):
    words = ["view", "Runner", "--out", str(tmp_path), "--seconds", "0.3", "--seed", "3", "--camera_backend", "ray"]
    assert main(words) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / name) for name in ("contact_sheet.png", "timelines.png", "view.mp4")
    ]
    assert main(["view", "Pendulum-v1", "--out", str(tmp_path / "p"), "--seconds", "0.3", "--policy", "zero"]) == 0
    assert "has no camera: timelines only" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["envs", "Runer"], "no env is called 'Runer'; did you mean 'Runner'?"),
        (["envs", "Embodied/Runner-v1"], "did you mean 'Embodied/Runner-v0'?"),
        (["envs", "embodied_env:X-v0"], "module 'embodied_env' cannot be imported"),
        (["envs", "json:"], "module 'json' registers no Gymnasium env"),
        (["envs", "Runner", "--camera_pxs", "3"], "camera_pxs"),
        (["envs", "Runner", "sensors"], "unexpected word 'sensors'"),
        (["envs", "CartPole-v1"], "expected a Box of continuous actions"),
        (["envs", "--check"], "envs --check takes an id"),
        (["view"], "view takes an env's id first, got nothing"),
        (["view", "--seconds", "3"], "view takes an env's id first"),
        (["view", "Runner", "--seconds", "long"], "--seconds is 'long', expected a number"),
        (["view", "Runner", "--seconds", "0"], "seconds is 0.0, expected a positive number"),
        *(
            (["view", "Runner", f"--seconds={seconds}"], f"seconds is {seconds}, expected a positive number")
            for seconds in ("inf", "nan", "-1.0", "4000.0")
        ),
        (["view", "Pendulum-v1", "--seed", "-1"], "seed is -1, expected a whole number of at least 0"),
        (["view", "Runner", "--seed", "1", "--seed=2"], "--seed is given twice"),
        (["view", "Runner", "--policy", "a:"], "policy is 'a:', expected module:function"),
        (["view", "Pendulum-v1", "--g", "far"], "step of 'Pendulum-v1' raises TypeError"),
        (["view", "Ant-v5", "--reset_noise_scale", "x"], "reset of 'Ant-v5' raises"),
        (["view", ".:X"], "'.' is no module's name"),
        (["envs", "Runner", "--camera_kind", "rgb"], "did you mean 'camera_kinds'?"),
        (["envs", "Ant-v5", "--fram_skip", "3"], "did you mean 'frame_skip'?"),  # a keyword of its base class
        (["envs", "Ant-v5", "--xml_file", "no.xml"], "OSError: File"),
        (["envs", "Runner", "--robot", "3"], "with env.kwargs {'robot': 3}"),
        (["envs", "Runner", "--num_envs", "3"], "env.kwargs has num_envs=3"),
        (["envs", "Pendulum-v1", "--g", "far", "--check"], "step with 3 lanes raises TypeError"),
        (["envs", "--camera_px", "3"], "envs takes an env's id first, got --camera_px"),
        (["envs", "embodied_envs:", "--check"], "envs --check takes an id, got embodied_envs:"),
        (["view", "Runner", "--seed", "1.5"], "--seed is '1.5', expected a whole number"),
        (["view", "Runner", "--policy"], "--policy takes random, zero or module:function, got nothing"),
        (["view", "Runner", "--policy", "still"], "no policy is called 'still'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(words, message, capsys):
    assert main(words) == 2
    assert message in one_line(capsys)


def test_an_id_is_found_by_any_of_its_names():
    for word in ("Runner", "Embodied/Runner-v0", RUNNER, "embodied_envs:Runner"):
        assert find_env_id(word) == RUNNER
    assert find_env_id("Pendulum-v1") == "Pendulum-v1"
    assert RUNNER in list_env_ids()


def test_env_arguments_are_yaml():
    words = ["--a", "1", "--b=[x, y]", "--c", "--d-e.f", "null"]
    assert parse_kwargs(words) == {"a": 1, "b": ["x", "y"], "c": True, "d_e": {"f": None}}
    with pytest.raises(ConfigError, match="given twice"):
        parse_kwargs(["--a", "1", "--a", "2"])
