"""Configs on disk: reading with strict keys and types, writing in full, naming by hash."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import yaml
from yaml.representer import RepresenterError

from embodied_ssl.config import Config
from embodied_ssl.config_flags import parse_overrides
from embodied_ssl.config_schema import build
from embodied_ssl.config_yaml import read_yaml
from embodied_ssl.errors import ConfigError

__all__ = ["config_hash", "dump_config", "load_config", "parse_overrides", "save_config"]


def load_config(path: Path | None) -> Config:
    """Read a config; keys that the file leaves out keep their defaults, and ``objectives`` is replaced as a whole.

    Args:
        path: YAML file, or None for the defaults.

    Raises:
        ConfigError: one line ``file:line: key …`` if the file is missing, is not YAML, or holds an unknown key, a
            wrong type or an impossible value.
    """
    if path is None:
        return Config()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"cannot read config {path}: {reason}") from error
    value, lines = read_yaml(text, str(path))
    try:
        return build(value, Config, "")
    except ConfigError as error:
        raise ConfigError(f"{_place(path, str(error), lines)}: {error}") from error


def dump_config(config: Config) -> str:
    """Return the config as YAML with every key, in the order of the dataclasses.

    Raises:
        ConfigError: if an open table holds something YAML cannot, such as an array.
    """
    try:
        return yaml.dump(dataclasses.asdict(config), Dumper=_PlainDumper, sort_keys=False, width=120)
    except RepresenterError as error:
        raise ConfigError(
            f"the config holds {error.args[-1]!r}, which YAML cannot; use plain numbers, text and lists"
        ) from error


def save_config(config: Config, path: Path) -> None:
    """Write the config to ``path`` as YAML with every key; `load_config` gives an equal config back."""
    Path(path).write_text(dump_config(config), encoding="utf-8")


def config_hash(config: Config) -> str:
    """Return 16 hex digits that name what the config does; ``name`` and ``runs_dir``, which say where, are left out."""
    record = dataclasses.asdict(config)
    del record["name"], record["runs_dir"]
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


class _PlainDumper(yaml.SafeDumper):
    """Writes every value out: the reader refuses aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _place(path: Path, message: str, lines: dict[str, int]) -> str:
    """Return ``file:line`` of the key that ``message`` starts with, or of the nearest section around it."""
    key = message.removeprefix("a key of ").split(" ", 1)[0].rstrip(":;").split("[", 1)[0]
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return f"{path}:{lines[key]}" if key else str(path)
