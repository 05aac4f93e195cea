"""The `embodied-ssl` command: reads words, calls one library function, prints. Torch is imported only by work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from embodied_ssl import __version__, cli_logs
from embodied_ssl.cli_words import number, only, take, take_all
from embodied_ssl.config_file import load_config
from embodied_ssl.config_flags import check_resume, parse_kwargs, parse_overrides
from embodied_ssl.config_pretrain import for_pretraining
from embodied_ssl.errors import ConfigError, EmbodiedSSLError, nearest
from embodied_ssl.run_folder import RunFolder, list_runs

USAGE = f"""usage: embodied-ssl COMMAND

  train [--config FILE] [--KEY VALUE ...]     learn from a robot's streams; `train --help` lists the keys
  train --encoder RUN [--KEY VALUE ...]       begin with the encoder of another run; --record PATH.zarr keeps the stream
  train --resume RUN|latest [--KEY VALUE ...] go on with a stopped run
  pretrain --log A [--log B ...] [--config FILE] [--KEY VALUE ...]
                                              learn from recordings, without an env; `pretrain --help`
  evaluate RUN|latest                         measure the newest checkpoint on the probe set or held-out episodes
  report RUN|latest                           write report.html again
  runs [DIR ...]                              list and compare runs (default: runs)
  envs                                        list the robots
  envs ID [--check] [--KEY VALUE ...]         what an env's sensors give; --check holds it against the env contract
  view ID [--out DIR] [--seconds S] [--seed N] [--policy random|zero|MODULE:FUNCTION] [--KEY VALUE ...]
                                              play an env and write pictures and a film of what its sensors see
                                              (ID: any Gymnasium id, such as Pendulum-v1; KEY: of the env itself)
{cli_logs.USAGE}
  --version"""

TRAIN_USAGE = """usage: embodied-ssl train [--config FILE] [--encoder RUN] [--record PATH.zarr] [--KEY VALUE ...]
       embodied-ssl train --resume RUN|latest [--KEY VALUE ...]

Defaults < FILE (YAML) < options. Objectives and env.kwargs take any key: --env.kwargs.KEY VALUE,
--objectives.NAME.weight 0.5, and --objectives.NAME null to leave one out.
"""

PRETRAIN_USAGE = """usage: embodied-ssl pretrain --log A [--log B ...] [--config FILE] [--encoder RUN] [--KEY VALUE ...]
       embodied-ssl pretrain --resume RUN|latest [--KEY VALUE ...]

The same learner and the same update as `train`, with recordings as the source: what `embodied-ssl record`, `import` or
`train --record` wrote. Logs may have different sensors; a sensor that a log lacks is masked. env_steps sets the length:
the run makes as many updates as a run of that many steps in an env would. --log.mode replay lets one recorded run flow
through the buffer as it did live. `train --encoder RUN` goes on in an env from there. Keys of `train`:
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
    if words[0] in ("evaluate", "report", "runs", "envs", "view") and {"-h", "--help"} & set(words):
        print(USAGE)
        return 0
    if words[0] not in COMMANDS:
        if words[0] in cli_logs.LOG_COMMANDS:
            raise ConfigError(f"unknown command {words[0]!r}; did you mean `embodied-ssl log {words[0]}`?")
        raise ConfigError(f"unknown command {words[0]!r}; {nearest(words[0], COMMANDS)}")
    if "" not in sys.path:
        sys.path.append("")  # a user's own env or policy module may lie in the working directory
    return COMMANDS[words[0]](words[1:])


def _train(words: list[str]) -> int:
    if "-h" in words or "--help" in words:
        print(TRAIN_USAGE)
    return _learn(words, "train")


def _pretrain(words: list[str]) -> int:
    if "-h" in words or "--help" in words:
        print(PRETRAIN_USAGE)
    return _learn(words, "pretrain")


def _learn(words: list[str], command: str) -> int:
    """Make a run, or go on with one, and show what it came to."""
    config_path, resume, logs = take(words, "--config"), take(words, "--resume"), take_all(words, "--log")
    words += [f"--encoder_from={encoder}" for encoder in take_all(words, "--encoder")]
    words = ["--log.skip_corrupt=true" if word == "--skip-corrupt" else word for word in words]
    if resume and (config_path or logs):
        option = "--config" if config_path else "--log"
        raise ConfigError(f"{option} and --resume exclude each other: a resumed run keeps its config")
    run = RunFolder.open(resume) if resume else None
    saved = run.config if run else load_config(Path(config_path) if config_path else None)
    config = parse_overrides(saved, words, prog=f"embodied-ssl {command}")
    if run:
        check_resume(saved, config)
        run.save_config(config)
    elif command == "pretrain":
        config = for_pretraining(config, logs)
    elif logs or config.log.paths:
        raise ConfigError("train learns in an env; for logs use `embodied-ssl pretrain --log NAME.zarr`")
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
    run = RunFolder.open(only(words, "evaluate"))
    from embodied_ssl.evaluate.run import evaluate_run
    from embodied_ssl.report.html import write_report
    from embodied_ssl.report.run_tables import closing_table
    from embodied_ssl.rl.saved_policy import load_policy

    closing_table(evaluate_run(run, load_policy))
    print(f"report: {write_report(run)}")
    return 0


def _report(words: list[str]) -> int:
    run = RunFolder.open(only(words, "report"))
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


def _envs(words: list[str]) -> int:
    from embodied_ssl.report.env_pages import check_page, list_page, show_page

    check = "--check" in words
    words = [word for word in words if word != "--check"]
    if words and words[0].startswith("--"):
        raise ConfigError(f"envs takes an env's id first, got {words[0]}; `embodied-ssl envs` lists them")
    kwargs = parse_kwargs(words[1:])
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    is_list = not words or words[0].endswith(":")
    if is_list and (check or kwargs):
        got = words[0] if words else "nothing"
        raise ConfigError(f"envs {'--check' if check else '--KEY VALUE'} takes an id, got {got}; `envs` lists them")
    if is_list:
        console.print(list_page(words[0][:-1] if words else None))
    else:
        console.print(check_page(words[0], kwargs) if check else show_page(words[0], kwargs))
    return 0


def _view(words: list[str]) -> int:
    options = {name: take(words, f"--{name}") for name in ("out", "seconds", "seed", "policy")}
    if not words or words[0].startswith("--"):
        raise ConfigError(f"view takes an env's id first, got {words[0] if words else 'nothing'}; see `envs`")
    seconds, seed = number(options, "seconds", float, 6.0), number(options, "seed", int, 0)
    from embodied_ssl.report.env_view import record_env, write_view
    from embodied_ssl.sources.env_ids import find_env_id

    env_id = find_env_id(words[0])
    recording = record_env(env_id, parse_kwargs(words[1:]), seconds, seed, options["policy"] or "random")
    folder = Path(options["out"] or Path("views") / env_id.rpartition(":")[2].replace("/", "-"))
    for path in write_view(recording, folder):
        print(path)
    if not recording.pictures:
        print(f"{env_id} has no camera: timelines only, no contact sheet and no film")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "pretrain": _pretrain,
    "evaluate": _evaluate,
    "report": _report,
    "runs": _runs,
    "envs": _envs,
    "view": _view,
    "record": cli_logs.record,
    "import": cli_logs.import_,
    "log": cli_logs.log,
    "export": cli_logs.export,
}
