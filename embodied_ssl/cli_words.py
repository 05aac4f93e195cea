"""Options taken from the words of a command line, before the keys of a config are read."""

from __future__ import annotations

from typing import Any

from embodied_ssl.errors import ConfigError

_VALUES = {"--seconds": "a number", "--seed": "a whole number", "--policy": "random, zero or module:function"}


def take(words: list[str], option: str) -> str | None:
    """Remove ``option VALUE`` (or ``option=VALUE``) from ``words`` and return the value, None without it.

    Raises:
        ConfigError: it is given twice, or without a value.
    """
    values = take_all(words, option)
    if len(values) > 1:
        raise ConfigError(f"{option} is given twice; keep one")
    return values[0] if values else None


def take_all(words: list[str], option: str) -> list[str]:
    """Remove every ``option VALUE`` (or ``option=VALUE``) from ``words`` and return the values in order.

    Raises:
        ConfigError: one is given without a value.
    """
    values, index = [], 0
    while index < len(words):
        head, equals, value = words[index].partition("=")
        if head != option:
            index += 1
            continue
        del words[index]
        if not equals:
            if index == len(words) or words[index].startswith("--"):
                raise ConfigError(f"{option} takes {_VALUES.get(option, 'a path')}, got nothing")
            value = words.pop(index)
        values.append(value)
    return values


def number(options: dict[str, str | None], name: str, kind: type, default: float) -> Any:
    """Return an option as a number of some kind."""
    text = options[name]
    try:
        return default if text is None else kind(text)
    except ValueError:
        raise ConfigError(f"--{name} is {text!r}, expected {'a whole number' if kind is int else 'a number'}") from None


def only(words: list[str], command: str) -> str:
    """Return the one word of a command that takes a run."""
    if len(words) != 1:
        raise ConfigError(f"{command} takes one run folder, got {' '.join(words) or 'nothing'}; or `latest`")
    return words[0]
