import os
from pathlib import Path

import pytest

from embodied_ssl.config import Config
from embodied_ssl.errors import RunError
from embodied_ssl.run_folder import RunFolder, list_runs, read_json, write_atomic, write_json


def make(tmp_path: Path, name: str = "a") -> RunFolder:
    return RunFolder.create(Config(name=name, runs_dir=str(tmp_path)))


def test_create_writes_the_config_and_numbers_repeats(tmp_path):
    runs = [make(tmp_path) for _ in range(3)]
    assert [run.path.name for run in runs] == ["a", "a-2", "a-3"]
    assert runs[0].config == Config(name="a", runs_dir=str(tmp_path))


def test_create_takes_an_empty_folder_and_passes_by_a_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    assert make(tmp_path, "a").path.name == "a"
    assert make(tmp_path, "b").path.name == "b-2"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_create_refuses_names_that_lead_elsewhere(tmp_path, name):
    with pytest.raises(RunError, match="expected a plain folder name"):
        make(tmp_path, name)


def test_create_says_why_a_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot make a run folder"):
        make(tmp_path / "file")


def test_open_finds_latest_and_suggests(tmp_path, monkeypatch):
    first, second = make(tmp_path / "runs", "first"), make(tmp_path / "runs", "second")
    os.utime(first.config_path, ns=(1, 1))
    os.utime(second.config_path, ns=(2, 2))
    monkeypatch.chdir(tmp_path)
    assert RunFolder.open("latest").path == Path("runs/second")
    assert RunFolder.open(tmp_path / "runs" / "latest") == second
    assert list_runs(tmp_path / "runs") == [first, second]
    with pytest.raises(RunError, match=r"no run folder .*did you mean 'first'"):
        RunFolder.open(tmp_path / "runs" / "firts")
    with pytest.raises(RunError, match="there is no run in"):
        RunFolder.open(tmp_path / "nowhere" / "latest")


def test_list_runs_of_nothing_is_empty(tmp_path):
    assert list_runs(tmp_path / "none") == []


def test_write_json_replaces_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError):
        write_atomic(path, lambda file: (file.write(b"{"), (_ for _ in ()).throw(RuntimeError)))
    assert read_json(path) == {"a": 1}
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert read_json(path)["a"] == 2
    assert path.read_text().endswith("\n")


def test_summary_missing_or_damaged(tmp_path):
    run = make(tmp_path)
    with pytest.raises(RunError, match=r"summary\.json is missing"):
        run.summary()
    run.summary_path.write_text("{")
    with pytest.raises(RunError, match=r"summary\.json is damaged"):
        run.summary()


def test_discard_only_what_was_never_used(tmp_path):
    unused, used = make(tmp_path), make(tmp_path)
    unused.metrics_path.touch()
    unused.checkpoints_dir.mkdir()
    used.metrics_path.write_text("{}\n")
    unused.discard_if_unused()
    used.discard_if_unused()
    assert not unused.path.exists()
    assert used.path.exists()


def test_a_second_process_is_kept_out_and_the_lock_goes_with_the_first(tmp_path):
    run = RunFolder.create(Config(name="locked", runs_dir=str(tmp_path)))
    with run.lock(), pytest.raises(RunError, match="in use by another process"), run.lock():
        pass
    with run.lock():
        assert run.config.name == "locked"
