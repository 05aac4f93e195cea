"""Command-line overrides of a config: ``--learner.lr 3e-4 --synchronous --objectives.spread.weight 0.2``.

`tyro` parses and writes the help text. Mistakes are found before it sees them, because its answer is a box of many
lines. Open tables (objectives, env.kwargs) are handled here alone, since their keys are not fields.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import Any

import tyro
import yaml

from embodied_ssl.config import Config
from embodied_ssl.config_schema import OPEN_KEYS, coerce, options, unknown_key
from embodied_ssl.config_yaml import StrictLoader
from embodied_ssl.errors import ConfigError

Flag = tuple[str, list[str]]

RESUMABLE = ("env_steps", "device", "sinks", "record", "checkpoint_every", "keep_checkpoints", "evaluation")
"""What may change when a run goes on: how long, where and how it is recorded, not what is learned."""


def parse_overrides(config: Config, argv: Sequence[str], *, prog: str = "embodied-ssl train") -> Config:
    """Return ``config`` with the flags in ``argv`` applied.

    Flags are dotted keys (``-`` and ``_`` are the same): ``--key value``, ``--key=value``, ``--flag`` and
    ``--no-flag`` for switches, ``--sinks a b`` for lists. In an open table any key may be set
    (``--env.kwargs.camera fast``); ``null`` for an objective drops it (``--objectives.spread null``).

    Args:
        config: what holds where no flag says otherwise.
        argv: words after the command, without ``--config`` and ``--resume``.
        prog: command shown in the help text.

    Raises:
        ConfigError: one line that names the flag, the nearest right one and what is allowed.
        SystemExit: with code 0 after printing the help text, if it is asked for.
    """
    if "-h" in argv or "--help" in argv:
        return tyro.cli(Config, default=_closed(config, config), args=["--help"], prog=prog)
    plain, tables = [], {key: copy.deepcopy(_table(config, key)) for key in OPEN_KEYS}
    for name, values in _flags(argv):
        key = name.replace("-", "_")
        table = next((table for table in OPEN_KEYS if key == table or key.startswith(f"{table}.")), None)
        if table:
            _set_open(tables[table], table, key.removeprefix(table).lstrip("."), values)
        else:
            plain.append(_checked(name, key, values))
    parsed = _run_tyro(_closed(config, Config()), plain, prog)
    env = dataclasses.replace(parsed.env, kwargs=tables["env.kwargs"])
    return dataclasses.replace(parsed, env=env, objectives=tables["objectives"])


def parse_kwargs(argv: Sequence[str]) -> dict[str, Any]:
    """Return ``--key value`` flags as a table; values are YAML, a flag alone is true, ``--a.b 1`` nests.

    Raises:
        ConfigError: one line that names the flag.
    """
    table: dict[str, Any] = {}
    for name, values in _flags(argv):
        _set_open(table, "env.kwargs", name.replace("-", "_"), values or ["true"])
    return table


def check_resume(saved: Config, changed: Config) -> None:
    """Refuse overrides that would make a resumed run another run.

    Raises:
        ConfigError: naming the changed key and the keys that may change.
    """
    for field in dataclasses.fields(Config):
        before, after = getattr(saved, field.name), getattr(changed, field.name)
        if before != after and field.name not in RESUMABLE:
            raise ConfigError(
                f"{field.name} cannot change on --resume ({before!r} to {after!r}); "
                f"allowed: {', '.join(RESUMABLE)}; start a new run for anything else"
            )


def _flags(argv: Sequence[str]) -> Iterator[Flag]:
    """Group words into flags and their values."""
    flags: list[Flag] = []
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            flags.append((name, [value] if equals else []))
        elif flags:
            flags[-1][1].append(word)
        else:
            raise ConfigError(
                f"unexpected word {word!r}; options are written --key value, for example --learner.lr 3e-4"
            )
    names = [name.replace("-", "_") for name, _ in flags]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise ConfigError(f"--{repeated} is given twice; keep one")
    yield from flags


def _checked(name: str, key: str, values: list[str]) -> list[str]:
    """Return the words of one flag as tyro reads them, or raise."""
    head, _, leaf = key.rpartition(".")
    positive = ".".join(part for part in (head, leaf.removeprefix("no_")) if part)
    if positive != key and options().get(positive) is bool and not values:
        return _switch(positive, on=False)
    hint = options().get(key)
    if hint is None:
        raise ConfigError(f"{unknown_key(key, '--')}; `--help` explains them")
    if hint is bool:
        return _switch(key, on=coerce(_yaml(" ".join(values)) if values else True, bool, f"--{key}"))
    if getattr(hint, "__origin__", None) is list:
        return [f"--{key}", *values]
    if len(values) != 1:
        got = " ".join(values) or "nothing"
        raise ConfigError(f"--{name} takes one value, got {got}; for example --{key} {_example(key)}")
    coerce(_yaml(values[0]) if hint is int else values[0], hint, f"--{key}")
    return [f"--{key}={values[0]}"]


def _switch(key: str, *, on: bool) -> list[str]:
    head, _, leaf = key.rpartition(".")
    return [f"--{key}" if on else f"--{f'{head}.' if head else ''}no-{leaf}"]


def _example(key: str) -> object:
    value: Any = Config()
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _yaml(word: str) -> Any:
    try:
        return yaml.load(word, Loader=StrictLoader)  # a SafeLoader
    except yaml.YAMLError:
        return word


def _set_open(table: dict[str, Any], name: str, path: str, values: list[str]) -> None:
    """Set ``path`` inside an open table in place; ``null`` for an objective removes it."""
    if not path or len(values) != 1:
        example = "--objectives.spread.weight 0.2" if name == "objectives" else "--env.kwargs.key value"
        raise ConfigError(f"--{name} is a table: set one of its keys to one value, for example {example}")
    value, (*parents, leaf) = _yaml(values[0]), path.split(".")
    if name == "objectives" and not parents and value is None:
        table.pop(leaf, None)
        return
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--{name}.{path}: {parent!r} already holds {table!r}, which has no keys")
    if name == "objectives" and not parents:
        coerce(value, dict[str, Any], f"--{name}.{path}")
    table[leaf] = value


def _table(config: Config, key: str) -> dict[str, Any]:
    return config.objectives if key == "objectives" else config.env.kwargs


def _closed(config: Config, tables: Config) -> Config:
    """Return ``config`` with open tables that tyro can show: it must not meet a user's arbitrary values."""
    return dataclasses.replace(config, objectives=tables.objectives, env=dataclasses.replace(config.env, kwargs={}))


def _run_tyro(config: Config, flags: list[list[str]], prog: str) -> Config:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(Config, default=config, args=[word for flag in flags for word in flag], prog=prog)
    except SystemExit as error:
        words = " ".join(complaint.getvalue().translate(str.maketrans("", "", "╭─╮│╰╯")).split())
        raise ConfigError(words or f"{prog}: the options could not be read") from error
