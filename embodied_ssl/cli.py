"""The `embodied-ssl` command: reads words, calls one library function, prints. Torch is imported only by work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from embodied_ssl import __version__
from embodied_ssl.config_file import load_config
from embodied_ssl.config_flags import check_resume, parse_overrides
from embodied_ssl.errors import ConfigError, EmbodiedSSLError, nearest
from embodied_ssl.run_folder import RunFolder, list_runs

USAGE = """usage: embodied-ssl COMMAND

  train [--config FILE] [--KEY VALUE ...]     learn from a robot's streams; `train --help` lists the keys
  train --resume RUN|latest [--KEY VALUE ...] go on with a stopped run
  evaluate RUN|latest                         measure the newest checkpoint on the frozen probe set
  report RUN|latest                           write report.html again
  runs [DIR ...]                              list and compare runs (default: runs)
  --version"""

TRAIN_USAGE = """usage: embodied-ssl train [--config FILE] [--KEY VALUE ...]
       embodied-ssl train --resume RUN|latest [--KEY VALUE ...]

Defaults < FILE (YAML) < options. Objectives and env.kwargs take any key: --env.kwargs.KEY VALUE,
--objectives.NAME.weight 0.5, and --objectives.NAME null to leave one out.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: words after the program's name; those of the process if None.

    Returns:
        Exit status: 0, 2 after a user's mistake (one line on standard error), 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except EmbodiedSSLError as error:
        print(f"embodied-ssl: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing more to say, not even on exit
        return 1
    except OSError as error:
        print(f"embodied-ssl: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("embodied-ssl: stopped", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"embodied-ssl {__version__}")
        return 0
    if words[0] in ("evaluate", "report", "runs") and {"-h", "--help"} & set(words):
        print(USAGE)
        return 0
    if words[0] not in COMMANDS:
        raise ConfigError(f"unknown command {words[0]!r}; {nearest(words[0], COMMANDS)}")
    return COMMANDS[words[0]](words[1:])


def _train(words: list[str]) -> int:
    if "-h" in words or "--help" in words:
        print(TRAIN_USAGE)
    config_path, resume = _take(words, "--config"), _take(words, "--resume")
    if config_path and resume:
        raise ConfigError("--config and --resume exclude each other: a resumed run keeps its config")
    run = RunFolder.open(resume) if resume else None
    saved = run.config if run else load_config(Path(config_path) if config_path else None)
    config = parse_overrides(saved, words)
    if run:
        check_resume(saved, config)
        run.save_config(config)
    from embodied_ssl.train import train

    run = run or RunFolder.create(config)
    try:
        summary = train(config, run, resume=resume is not None)
    except BaseException:
        if not resume:
            run.discard_if_unused()
        raise
    from embodied_ssl.report.run_tables import closing_table

    closing_table(summary)
    print(f"run folder: {run.path}")
    return 0


def _evaluate(words: list[str]) -> int:
    run = RunFolder.open(_only(words, "evaluate"))
    from embodied_ssl.evaluate.run import evaluate_run
    from embodied_ssl.report.html import write_report
    from embodied_ssl.report.run_tables import closing_table
    from embodied_ssl.rl.saved_policy import load_policy

    closing_table(evaluate_run(run, load_policy))
    print(f"report: {write_report(run)}")
    return 0


def _report(words: list[str]) -> int:
    run = RunFolder.open(_only(words, "report"))
    from embodied_ssl.report.html import write_report

    print(f"report: {write_report(run)}")
    return 0


def _runs(words: list[str]) -> int:
    from embodied_ssl.report.run_tables import comparison

    paths = [Path(word) for word in words or ["runs"]]
    runs = [
        run for path in paths for run in ([RunFolder(path)] if (path / "config.yaml").is_file() else list_runs(path))
    ]
    if not runs:
        raise ConfigError(f"no run in {', '.join(map(str, paths))}; start one with `embodied-ssl train`")
    Console(width=None if sys.stdout.isatty() else 200).print(comparison(runs))
    return 0


def _take(words: list[str], option: str) -> str | None:
    """Remove ``option VALUE`` (or ``option=VALUE``) from ``words`` and return the value."""
    for index, word in enumerate(words):
        if word.startswith(f"{option}="):
            return words.pop(index).partition("=")[2]
        if word == option:
            if index + 1 == len(words) or words[index + 1].startswith("--"):
                raise ConfigError(f"{option} takes a path, got nothing")
            del words[index]
            return words.pop(index)
    return None


def _only(words: list[str], command: str) -> str:
    if len(words) != 1:
        raise ConfigError(f"{command} takes one run folder, got {' '.join(words) or 'nothing'}; or `latest`")
    return words[0]


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "evaluate": _evaluate,
    "report": _report,
    "runs": _runs,
}
