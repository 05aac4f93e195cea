"""Message definitions of ROS 2 as text (``.msg``, many in one text divided by ``=====``) to fields.

Written from https://docs.ros.org/en/rolling/Concepts/Basic/About-Interfaces.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from embodied_ssl.errors import LogError

NUMBERS = {
    "bool": "bool",
    "byte": "uint8",
    "char": "uint8",
    "octet": "uint8",
    "float32": "float32",
    "float64": "float64",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
"""Numbers of ROS 2 to numpy; ``char`` and ``byte`` are unsigned (rosidl maps them to uint8 and octet)."""

_FIELD = re.compile(r"^(?P<type>[\w/]+)(?:<=\d+)?(?P<array>\[(?:<=)?\d*\])?\s+(?P<name>\w+)\s*(?P<rest>.*)$")


@dataclass(frozen=True)
class RosField:
    """One field of a message.

    Attributes:
        name: its name.
        type: ``string``, a key of `NUMBERS`, or the full name ``package/Message``.
        length: number of elements of a fixed array, 0 for an array of any length, -1 for a single value.
    """

    name: str
    type: str
    length: int = -1


def parse_definitions(name: str, text: str) -> dict[str, list[RosField]]:
    """Return the fields of message ``name`` and of all the messages it is made of.

    Args:
        name: ``package/Message`` or ``package/msg/Message``.
        text: its definition, followed by those of its parts under ``MSG: package/Message`` lines.

    Raises:
        LogError: a line cannot be understood, or a part is not defined.
    """
    parts = re.split(r"^=+\s*$", text, flags=re.MULTILINE)
    messages = {short_name(name): _fields(parts[0], short_name(name))}
    for part in parts[1:]:
        head, _, body = part.strip().partition("\n")
        key = short_name(head.removeprefix("MSG:").strip())
        messages[key] = _fields(body, key)
    messages |= {key: _BUILT_IN[key] for key in _BUILT_IN if key not in messages}
    for fields in messages.values():
        for field in fields:
            if field.type not in NUMBERS and field.type not in ("string", "wstring") and field.type not in messages:
                raise LogError(f"the definition of {name} lacks its part {field.type!r}")
    return messages


def short_name(name: str) -> str:
    """Return ``package/Message`` for ``package/msg/Message``."""
    return "/".join(part for part in name.split("/") if part != "msg")


_BUILT_IN = {
    "builtin_interfaces/Time": [RosField("sec", "int32"), RosField("nanosec", "uint32")],
    "builtin_interfaces/Duration": [RosField("sec", "int32"), RosField("nanosec", "uint32")],
}


def _fields(text: str, owner: str) -> list[RosField]:
    lines = (line.partition("#")[0].strip() if '"' not in line else line.strip() for line in text.splitlines())
    return [field for line in lines if line and not line.startswith("#") and (field := _field(line, owner))]


def _field(line: str, owner: str) -> RosField | None:
    """Parse one line; None for a constant."""
    match = _FIELD.match(line)
    if match is None:
        raise LogError(f"the definition of {owner} has a line that is no field: {line[:80]!r}")
    if match["rest"].startswith("="):
        return None
    array = match["array"]
    length = -1 if array is None else int(array[1:-1]) if array[1:-1].isdigit() else 0
    return RosField(match["name"], _full_type(match["type"], owner), length)


def _full_type(kind: str, owner: str) -> str:
    """Return a type with its package, as messages name neighbours without it."""
    if kind in NUMBERS or kind in ("string", "wstring"):
        return kind
    return short_name(kind) if "/" in kind else f"{owner.split('/')[0]}/{kind}"
