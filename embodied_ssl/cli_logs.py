"""The commands around logs: record, import, export, and `log` to look after one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from embodied_ssl import cli_help
from embodied_ssl.cli_words import number, take
from embodied_ssl.config import EnvConfig
from embodied_ssl.config_flags import parse_kwargs
from embodied_ssl.errors import ConfigError, nearest
from embodied_ssl.registry import Registry

USAGE = """  record ID --out LOG.zarr [--steps N] [--lanes N] [--seed N] [--policy P] [--KEY VALUE ...]
                                              play an env and write every sensor row to a log (KEY: of the env itself)
  import SOURCE --out LOG.zarr [--format NAME] [--KEY VALUE ...]
                                              make a log of a recording; KEY: options of the format
  export LOG.zarr --to FORMAT --out PATH [--KEY VALUE ...]
                                              write a log for other people's viewers
  log inspect LOG.zarr [--out PICTURE.png]    rates, gaps, drops, sick sensors, sizes; and a timeline of them
  log verify LOG.zarr [--quick]               whether all that was committed is there and unaltered
  log recover LOG.zarr                        after a crash: drop what was never committed
  log compact LOG.zarr [--out OTHER.zarr]     few large files, for keeps; it grows no more after that"""

LOG_COMMANDS = ("inspect", "verify", "recover", "compact")

Shown = Callable[[int, int | None], None]


def record(words: list[str]) -> int:
    """Run ``record``."""
    if _helped(words, cli_help.RECORD):
        return 0
    options = {name: take(words, f"--{name}") for name in ("out", "steps", "lanes", "seed", "policy")}
    env_id = _first(words, "record takes an env's id first; `embodied-ssl envs` lists them")
    out = _out(options["out"], "record")
    lanes, seed = number(options, "lanes", int, 1), number(options, "seed", int, 0)
    steps = number(options, "steps", int, 1000 * lanes)
    if seed < 0 or lanes < 1:
        raise ConfigError(f"--seed is {seed} and --lanes {lanes}, expected at least 0 and 1")
    from embodied_ssl.sources.env_ids import find_env_id
    from embodied_ssl.train.record_env import RecordPlan, record_env

    env = EnvConfig(find_env_id(env_id), lanes, parse_kwargs(words[1:]))
    with _progress("steps") as shown:
        done = record_env(RecordPlan(env, steps, seed, options["policy"] or "random"), out, shown)
    print(f"{done:,} lane-steps recorded, {done // lanes:,} on each of {lanes} lanes")
    print(f"look at them with: embodied-ssl log inspect {out}")
    return 0


def import_(words: list[str]) -> int:
    """Run ``import``."""
    from embodied_ssl.logs.importers import IMPORTERS

    if _helped(words, cli_help.IMPORT, IMPORTERS):
        return 0
    out, name = take(words, "--out"), take(words, "--format")
    source = Path(_first(words, "import takes a file or folder first"))
    target = _out(out, "import")
    from embodied_ssl.logs.importing import import_recording

    with _progress("imported") as shown:
        report = import_recording(source, target, name, parse_kwargs(words[1:]), shown)
    console = _console()
    for note in report.notes:
        console.print(f"note: {note}")
    rows = sum(report.rows.values())
    console.print(f"{rows:,} rows of {len(report.rows)} streams; look at them with: embodied-ssl log inspect {target}")
    return 0


def export(words: list[str]) -> int:
    """Run ``export``."""
    from embodied_ssl.logs.exporters import EXPORTERS

    if _helped(words, cli_help.EXPORT, EXPORTERS):
        return 0
    out, name = take(words, "--out"), take(words, "--to")
    skip_corrupt = "--skip-corrupt" in words
    words = [word for word in words if word != "--skip-corrupt"]
    path = Path(_first(words, "export takes a log first"))
    target = _out(out, "export")
    from embodied_ssl.logs.exporting import export_log

    if name is None:
        raise ConfigError(f"export takes --to FORMAT, got nothing; formats: {', '.join(EXPORTERS)}")
    with _progress("exported") as shown:
        report = export_log(path, target, name, parse_kwargs(words[1:]), shown, skip_corrupt)
    console = _console()
    for note in report.notes:
        console.print(f"note: {note}")
    console.print(f"{sum(report.rows.values()):,} rows written to {target}")
    return 0


def log(words: list[str]) -> int:
    """Run ``log``; the exit status is 1 when ``verify`` finds damage."""
    if _helped(words, cli_help.LOG):
        return 0
    if not words or words[0] not in LOG_COMMANDS:
        raise ConfigError(
            f"log takes a verb, got {words[0] if words else 'nothing'!r}; "
            f"{nearest(words[0] if words else '', LOG_COMMANDS)}"
        )
    verb, *rest = words
    out, quick = take(rest, "--out"), "--quick" in rest
    rest = [word for word in rest if word != "--quick"]
    if len(rest) != 1 or rest[0].startswith("--"):
        raise ConfigError(f"log {verb} takes one log, got {' '.join(rest) or 'nothing'}")
    return {"inspect": _inspect, "verify": _verify, "recover": _recover, "compact": _compact}[verb](
        Path(rest[0]), Path(out) if out else None, quick
    )


def _helped(words: list[str], usage: str, registry: Registry[Any] | None = None) -> bool:
    """Print the help of a command where it is asked for."""
    asked = bool({"-h", "--help"} & set(words))
    if asked:
        print(usage + (cli_help.formats(registry) if registry is not None else ""))
    return asked


def _inspect(path: Path, out: Path | None, quick: bool) -> int:
    from embodied_ssl.logs.inspect import inspect_log
    from embodied_ssl.report.log_tables import inspect_page
    from embodied_ssl.report.log_timeline import save_timeline

    with _progress("chunks") as shown:
        report = inspect_log(path, values=not quick, progress=shown)
    _console().print(inspect_page(report))
    if out is not None:
        save_timeline(report, out)
        print(f"timeline: {out}")
    return 0


def _verify(path: Path, out: Path | None, quick: bool) -> int:
    from embodied_ssl.logs.verify import verify_log
    from embodied_ssl.report.log_tables import verify_page

    with _progress("chunks") as shown:
        check = verify_log(path, quick, shown)
    _console().print(verify_page(check))
    return 0 if check.is_sound else 1


def _recover(path: Path, out: Path | None, quick: bool) -> int:
    from embodied_ssl.logs.recover import recover_log

    done = recover_log(path)
    _console().print("\n".join(done) or f"{path}: nothing to do")
    return 0


def _compact(path: Path, out: Path | None, quick: bool) -> int:
    from embodied_ssl.logs.compact import compact_log
    from embodied_ssl.report.log_tables import compact_line

    _console().print(compact_line(compact_log(path, out)))
    return 0


def _first(words: list[str], otherwise: str) -> str:
    if not words or words[0].startswith("--"):
        raise ConfigError(f"{otherwise}, got {words[0] if words else 'nothing'}")
    return words[0]


def _out(path: str | None, command: str) -> Path:
    if path is None:
        raise ConfigError(f"{command} takes --out PATH, got nothing; it names what is made")
    return Path(path)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Shown]:
    """Show a bar on a terminal, nothing elsewhere; yields what to call with units done and units in all."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
