import io
import re

from rich.console import Console

from embodied_ssl.config import Config
from embodied_ssl.report.run_tables import SYSTEMS, closing_table, comparison
from embodied_ssl.run_folder import RunFolder, write_json

SUMMARY = {
    "env_steps": 24000,
    "updates": 1120,
    "agent_updates": 3120,
    "env_steps_per_s": 123.44,
    "updates_per_s": 5.75,
    "effective_rank": 31.5,
    "forward_skill": {"5": 0.25, "1": 0.5, "15": {"mean": 0.125, "low": 0.1, "high": 0.15}},
    "forward_skill_over_persistence": {"1": 0.75, "5": 0.6, "15": 0.55},
    "probe_r2": {
        "all": {name: 0.9 for name in SYSTEMS},
        "64": {"learned": 0.41, "frozen_random": -0.2, "raw_tick": None, "supervised": 0.8},
    },
    "return": {"policy": 12.5, "random": -1.25},
    "camera_backend": "gl-fast",
    "source": "walk.zarr + 1",
}


def shown(item: object) -> str:
    console = Console(file=io.StringIO(), width=160)
    closing_table(item, console) if isinstance(item, dict) else console.print(item)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line(text: str, start: str) -> list[str]:
    (found,) = [row for row in text.splitlines() if row.strip().startswith(start)]
    return re.split(r"\s{2,}", found.strip())


def test_closing_table_holds_the_figures_beside_their_nulls():
    text = shown(SUMMARY)
    assert line(text, "64") == ["64", "0.410", "-0.200", "-", "-", "-", "0.800"]
    assert line(text, "15") == ["15", "0.125 [0.100, 0.150]", "0.550"]
    assert line(text, "return, policy") == ["return, policy", "12.500"]
    assert line(text, "camera") == ["camera back end", "gl-fast"]
    assert text.index("64 ") < text.index("all ")
    assert text.index("5  ") < text.index("15  ")


def test_closing_table_leaves_out_what_was_not_measured():
    text = shown({"env_steps": 10, "return": {"policy": None}})
    assert "probe" not in text
    assert "return" not in text
    assert line(text, "environment steps") == ["environment steps", "10"]


def test_comparison_has_a_row_for_each_run_finished_or_not(tmp_path):
    runs = [RunFolder.create(Config(name=name, runs_dir=str(tmp_path))) for name in ("whole", "cut")]
    write_json(runs[0].summary_path, SUMMARY)
    table = comparison(runs)
    cells = [list(column.cells) for column in table.columns]
    assert [row[0] for row in cells[1:]] == [
        "walk.zarr + 1",
        "24,000",
        "1,120",
        "0.250",
        "31.500",
        "0.410",
        "-0.200",
        "0.900",
        "12.500",
        "-1.250",
        "gl-fast",
    ]
    assert [row[1] for row in cells[1:]] == ["-"] * 11
