import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import embodied_ssl
from embodied_ssl.cli import main
from embodied_ssl.config import Config
from embodied_ssl.errors import CheckpointError
from embodied_ssl.run_folder import RunFolder, write_json


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """Stand in for the training loop, which these tests are not about, and record what it is asked to do."""
    calls: list[tuple] = []
    module = ModuleType("embodied_ssl.train")

    def train(config: Config, run_folder: RunFolder, resume: bool) -> dict:
        calls.append((config, run_folder, resume))
        if config.seed == 13:
            raise CheckpointError("no luck")
        if config.seed == 14:
            raise KeyboardInterrupt
        return {"env_steps": config.env_steps}

    vars(module)["train"] = train
    monkeypatch.setitem(sys.modules, "embodied_ssl.train", module)
    return calls


def one_line(capsys) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("embodied-ssl: ")
    return err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["train", "--learner.lrr", "1"], "did you mean --learner.lr?"),
        (["train", "--config", "none.yaml"], "cannot read config none.yaml"),
        (["train", "--config"], "--config takes a path"),
        (["train", "--config", "a", "--resume", "b"], "exclude each other"),
        (["train", "--resume", "nowhere/x"], "no run folder"),
        (["evaluate"], "evaluate takes one run folder"),
        (["report", "nowhere/x"], "no run folder"),
        (["runs", "nowhere"], "no run in nowhere"),
    ],
)
def test_mistakes_are_one_line_and_status_2(words, message, capsys):
    assert main(words) == 2
    assert message in one_line(capsys)


def test_train_makes_a_run_from_file_and_flags(calls, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("seed: 5\nenv_steps: 100\n")
    words = ["train", "--config", str(tmp_path / "c.yaml"), "--env_steps", "200", "--runs_dir", str(tmp_path)]
    assert main(words) == 0
    ((config, run, resume),) = calls
    assert (config.seed, config.env_steps, resume) == (5, 200, False)
    assert run.config == config
    assert "run folder:" in capsys.readouterr().out


def test_resume_keeps_the_config_and_may_prolong(calls, tmp_path, capsys):
    run = RunFolder.create(Config(seed=5, runs_dir=str(tmp_path)))
    assert main(["train", "--resume", str(tmp_path / "latest"), "--env_steps", "99"]) == 0
    assert calls == [(Config(seed=5, runs_dir=str(tmp_path), env_steps=99), run, True)]
    assert run.config.env_steps == 99
    capsys.readouterr()
    assert main(["train", f"--resume={run.path}", "--seed", "6"]) == 2
    assert "seed cannot change" in one_line(capsys)


def test_a_refused_run_leaves_no_folder(calls, tmp_path, capsys):
    assert main(["train", "--seed", "13", "--runs_dir", str(tmp_path)]) == 2
    assert one_line(capsys) == "embodied-ssl: no luck\n"
    assert list(tmp_path.iterdir()) == []


def test_a_refused_resume_keeps_the_folder(calls, tmp_path):
    run = RunFolder.create(Config(seed=13, runs_dir=str(tmp_path)))
    assert main(["train", "--resume", str(run.path)]) == 2
    assert run.config.seed == 13


def test_interrupt_is_status_130(calls, tmp_path):
    assert main(["train", "--seed", "14", "--runs_dir", str(tmp_path)]) == 130


def test_runs_compares_folders_and_single_runs(tmp_path, capsys):
    for name in ("a", "b"):
        write_json(RunFolder.create(Config(name=name, runs_dir=str(tmp_path))).summary_path, {"env_steps": 7777})
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("7,777") == 2
    assert main(["runs", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out.count("7,777") == 1


def test_version_and_usage(capsys):
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert main([]) == 2
    out = capsys.readouterr().out
    assert out.startswith(f"embodied-ssl {embodied_ssl.__version__}\n")
    assert "--resume" in out


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from embodied_ssl.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "took_s = time.perf_counter() - start\n"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'zarr', 'cv2'} & set(sys.modules)\n"
        "print('TOOK', took_s, heavy)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    _, took_s, heavy = done.stdout.splitlines()[-1].split(maxsplit=2)
    assert heavy == "set()"
    assert float(took_s) < 1.5
    assert "--config FILE" in done.stdout
    assert "--learner.lr FLOAT" in done.stdout
