"""What the keys of a config are and which values fit them, read off the dataclasses' type hints.

The file loader and the command line both check through this module, so a mistake reads the same in either place.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from embodied_ssl.config import Config
from embodied_ssl.errors import ConfigError, nearest

OPEN_KEYS = ("objectives", "env.kwargs")
"""Keys that hold tables whose own keys are decided elsewhere: by a registry, by an env's constructor."""


def join(section: str, name: str) -> str:
    """Return the dotted key of ``name`` inside ``section`` (empty for the top level)."""
    return f"{section}.{name}" if section else name


@functools.cache
def section_hints(section: type) -> dict[str, Any]:
    """Return the field names of a config dataclass with their resolved types."""
    hints = typing.get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


def _leaves(section: type, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in section_hints(section).items():
        if dataclasses.is_dataclass(hint):
            yield from _leaves(typing.cast(type, hint), join(prefix, name))
        else:
            yield join(prefix, name), hint


@functools.cache
def options() -> dict[str, Any]:
    """Return every option of `Config` by dotted key, with its type."""
    return dict(_leaves(Config, ""))


def unknown_key(key: str, flag: str = "") -> str:
    """Return the message for a dotted key that is no option: the nearest right key, and its neighbours.

    Args:
        key: dotted key as the user wrote it, for example ``"learner.lrr"``.
        flag: what keys are written with where the user wrote it: ``"--"`` on the command line.

    Returns:
        For example ``"learner.lrr is not an option; did you mean learner.lr? allowed in learner: batch_size, …"``.
    """
    close = _closest(key)
    section = (key if _inside(key) else key.rpartition(".")[0]) or ""
    allowed = _inside(section) or list(section_hints(Config))
    hint = f"did you mean {flag}{close}? " if close else ""
    where = f" in {section}" if _inside(section) else ""
    what = "a section, not an option" if _inside(key) else "not an option"
    return f"{flag}{key} is {what}; {hint}allowed{where}: {', '.join(allowed)}"


def _inside(section: str) -> list[str]:
    """Return the names inside a section, none if there is no such section."""
    return [key.removeprefix(f"{section}.") for key in options() if section and key.startswith(f"{section}.")]


def _closest(key: str) -> str | None:
    """Return the option most like ``key``: in its section, else of that name elsewhere, else alike as a whole."""
    section, _, leaf = key.rpartition(".")
    near = [join(section, name) for name in difflib.get_close_matches(leaf, _inside(section), n=1)]
    namesake = [option for option in options() if option.rpartition(".")[2] == leaf]
    alike = difflib.get_close_matches(key, options(), n=1, cutoff=0.7)
    return next(iter(near or (alike if section else namesake or alike) or namesake), None)


def coerce(value: Any, hint: Any, key: str) -> Any:
    """Return ``value`` as the type ``hint`` asks for, without guessing.

    An int is a float where one is asked for, and so is text such as ``1e-3``; a bool is never a number.

    Args:
        value: what YAML or the command line gave.
        hint: type of the field: bool, int, float, str, Literal, list, dict, a union of these, Any or a dataclass.
        key: dotted key, for the message.

    Raises:
        ConfigError: if the value does not fit; one line with the key, the value and what is expected.
    """
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return build(value, typing.cast(type, hint), key)
    if origin is Literal:
        return _choice(value, typing.get_args(hint), key)
    if origin in (typing.Union, types.UnionType):
        return _union(value, hint, key)
    if origin is list:
        return _list(value, typing.get_args(hint)[0], key)
    if origin is dict:
        return _table(value, typing.get_args(hint)[1], key)
    return _scalar(value, hint, key)


def build(value: Any, section: type, key: str) -> Any:
    """Return the dataclass ``section`` with the fields that the mapping ``value`` names; others keep their default.

    Raises:
        ConfigError: on a key that is no field, a wrong type, or a value that the dataclass refuses.
    """
    hints = section_hints(section)
    table = _mapping(value, key)
    for name in table:
        if name not in hints:
            raise ConfigError(unknown_key(join(key, str(name))))
    return section(**{name: coerce(item, hints[name], join(key, name)) for name, item in table.items()})


def _wrong(key: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"{key or 'the file'} is {value!r}, expected {expected}")


def _mapping(value: Any, key: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "a table of `key: value` lines")
    return value


def _table(value: Any, hint: Any, key: str) -> dict[str, Any]:
    table = {}
    for name, item in _mapping(value, key).items():
        if not isinstance(name, str):
            raise _wrong(f"a key of {key}", name, "text")
        table[name] = coerce(item, hint, join(key, name))
    return table


def _list(value: Any, hint: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(key, value, f"a list such as [{value}]")
    return [coerce(item, hint, f"{key}[{index}]") for index, item in enumerate(value)]


def _choice(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    if value not in choices or isinstance(value, bool) is not isinstance(choices[0], bool):
        raise ConfigError(f"{key} is {value!r}; {nearest(str(value), map(str, choices))}")
    return value


def _union(value: Any, hint: Any, key: str) -> Any:
    for option in typing.get_args(hint):
        if option is type(None):
            if value is None:
                return None
            continue
        try:
            return coerce(value, option, key)
        except ConfigError:
            continue
    names = [getattr(option, "__name__", str(option)) for option in typing.get_args(hint)]
    raise _wrong(key, value, " or ".join(names).replace("NoneType", "null"))


def _scalar(value: Any, hint: Any, key: str) -> Any:
    if hint is float:
        return _float(value, key)
    if type(value) is hint:
        return value
    expected = {bool: "true or false", int: "a whole number", str: "text (put it in quotes)"}[hint]
    raise _wrong(key, value, expected)


def _float(value: Any, key: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(key, value, "a finite number")
    return number
