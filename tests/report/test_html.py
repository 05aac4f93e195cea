import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from embodied_ssl.report.html import sections, write_report
from embodied_ssl.report.run_data import RunData
from embodied_ssl.report.verdict import verdict
from embodied_ssl.run_folder import RunFolder

ENCODERS = ("learned", "frozen_random", "raw_tick", "raw_window", "raw_window_pca", "supervised")
FIGURES = {
    *("losses", "objective_details", "skill_learning", "skill_horizon", "rank_and_spread", "probe_r2"),
    *("probe_targets_64", "probe_targets_all", "embedding_map", "timeline_imu", "timeline_joints", "frames"),
    *("returns", "agent", "drift", "speed"),
}
HOSTILE = "<script>alert(1)</script>\"'&"


def metric_rows(generator: np.random.Generator) -> list[dict]:
    rows: list[dict] = []
    for updates in range(1, 401):
        at = {"wall_s": updates / 5, "env_steps": updates * 20, "updates": updates}
        loss = float(np.exp(-updates / 100) + 0.1 * generator.random())
        rows.append(
            {"kind": "ssl", **at, "loss": loss, "loss/contrast": loss, "grad_norm": 1.0, "contrast/accuracy": 0.5}
        )
        if updates % 25 == 0:
            gauges = {"effective_rank": 40.0, "spread_min": 0.1, "spread_median": 0.8, "verdict": "keep"}
            skill = {"skill_1": 0.3 if updates > 100 else None, "skill_5": 0.2, "skill_15": -7.0}
            rows.append({"kind": "health", **at, **gauges, **skill})
            rows.append({"kind": "agent", **at, "critic_loss": loss, "q_mean": None})
            rows.append({"kind": "loop", **at, "env_steps_per_s": 100.0, "updates_per_s": 5.0, "rss_mb": 700.0})
            rows.append({"kind": "publish", **at, "version": 1, "drift_cka": 0.9, "drift_relative": 0.1})
            rows.append({"kind": "episode", **at, "return": float(generator.normal(50, 5)), "length": 300})
    return rows


def evaluation() -> dict:
    def score(mean: float) -> dict:
        targets = {"root_vel.0": mean, "contact.0": mean - 0.1}
        return {
            "mean": mean,
            "interval": [mean - 0.03, mean + 0.03],
            "groups": {"velocities": mean},
            "targets": targets,
        }

    def skill(shift: float) -> dict:
        median = {"1": 0.3 + shift, "5": 0.2 + shift, "15": 0.1 + shift}
        bounds = {h: [v - 0.02, v + 0.02] for h, v in median.items()}
        best = {"imu": dict.fromkeys(median, "autoregression")}
        return {"median": median, "interval": bounds, "sensors": {"imu": median}, "baselines": best}

    probes = {
        count: {name: score(0.6 + 0.05 * i - 0.08 * k) for k, name in enumerate(ENCODERS)}
        for i, count in enumerate(("64", "256", "1024", "all"))
    }
    probes["all"]["learned"]["mlp"] = score(0.77)
    arms = {"policy": {"mean": 80.0, "interval": [70, 90]}, "random": {"mean": 20.0, "interval": [None, None]}}
    facts = {"num_labels": 9000, "probe_groups_averaged": ["velocities"], "return": arms}
    return {
        **facts,
        "probes": probes,
        "skill": {"clean": skill(0.0), "noisy": skill(-0.05)},
        "map_state_name": "speed, m/s",
    }


def evaluation_arrays(generator: np.random.Generator) -> dict[str, np.ndarray]:
    time = np.arange(60, dtype=np.float32) / 20
    arrays = {"map_xy": generator.normal(size=(90, 2)), "map_time_s": np.arange(90.0), "map_state": np.arange(90.0)}
    for sensor, dims in (("imu", 6), ("joints", 2)):
        for kind in ("noisy", "clean", "predicted_5"):
            arrays[f"timeline/{sensor}/{kind}"] = generator.normal(size=(60, dims))
    arrays["timeline/imu/predicted_5"][:5] = np.nan
    frames = generator.integers(0, 255, (10, 64, 64, 3), dtype=np.uint8)
    return {**arrays, "timeline_time_s": time, "frames": frames, "frame_time_s": np.arange(10.0)}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A whole run, as train and evaluate leave it."""
    folder, generator = tmp_path / "wobbly", np.random.default_rng(0)
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "name: wobbly\nseed: 3\nencoder: {features_dim: 128}\nhealth: {min_rank_fraction: 0.05}\n"
    )
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in metric_rows(generator)))
    summary = {"env_steps": 24000, "updates": 1120, "camera_backend": "raycast", "seed": 3}
    (folder / "summary.json").write_text(json.dumps({**summary, "versions": {"torch": "2.13.0"}}))
    (folder / "evaluation.json").write_text(json.dumps(evaluation()))
    save_file(evaluation_arrays(generator), folder / "evaluation.safetensors")
    return RunFolder(folder)


class Outline(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_of_a_whole_run_shows_everything(run: RunFolder) -> None:
    path = write_report(run)
    page = path.read_text(encoding="utf-8")
    outline = Outline(page)
    assert path == run.report_path
    assert "Not shown" not in page
    assert {attrs["id"] for tag, attrs in outline.tags if tag == "figure"} == FIGURES
    assert page.count("<figcaption>") == len(FIGURES)
    for text in (
        "24,000",
        "raycast",
        "torch 2.13.0",
        "min_rank_fraction",
        "frozen random encoder",
        "supervised ceiling",
    ):
        assert text in page
    assert path.stat().st_size < 3_000_000


def test_report_refers_to_nothing_outside_itself(run: RunFolder) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    outline = Outline(page)
    assert "http" not in page.lower()
    assert "url(" not in page
    assert "@import" not in page
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in outline.tags}
    for _, attrs in outline.tags:
        for key in ("src", "href", "xlink:href"):
            assert (attrs.get(key) or "#").startswith(("#", "data:image/png;base64,"))
    anchors = {attrs["id"] for _, attrs in outline.tags if "id" in attrs}
    assert all(attrs["href"][1:] in anchors for tag, attrs in outline.tags if tag == "a" and attrs["href"])


def test_figures_lie_beside_the_report_as_whole_files(run: RunFolder) -> None:
    write_report(run)
    files = {file.stem: file.read_text(encoding="utf-8") for file in (run.path / "figures").iterdir()}
    assert set(files) == FIGURES
    for svg in files.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(r'[" ,(MLHV](nan|inf)', svg, re.IGNORECASE)


def test_probe_figure_has_every_null_and_marks_their_values(run: RunFolder) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    figure = page.split('<figure id="probe_r2">')[1].split("</figure>")[0]
    for k, name in enumerate(("learned", "frozen random encoder", "raw tick", "raw window", "raw window, PCA")):
        assert f"<title>{name}: {0.6 - 0.08 * k:.3g}</title>" in figure
    assert ">all</text>" in figure


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "summary.json", "evaluation.json", "evaluation.safetensors", "config.yaml"]
)
@pytest.mark.parametrize("damage", [None, b"", b"{\x00 not: [a file", b"[1, 2]\n"])
def test_report_says_what_is_missing_or_damaged(run: RunFolder, name: str, damage: bytes | None) -> None:
    (run.path / name).unlink()
    if damage is not None:
        (run.path / name).write_bytes(damage)
    page = write_report(run).read_text(encoding="utf-8")
    Outline(page)
    assert "Config</h2>" in page
    if damage is None:
        assert f"<li>{name} is missing</li>" in page
    if name != "summary.json" and name != "config.yaml":
        assert "Not shown" in page


def test_report_of_an_empty_folder(tmp_path: Path) -> None:
    page = write_report(RunFolder(tmp_path)).read_text(encoding="utf-8")
    Outline(page)
    assert page.count("Not shown: ") >= 10
    assert "do not fit" not in page
    assert "Nothing to judge yet" in page


def test_summary_alone_still_shows_probes_skill_and_returns(run: RunFolder) -> None:
    for name in ("evaluation.json", "evaluation.safetensors"):
        (run.path / name).unlink()
    facts = {"probe_r2": {"64": {"learned": 0.4, "raw_tick": 0.1}, "all": {"learned": 0.8, "raw_tick": 0.9}}}
    skill = {"forward_skill": {"1": 0.2, "5": -0.1}, "return": {"policy": 50.0, "random": 60.0}}
    run.summary_path.write_text(json.dumps({**facts, **skill}))
    page = write_report(run).read_text(encoding="utf-8")
    assert {"probe_r2", "skill_horizon", "returns"} <= {a["id"] for t, a in Outline(page).tags if t == "figure"}
    assert "the policy returns 50 beside 60 at random" in page


def test_records_of_another_shape_cost_one_figure_only(run: RunFolder) -> None:
    save_file(
        {"map_xy": np.zeros(5), "map_time_s": np.zeros(4), "map_state": np.zeros(2)},
        run.path / "evaluation.safetensors",
    )
    page = write_report(run).read_text(encoding="utf-8")
    assert "Not shown: its records do not fit" in page
    assert '<figure id="losses">' in page


def test_hostile_names_stay_text(run: RunFolder) -> None:
    record = json.loads(
        json.dumps(evaluation()).replace("root_vel.0", HOSTILE.replace('"', '\\"')).replace("raw_tick", "<b>x")
    )
    record["map_state_name"] = HOSTILE
    (run.path / "evaluation.json").write_text(json.dumps(record))
    (run.path / "config.yaml").write_text(f"name: |\n  {HOSTILE}</pre></section>\n")
    (run.path / "summary.json").write_text(json.dumps({"camera_backend": HOSTILE, "versions": {HOSTILE: HOSTILE}}))
    with run.metrics_path.open("a") as file:
        file.write(json.dumps({"kind": "ssl", "updates": 1, f"loss/{HOSTILE}": 1.0, f"{HOSTILE}/a": 1.0}) + "\n")
        file.write(json.dumps({"kind": "health", "updates": 1, "verdict": HOSTILE}) + "\n")
    page = write_report(run).read_text(encoding="utf-8")
    tags = {tag for tag, _ in Outline(page).tags}
    assert "script" not in tags
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not any(key.startswith("on") for _, attrs in Outline(page).tags for key in attrs)


def test_hostile_sensor_names_cannot_leave_the_figures_folder(run: RunFolder) -> None:
    time, trace = np.arange(9.0), np.zeros((9, 1))
    save_file({"timeline_time_s": time, "timeline/..\\..\\x<y/noisy": trace}, run.path / "evaluation.safetensors")
    write_report(run)
    names = {file.name for file in (run.path / "figures").iterdir()}
    assert any(name.startswith("timeline_") and name.endswith("_x_y.svg") for name in names)
    assert {file.name for file in run.path.iterdir()} >= {"figures", "report.html"}
    assert not list(run.path.parent.glob("*.svg"))


def test_torn_metric_lines_are_counted(run: RunFolder) -> None:
    with run.metrics_path.open("a") as file:
        file.write('{"kind": "ssl", "upda')
    assert "metrics.jsonl: 1 of" in write_report(run).read_text(encoding="utf-8")


def test_a_second_report_replaces_the_first(run: RunFolder) -> None:
    first = write_report(run).read_text(encoding="utf-8")
    assert write_report(run).read_text(encoding="utf-8") == first


def test_forecasts_from_every_nth_tick_are_drawn_as_points(run: RunFolder) -> None:
    time, trace = np.arange(20.0), np.arange(20.0)[:, None]
    sparse = np.where(np.arange(20)[:, None] % 5 == 0, trace, np.nan)
    arrays = {"timeline_time_s": time, "timeline/imu/clean": trace, "timeline/imu/predicted_5": sparse}
    save_file(arrays, run.path / "evaluation.safetensors")
    write_report(run)
    svg = (run.path / "figures" / "timeline_imu.svg").read_text(encoding="utf-8")
    assert svg.count("<title>predicted 5 ticks before") == 4


def test_a_run_from_logs_has_no_chapter_of_returns_and_pictures_only_make_no_claim_of_skill():
    summary = {"env_steps": 10, "forward_skill": {}, "forward_skill_over_persistence": {}}
    rows = [{"kind": "health", "updates": 5, "verdict": "keep", "effective_rank": 9.0}]
    config = {"log": {"paths": ["walk.zarr"], "mode": "shuffle"}}
    offline = RunData("offline", config=config, rows=rows, summary=summary)
    online = RunData("online", config={"log": {"paths": []}}, rows=rows, summary=summary)
    assert {c.slug for c in sections(online)} - {c.slug for c in sections(offline)} == {"returns"}
    assert "foresee" not in verdict(offline).sentence
