"""Tables and verdicts of the quickstart over seeds, made from rows only: nothing in them is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied_ssl.evaluate.intervals import mean_interval
from embodied_ssl.run_folder import write_text

NULLS = ("frozen_random", "raw_tick", "raw_window", "raw_window_pca")
SYSTEMS = ("learned", *NULLS, "supervised")
LABELS = ("64", "256", "1024", "all")
HORIZONS = ("1", "5", "15")
BEGIN, END = "<!-- quickstart:begin -->", "<!-- quickstart:end -->"
MAX_WALL_S, MIN_UPDATES, MIN_AGENT_UPDATES, MIN_GAIN = 360.0, 1000, 3000, 0.15

Row = dict[str, Any]


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % t-interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, rows: Sequence[Row], figure: Callable[[Row], float | None]) -> Interval:
        """Return the interval of ``figure`` over rows; all NaN if a row does not have it."""
        values = [figure(row) for row in rows]
        if any(value is None or not math.isfinite(value) for value in values):
            return cls(math.nan, math.nan, math.nan)
        return cls(*mean_interval([value for value in values if value is not None]))

    def text(self, form: str = ".3f") -> str:
        """Return mean and bounds for people; a dash for what is not there."""
        if math.isnan(self.mean):
            return "-"
        bounds = "" if math.isnan(self.low) else f" [{self.low:{form}}, {self.high:{form}}]"
        return f"{self.mean:{form}}{bounds}"

    def above(self, other: Interval | float) -> bool:
        """Return whether this interval lies wholly above another one, or above a number; False without bounds."""
        return self.low > (other.high if isinstance(other, Interval) else other)


def figure(*path: str) -> Callable[[Row], float | None]:
    """Return a reader of the number at ``path`` of a row's summary; it gives None where there is none."""

    def read(row: Row) -> float | None:
        value: Any = row["summary"]
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    return read


def difference(first: Callable[[Row], float | None], second: Callable[[Row], float | None]) -> Callable[[Row], Any]:
    """Return a reader of ``first - second`` within a row: paired by seed."""

    def read(row: Row) -> float | None:
        one, other = first(row), second(row)
        return None if one is None or other is None else one - other

    return read


def gap_fraction(labels: str) -> Callable[[Row], float | None]:
    """Return a reader of the share of the way from raw window to supervised that the learned embedding goes."""

    def read(row: Row) -> float | None:
        learned, raw, top = (figure("probe_r2", labels, name)(row) for name in ("learned", "raw_window", "supervised"))
        if learned is None or raw is None or top is None or top <= raw:
            return None
        return (learned - raw) / (top - raw)

    return read


def probe(labels: str, system: str) -> Callable[[Row], float | None]:
    """Return a reader of a probe's mean R2."""
    return figure("probe_r2", labels, system)


def markdown(rows: Sequence[Row], command: str) -> str:
    """Return the tables and the verdicts on the targets, from ``rows`` of one config and machine."""
    table = [
        f"Mean over {len(rows)} seeds ({', '.join(str(row['seed']) for row in rows)}) with 95 % t-intervals.",
        "",
        *_probe_tables(rows),
        *_forward_table(rows),
        *_facts(rows),
        "What was asked of it:",
        "",
        *(f"- {sentence}" for sentence in targets(rows)),
        "",
        f"Hardware: {hardware_line(rows)}. Config `{rows[0]['config_hash']}`. Made by `{command}`.",
    ]
    return "\n".join(table) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, ruler, *lines)] + [""]


def _probe_tables(rows: Sequence[Row]) -> list[str]:
    levels = [[name, *(Interval.of(rows, probe(n, name)).text() for n in LABELS)] for name in SYSTEMS]
    gains = [
        [
            f"learned - {name}",
            *(Interval.of(rows, difference(probe(n, "learned"), probe(n, name))).text("+.3f") for n in LABELS),
        ]
        for name in NULLS
    ]
    gap = [
        "share of the gap raw_window to supervised",
        *(Interval.of(rows, gap_fraction(n)).text("+.2f") for n in LABELS),
    ]
    return [
        *_table(["probe R2, by number of labels", *LABELS], levels),
        *_table(["paired by seed", *LABELS], [*gains, gap]),
    ]


def _forward_table(rows: Sequence[Row]) -> list[str]:
    lines = [
        [label, *(Interval.of(rows, figure(key, horizon)).text("+.3f") for horizon in HORIZONS)]
        for label, key in (
            ("over the best simple predictor", "forward_skill"),
            ("over persistence (for information)", "forward_skill_over_persistence"),
        )
    ]
    return _table(["forward skill, ticks ahead", *HORIZONS], lines)


def _facts(rows: Sequence[Row]) -> list[str]:
    lines = [
        ["return of the policy", Interval.of(rows, figure("return", "policy")).text(".2f")],
        ["return of random actions", Interval.of(rows, figure("return", "random")).text(".2f")],
        ["effective rank", Interval.of(rows, figure("effective_rank")).text(".1f")],
        ["environment steps/s of the loop", Interval.of(rows, figure("env_steps_per_s")).text(".0f")],
        ["SSL updates/s of the loop", Interval.of(rows, figure("updates_per_s")).text(".1f")],
        ["SSL and SAC updates", f"{_least(rows, 'updates'):,.0f} and {_least(rows, 'agent_updates'):,.0f}"],
        ["seconds of the whole command", Interval.of(rows, lambda row: row["wall_s"]).text(".0f")],
    ]
    return _table(["the run", "value"], lines)


def _least(rows: Sequence[Row], key: str) -> float:
    return min(figure(key)(row) or 0 for row in rows)


def targets(rows: Sequence[Row]) -> Iterator[str]:
    """Yield one sentence for every target: met or missed, with the figures that say so."""
    for labels in ("64", "256"):
        learned = Interval.of(rows, probe(labels, "learned"))
        for name in ("frozen_random", "raw_window_pca", "raw_window"):
            null = Interval.of(rows, probe(labels, name))
            yield (
                f"{_verdict(learned.above(null))}: learned above {name} at {labels} labels with intervals apart "
                f"({learned.text()} against {null.text()})."
            )
    gain = Interval.of(rows, difference(probe("all", "learned"), probe("all", "frozen_random")))
    yield (
        f"{_verdict(gain.mean >= MIN_GAIN)}: at least {MIN_GAIN} above frozen_random at all labels "
        f"({gain.text('+.3f')}, paired by seed)."
    )
    for horizon in HORIZONS:
        skill = Interval.of(rows, figure("forward_skill", horizon))
        yield f"{_verdict(skill.above(0.0))}: forward skill above 0 at {horizon} ticks ({skill.text('+.3f')})."
    policy, random = (Interval.of(rows, figure("return", arm)) for arm in ("policy", "random"))
    yield (
        f"{_verdict(policy.above(random))}: return of the policy above random with intervals apart "
        f"({policy.text('.2f')} against {random.text('.2f')})."
    )
    least, agent_least = _least(rows, "updates"), _least(rows, "agent_updates")
    yield (
        f"{_verdict(least >= MIN_UPDATES and agent_least >= MIN_AGENT_UPDATES)}: at least {MIN_UPDATES:,} SSL and "
        f"{MIN_AGENT_UPDATES:,} SAC updates (fewest: {least:,.0f} and {agent_least:,.0f})."
    )
    longest = max(row["wall_s"] for row in rows)
    yield (
        f"{_verdict(longest <= MAX_WALL_S)}: training, evaluation and report within {MAX_WALL_S:.0f} s "
        f"(longest: {longest:.0f} s)."
    )


def _verdict(met: bool) -> str:
    return "Met" if met else "Missed"


def hardware_line(rows: Sequence[Row]) -> str:
    """Return the machines of the rows; more than one is said."""
    lines = {
        f"{h['cpu']}, {h['cores']} cores, {h['device']}, {h['torch_threads_per_role']} torch thread per role, "
        f"cameras by {row['summary'].get('camera_backend')}"
        for row in rows
        for h in [row["hardware"]]
    }
    return "; ".join(sorted(lines))


def write_tables(rows: Sequence[Row], command: str, page: Path, readme: Path) -> None:
    """Write the page and the README's block."""
    text = markdown(rows, command)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, f"# The quickstart over {len(rows)} seeds\n\n{text}")
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{readme} lacks the lines {BEGIN} and {END}")
    write_text(readme, f"{before}{BEGIN}\n{text}{END}{after}")
