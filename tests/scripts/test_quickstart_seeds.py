from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embodied_ssl.config import Config
from embodied_ssl.config_file import save_config
from embodied_ssl.run_folder import RunFolder, write_json

FOLDER = Path(__file__).parents[2] / "scripts" / "experiments"


@pytest.fixture
def seeds(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quickstart_seeds")


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quickstart_table")


def row(seed: int, **changes: Any) -> dict[str, Any]:
    """A made-up row: learned is best of all but `supervised`; seeds differ by a hundredth."""
    base = {"learned": 0.6, "frozen_random": 0.3, "raw_tick": 0.1, "raw_window": 0.4, "raw_window_pca": 0.35}
    scores = {name: value + 0.01 * seed for name, value in (base | {"supervised": 0.8}).items()}
    summary = {
        "probe_r2": {labels: dict(scores) for labels in ("64", "256", "1024", "all")},
        "forward_skill": {"1": 0.2 + 0.01 * seed, "5": 0.1, "15": 0.05 * seed - 0.05},
        "forward_skill_over_persistence": {"1": 0.5, "5": 0.5, "15": 0.5},
        "return": {"policy": 10.0 + seed, "random": 1.0 + 0.1 * seed},
        "effective_rank": 40.0 + seed,
        "env_steps_per_s": 200.0,
        "updates_per_s": 10.0,
        "updates": 1120 + seed,
        "agent_updates": 3120,
        "camera_backend": "ray",
    }
    hardware = {"cpu": "A CPU", "cores": 2, "device": "device auto", "torch_threads_per_role": 1}
    return {
        "seed": seed,
        "config_hash": "abc",
        "wall_s": 200.0 + seed,
        "hardware": hardware,
        "summary": {**summary, **changes},
    }


def sentences(table, rows) -> dict[str, str]:
    """Return what each verdict is about -> Met or Missed."""
    pairs = [sentence.split(": ", 1) for sentence in table.targets(rows)]
    return {about.partition(" (")[0]: verdict for verdict, about in pairs}


def test_intervals_are_those_of_student(table):
    interval = table.Interval.of([row(seed) for seed in (0, 1, 2)], table.probe("64", "learned"))
    assert interval.mean == pytest.approx(0.61)
    assert interval.high - interval.mean == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    assert interval.text() == "0.610 [0.585, 0.635]"
    one = table.Interval.of([row(0)], table.probe("64", "learned"))
    assert one.text() == "0.600"
    assert not one.above(0.0)
    assert table.Interval.of([row(0), row(1, effective_rank=None)], table.figure("effective_rank")).text() == "-"


def test_differences_are_paired_by_seed(table):
    rows = [row(seed) for seed in range(5)]
    gain = table.difference(table.probe("all", "learned"), table.probe("all", "raw_window"))
    interval = table.Interval.of(rows, gain)
    assert (interval.low, interval.mean, interval.high) == pytest.approx((0.2, 0.2, 0.2))
    fraction = table.Interval.of(rows, table.gap_fraction("256"))
    assert fraction.mean == pytest.approx(0.5)


def test_there_is_no_fraction_of_a_gap_that_is_not_there(table):
    low = row(0)
    low["summary"]["probe_r2"]["64"]["supervised"] = 0.1
    assert table.gap_fraction("64")(low) is None
    assert "| share of the gap raw_window to supervised | - |" in table.markdown([low, row(1)], "x")


def test_every_target_gets_its_verdict(table):
    verdicts = sentences(table, [row(seed) for seed in range(5)])
    assert len(verdicts) == 13
    assert {about for about, verdict in verdicts.items() if verdict == "Missed"} == {
        "forward skill above 0 at 15 ticks"
    }
    assert set(verdicts.values()) == {"Met", "Missed"}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"updates": 900}, "at least 1,000 SSL and 3,000 SAC updates"),
        ({"agent_updates": 2999}, "at least 1,000 SSL and 3,000 SAC updates"),
        ({"return": {"policy": 1.2, "random": 1.0}}, "return of the policy above random with intervals apart"),
        ({"forward_skill": {"1": 0.1, "5": -0.1, "15": 1.0}}, "forward skill above 0 at 5 ticks"),
    ],
)
def test_a_missed_target_is_said(table, change, missed):
    rows = [row(seed, **change) for seed in range(3)]
    if "return" in change:
        rows[2]["summary"]["return"] = {"policy": 1.1, "random": 1.15}
    assert sentences(table, rows)[missed] == "Missed"


def test_overlapping_probe_intervals_a_small_gain_and_a_long_run_are_missed(table):
    rows = [row(seed) for seed in range(3)]
    for number, entry in enumerate(rows):
        entry["summary"]["probe_r2"]["64"]["raw_window"] = 0.4 + 0.15 * number
        entry["summary"]["probe_r2"]["all"]["frozen_random"] = 0.5
    rows[1]["wall_s"] = 361.0
    missed = {about for about, verdict in sentences(table, rows).items() if verdict == "Missed"}
    assert missed == {
        "learned above raw_window at 64 labels with intervals apart",
        "at least 0.15 above frozen_random at all labels",
        "forward skill above 0 at 15 ticks",
        "training, evaluation and report within 360 s",
    }


def test_the_page_and_the_readme_hold_the_same_tables(table, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- quickstart:begin -->\nold\n<!-- quickstart:end -->\nafter\n")
    rows, text = [row(seed) for seed in range(5)], ""
    for _ in range(2):  # writing again changes nothing
        table.write_tables(rows, "the command", tmp_path / "results" / "quickstart.md", readme)
        text = readme.read_text()
        assert text.startswith("before\n<!-- quickstart:begin -->\nMean over 5 seeds (0, 1, 2, 3, 4)")
        assert text.endswith("Made by `the command`.\n<!-- quickstart:end -->\nafter\n")
    assert "old" not in text
    assert text.partition("begin -->\n")[2].partition("<!-- q")[0] in (tmp_path / "results/quickstart.md").read_text()
    assert "| learned | 0.620 [0.600, 0.640] |" in text
    assert "| learned - raw_tick | +0.500 [+0.500, +0.500] |" in text
    assert "A CPU, 2 cores, device auto, 1 torch thread per role, cameras by ray" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| learned")}
    assert widths == {6}


def test_a_readme_without_the_markers_is_refused(table, tmp_path):
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(SystemExit, match="lacks the lines"):
        table.write_tables([row(0)], "x", tmp_path / "q.md", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == "nothing"


def test_seeds_run_once_each_in_processes_of_their_own_and_make_rows(seeds, tmp_path, monkeypatch):
    started = []

    def run(command, **_):
        started.append(command)
        options = dict(zip(command[4::2], command[5::2], strict=True))
        config = Config(name=options["--name"], runs_dir=options["--runs_dir"], seed=int(options["--seed"]))
        made = RunFolder.create(config)
        write_json(made.summary_path, {**row(config.seed)["summary"], "versions": {"torch": "2"}, "seed": config.seed})
        return SimpleNamespace(stdout=f"a table\nrun folder: {made.path}\n")

    monkeypatch.setattr(seeds.subprocess, "run", run)
    config_path, out, readme = tmp_path / "c.yaml", tmp_path / "rows.jsonl", tmp_path / "README.md"
    save_config(Config(name="q"), config_path)
    words = ["--config", str(config_path), "--out", str(out), "--runs_dir", str(tmp_path / "runs")]
    seeds.main([*words, "--seeds", "0", "1"])
    seeds.main([*words, "--seeds", "1", "2"])
    assert [command[command.index("--seed") + 1] for command in started] == ["0", "1", "2"]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["seed"] for r in rows] == [0, 1, 2]
    assert len({r["config_hash"] for r in rows}) == 1
    assert rows[2]["config"]["seed"] == 2
    assert rows[0]["hardware"]["cores"] > 0
    assert rows[0]["versions"] == {"torch": "2"}
    readme.write_text("<!-- quickstart:begin -->\n<!-- quickstart:end -->\n")
    seeds.main([*words, "--readme", str(readme), "--table"])
    assert "Mean over 3 seeds (0, 1, 2)" in readme.read_text()
    assert "quickstart_seeds.py --seeds 0 1 2 --config c.yaml`" in out.with_suffix(".md").read_text()
    # Another config: its seeds are not there yet, and the old rows are not mixed in.
    save_config(dataclasses.replace(Config(name="q"), env_steps=5), config_path)
    with pytest.raises(SystemExit, match="holds no row"):
        seeds.main([*words, "--readme", str(readme), "--table"])
    seeds.main([*words, "--seeds", "0"])
    assert len(started) == 4
