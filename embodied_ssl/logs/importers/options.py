"""Options of importers: values from Python or, as text, from the command line, checked by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from embodied_ssl.config_yaml import read_yaml
from embodied_ssl.errors import ConfigError, LogError, nearest
from embodied_ssl.logs.schema import ROLES


def parsed(value: Any, name: str) -> Any:
    """Return ``value``, or what its text says: numbers, ``[1, 2]``, ``1,2`` and ``{state: sensor}``.

    Raises:
        LogError: the text cannot be read.
    """
    if not isinstance(value, str):
        return value
    text = f"[{value}]" if "," in value and value.strip()[:1] not in "[{" else value
    try:
        return read_yaml(text, f"option {name}")[0]
    except ConfigError as error:
        raise LogError(str(error)) from None


def int_list(value: Any, name: str) -> list[int] | None:
    """Return a list of whole numbers, None for None.

    Raises:
        LogError: it is something else.
    """
    value = parsed(value, name)
    if value is None:
        return None
    items = [value] if isinstance(value, int) else value
    if isinstance(items, Sequence) and all(isinstance(item, int) and item >= 0 for item in items) and items:
        return list(items)
    raise LogError(f"option {name} is {value!r}, expected whole numbers such as [0, 3, 5]")


def name_list(value: Any, name: str) -> list[str] | None:
    """Return a list of names, None for None, an empty one for ``"none"``.

    Raises:
        LogError: it is something else.
    """
    value = parsed(value, name)
    if value is None or value == "none":
        return None if value is None else []
    items = [value] if isinstance(value, str) else value
    if isinstance(items, Sequence) and all(isinstance(item, str) for item in items):
        return list(items)
    raise LogError(f"option {name} is {value!r}, expected names such as [front, wrist], or none")


def image_size(value: Any, name: str = "image_size") -> tuple[int, int] | None:
    """Return (height, width) in pixels, None for None.

    Raises:
        LogError: it is something else.
    """
    value = parsed(value, name)
    if value is None:
        return None
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(s, int) and 1 <= s <= 8192 for s in value):
        return int(value[0]), int(value[1])
    raise LogError(f"option {name} is {value!r}, expected height and width such as [96, 128]")


def rate(value: Any, name: str = "fps") -> float | None:
    """Return a rate in Hz, None for None.

    Raises:
        LogError: it is no positive number.
    """
    value = parsed(value, name)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1e6 and math.isfinite(value):
        return float(value)
    raise LogError(f"option {name} is {value!r}, expected rows a second, a number above 0 and at most 1,000,000")


def role_map(value: Any, names: Iterable[str]) -> dict[str, str]:
    """Return the roles that the user gives to streams, by name.

    Args:
        value: the option ``roles``: stream name to role, or its text.
        names: the streams there are.

    Raises:
        LogError: an unknown stream or role; names the nearest one.
    """
    value, names = parsed(value, "roles"), list(names)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise LogError(f"option roles is {value!r}, expected stream names and roles such as {{state: sensor}}")
    for name, role in value.items():
        if name not in names:
            raise LogError(f"option roles: no stream {name!r}; {nearest(str(name), names)}")
        if role not in ROLES:
            raise LogError(f"option roles: {name} is {role!r}; {nearest(str(role), ROLES)}")
    return dict(value)
