"""The report of a run: one HTML file that needs nothing else, and each figure as an SVG file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from embodied_ssl.report import figures, figures_evaluation, tables
from embodied_ssl.report.drawing import text_safe
from embodied_ssl.report.figures import Figure
from embodied_ssl.report.palette import chart_css
from embodied_ssl.report.run_data import NotRecordedError, RunData, read_run
from embodied_ssl.report.verdict import verdict
from embodied_ssl.run_folder import RunFolder, write_text

MakeFigure = Callable[[RunData], Figure]
MakeTable = Callable[[RunData], str]

MOODS = {"good": "\N{CHECK MARK} good", "mixed": "\N{ALMOST EQUAL TO} mixed", "poor": "\N{MULTIPLICATION SIGN} poor"}
"""A sign and a word, so that the colour is not needed."""


@dataclass(frozen=True)
class Section:
    """A chapter of the report.

    Attributes:
        slug: anchor.
        title: heading.
        open: makers of what is seen at once.
        more: name of what is folded away.
        folded: makers of what the reader unfolds.
    """

    slug: str
    title: str
    open: tuple[MakeFigure | MakeTable, ...]
    more: str = ""
    folded: tuple[MakeFigure | MakeTable, ...] = ()


@dataclass
class Page:
    """What has been drawn so far."""

    run: RunData
    drawn: list[Figure] = field(default_factory=list)

    def attempt(self, make: MakeFigure | MakeTable) -> str:
        """Return the HTML of a figure or table, or one line that says why there is none."""
        try:
            made = make(self.run)
        except NotRecordedError as error:
            return f'<p class="missing">Not shown: {text_safe(error)}.</p>'
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A record of another shape than expected must not take the rest of the report with it.
            return f'<p class="missing">Not shown: its records do not fit ({text_safe(repr(error))}).</p>'
        if isinstance(made, str):
            return made
        self.drawn.append(made)
        picture = f'<div class="scroll chart">{made.drawing.svg()}</div>'
        return (
            f'<figure id="{text_safe(made.slug)}">{picture}<figcaption>{text_safe(made.caption)}</figcaption></figure>'
        )

    def section(self, section: Section) -> str:
        """Return a chapter; lines that repeat the same gap are said once."""
        made = dict.fromkeys(self.attempt(make) for make in section.open)
        folded = dict.fromkeys(self.attempt(make) for make in section.folded)
        more = f"<details><summary>{section.more}</summary>{''.join(folded)}</details>" if folded else ""
        head = f'<section id="{section.slug}"><h2>{text_safe(section.title)}</h2>'
        return f"{head}{''.join(made)}{more}</section>"


def sections(run: RunData) -> list[Section]:
    """Return the chapters in reading order; timelines depend on the sensors that were recorded.

    A run that learned from logs has no returns, and skill while it ran only if they were replayed.
    """
    timelines = tuple(_timeline_maker(name) for name in figures_evaluation.timeline_sensors(run) or [""])
    skill = (figures.skill_learning, figures_evaluation.skill_horizon, tables.skill_table)
    if run.setting("log.paths") and run.setting("log.mode") == "shuffle":
        skill = skill[1:]
    targets = (_target_maker(-1), tables.target_table)
    chapters = [
        Section("skill", "Forward skill", skill),
        Section("probes", "Probes", (figures_evaluation.probe_curve, tables.probe_table)),
        Section("targets", "Single targets", (_target_maker(0),), "With all labels, and as tables", targets),
        Section("map", "Map of the embedding", (figures_evaluation.embedding_map,)),
        Section("health", "Health", (figures.rank_and_spread, figures.drift)),
        Section("sensors", "Sensors", timelines[:1], "Other sensors", timelines[1:]),
        Section("camera", "Camera", (figures_evaluation.frames,)),
        Section("returns", "Returns", (figures.returns,), "The agent's own gauges", (figures.agent,)),
        Section("losses", "Losses", (figures.losses,), "Metrics of each objective", (figures.objective_details,)),
        Section("speed", "Speed", (figures.speed,)),
    ]
    return [chapter for chapter in chapters if chapter.slug != "returns" or not run.setting("log.paths")]


def _timeline_maker(sensor: str) -> MakeFigure:
    def make(run: RunData) -> Figure:
        if not sensor:
            raise NotRecordedError("evaluation.safetensors holds no sensor timelines")
        return figures_evaluation.timeline(run, sensor)

    return make


def _target_maker(position: int) -> MakeFigure:
    def make(run: RunData) -> Figure:
        return figures_evaluation.probe_targets(run, list(figures_evaluation.probe_records(run))[position])

    return make


def _header(run: RunData) -> str:
    judged = verdict(run)
    sign = MOODS.get(judged.mood, "\N{WHITE CIRCLE} open")
    strip = "".join(
        f"<div><dt>{text_safe(name)}</dt><dd>{text_safe(value)}</dd></div>" for name, value in tables.key_figures(run)
    )
    gaps = "".join(f"<li>{text_safe(line)}</li>" for line in run.problems)
    notes = f'<ul class="missing">{gaps}</ul>' if gaps else ""
    return (
        f'<header><p class="kicker">run report</p><h1>{text_safe(run.name)}</h1>'
        f'<p class="verdict {judged.mood}"><b>{sign}</b> {text_safe(judged.sentence)}</p>'
        f'<dl class="strip">{strip}</dl><p class="versions">{text_safe(tables.versions_text(run))}</p>{notes}</header>'
    )


def report_html(run: RunData) -> tuple[str, list[Figure]]:
    """Return the page and the figures on it.

    Args:
        run: the records of the run.

    Returns:
        A whole HTML document that refers to no other file, and its figures in order.
    """
    page, chapters = Page(run), sections(run)
    links = "".join(f'<a href="#{s.slug}">{text_safe(s.title)}</a>' for s in chapters)
    body = "".join(page.section(s) for s in chapters)
    config = text_safe(run.config_text) or "config.yaml is missing"
    style = files("embodied_ssl.report").joinpath("report.css").read_text(encoding="utf-8") + chart_css(".chart")
    document = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text_safe(run.name)}: run report</title><style>{style}</style></head><body><main>{_header(run)}"
        f'<nav aria-label="Chapters">{links}<a href="#config">Config</a></nav>{body}'
        f'<section id="config"><h2>Config</h2><pre>{config}</pre></section></main></body></html>\n'
    )
    return document, page.drawn


def write_report(run_folder: RunFolder) -> Path:
    """Write `report.html` and `figures/*.svg` from what the run has recorded so far.

    Args:
        run_folder: the run; anything but the folder itself may be missing or damaged, the report then says so.

    Returns:
        The path of the report.
    """
    document, drawn = report_html(read_run(run_folder.path))
    folder = run_folder.path / "figures"
    folder.mkdir(exist_ok=True)
    for figure in drawn:
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in figure.slug)
        write_text(folder / f"{name}.svg", figure.drawing.svg(chart_css()))
    write_text(run_folder.report_path, document)
    return run_folder.report_path
