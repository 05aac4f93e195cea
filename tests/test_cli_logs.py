"""The commands around logs, as a user types them."""

import inspect

import numpy as np
import pytest

from embodied_ssl.cli import main
from embodied_ssl.logs import StreamLog
from embodied_ssl.logs.importers import IMPORTERS


def run(*words: str) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "walk.zarr"
    assert run("record", "Runner", "--out", path, "--steps", "120", "--lanes", "2", "--cameras", "false") == 0
    return path


def test_a_recorded_env_is_whole(log):
    recorded = StreamLog.open(log)
    assert recorded.num_rows("reward") == 120
    assert recorded.facts["env"]["id"].endswith("Runner-v0")
    assert {episode.lane for episode in recorded.episodes} == {0, 1}


def test_inspect_shows_rates_and_draws(log, tmp_path, capsys):
    assert run("log", "inspect", log, "--out", tmp_path / "t.png") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("joint_pos", "gyro", "reward"))
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_verify_tells_sound_from_damaged(log, tmp_path, capsys):
    assert run("log", "verify", log) == 0
    copy = tmp_path / "copy.zarr"
    assert run("log", "compact", log, "--out", copy) == 0
    chunk = max((p for p in copy.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    capsys.readouterr()
    assert run("log", "verify", copy) == 1
    assert "DAMAGED" in capsys.readouterr().out


def test_recover_has_nothing_to_do_after_a_clean_end(log, capsys):
    assert run("log", "recover", log) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_export_and_import_give_the_same_numbers(log, tmp_path):
    pytest.importorskip("mcap")
    assert run("export", log, "--to", "mcap", "--out", tmp_path / "walk.mcap") == 0
    assert run("import", tmp_path / "walk.mcap", "--out", tmp_path / "again.zarr") == 0
    before, after = StreamLog.open(log), StreamLog.open(tmp_path / "again.zarr")
    for name in before.streams:
        np.testing.assert_array_equal(after.read(name).data, before.read(name).data)


MISTAKES = [
    (("record", "Runner"), "--out PATH"),
    (("record", "--out", "x.zarr"), "env's id first"),
    (("record", "Runner", "--out", "x.zarr", "--steps", "many"), "--steps is 'many'"),
    (("record", "Runner", "--out", "x.zarr", "--steps", "1", "--lanes", "4"), "at least one a lane"),
    (("import", "nowhere.mcap", "--out", "x.zarr"), "does not exist"),
    (("import", "--out", "x.zarr"), "file or folder first"),
    (("log", "inspekt", "x.zarr"), "did you mean 'inspect'"),
    (("log", "inspect"), "takes one log"),
    (("log", "verify", "a.zarr", "b.zarr"), "takes one log"),
    (("log", "inspect", "nowhere.zarr"), "nowhere.zarr"),
    (("export", "nowhere.zarr", "--out", "x"), "--to FORMAT"),
    (("export", "nowhere.zarr", "--to", "mcab", "--out", "x"), "did you mean 'mcap'"),
]


@pytest.mark.parametrize(("words", "expected"), MISTAKES)
def test_a_mistake_is_one_line(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_recording_is_not_written_over(log, capsys):
    assert run("record", "Runner", "--out", log, "--steps", "10") == 2
    assert "exists" in capsys.readouterr().err
    assert StreamLog.open(log).num_rows("reward") == 120


def test_a_wrong_option_of_a_format_names_the_nearest(tmp_path, capsys):
    (tmp_path / "x.mcap").write_bytes(b"\x89MCAP0\r\n")
    assert run("import", tmp_path / "x.mcap", "--out", tmp_path / "x.zarr", "--topicks", "a") == 2
    assert "did you mean 'topics'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["record", "import", "export", "log"])
def test_every_command_has_help_of_its_own(command, capsys):
    assert run(command, "--help") == 0
    assert f"usage: embodied-ssl {command}" in capsys.readouterr().out


def test_help_tells_every_option_of_every_format(capsys):
    run("import", "--help")
    said = capsys.readouterr().out
    for name in IMPORTERS:
        options = [p.name for p in inspect.signature(IMPORTERS[name]).parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert f"  {name}  (" in said
        for option in options:
            line = next(line for line in said.partition(f"  {name}  (")[2].splitlines() if f"--{option} " in line)
            assert len(line.split()) > 4, f"{name} does not say what {option} is"


def test_a_verb_without_log_names_the_command(capsys):
    assert run("verify", "x.zarr") == 2
    assert "embodied-ssl log verify" in capsys.readouterr().err
