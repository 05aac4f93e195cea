"""What log inspect, verify and compact found, as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from embodied_ssl.logs.compact import Compaction
from embodied_ssl.logs.inspect import LogReport, StreamReport
from embodied_ssl.logs.stream_facts import Stretches, ValueFacts
from embodied_ssl.logs.verify import LogCheck
from embodied_ssl.report.axes import number_text

COLUMNS = (
    *("stream", "role", "row", "rows", "Hz", "nominal", "gaps (longest)", "dropped", "twice", "late"),
    *("not finite", "black", "frozen (longest)", "at a bound", "constant", "MB", "on disk", "ratio"),
)


def inspect_page(report: LogReport) -> Group:
    """Return everything of a log: facts, streams, episodes, damage, and the same of its epochs."""
    start, end = report.span_ns
    kind = "compacted" if report.is_compacted else f"{report.num_commits:,} commits"
    head = f"{report.path}: {(end - start) / 1e9:,.2f} s, {report.disk_bytes / 1e6:,.1f} MB on disk, {kind}"
    table = Table(title="streams", box=SIMPLE_HEAD, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("stream", "role", "row") else "right", overflow="fold")
    for stream in report.streams.values():
        table.add_row(*_stream_cells(stream))
    parts: list[RenderableType] = [head, table, *_episode_lines(report)]
    parts += [f"note: {note}" for note in report.notes] + [f"damage: {line}" for line in report.damage]
    for number, epoch in enumerate(report.epochs, 1):
        parts += [f"epoch {number}", inspect_page(epoch)]
    return Group(*parts)


def _stream_cells(report: StreamReport) -> tuple[str, ...]:
    sensor, times = report.stream.sensor, report.times
    row = f"{sensor.dtype} {'x'.join(map(str, sensor.shape)) or '1'}"
    cells = (report.stream.name, report.stream.role, row, f"{report.num_rows:,}")
    rates = (_number(times.measured_hz), number_text(sensor.rate_hz, 4), _stretches(times.gaps))
    counts = tuple(_count(count) for count in (times.dropped, times.duplicates, times.out_of_order))
    sizes = (f"{report.raw_bytes / 1e6:,.2f}", f"{report.disk_bytes / 1e6:,.2f}", _number(report.ratio))
    return (*cells, *rates, *counts, *_value_cells(report.values), *sizes)


def _value_cells(values: ValueFacts | None) -> tuple[str, ...]:
    if values is None:
        return ("?",) * 5
    counts = _count(values.non_finite_rows), _count(values.black_frames)
    return (*counts, _stretches(values.frozen), _stretches(values.saturated), _count(len(values.constant_channels)))


def _stretches(stretches: Stretches) -> str:
    return f"{stretches.count:,} ({stretches.longest_ns / 1e9:.3g} s)" if stretches.count else "-"


def _count(count: int) -> str:
    return f"{count:,}" if count else "-"


def _number(value: float) -> str:
    return number_text(value, 4) if value else "-"


def _episode_lines(report: LogReport) -> Iterator[str]:
    if not report.episodes:
        yield "no episodes"
        return
    kinds = [episode.end_kind for episode in report.episodes]
    ends = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))
    yield f"{len(kinds):,} episodes ({ends}) of {len({episode.lane for episode in report.episodes}):,} lanes"


def verify_page(check: LogCheck) -> Group:
    """Return what a check found, the verdict first."""
    rows = sum(check.num_rows.values())
    how = "looked for" if check.is_quick else "read and checked"
    verdict = "sound" if check.is_sound else f"DAMAGED: {len(check.problems)} problems"
    head = f"{check.path}: {verdict}; {rows:,} rows, {check.num_chunks:,} chunks {how}, {check.num_commits:,} commits"
    return Group(head, *(f"problem: {line}" for line in check.problems), *(f"note: {line}" for line in check.notes))


def compact_line(done: Compaction) -> str:
    """Return what compact did."""
    return (
        f"{done.path}: {done.files_before:,} files became {done.files_after:,}, "
        f"{done.bytes_before / 1e6:,.1f} MB became {done.bytes_after / 1e6:,.1f} MB; it grows no more"
    )
