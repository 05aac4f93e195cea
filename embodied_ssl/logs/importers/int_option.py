"""One kind of option: a whole number above 0, from Python or as text from the command line."""

from __future__ import annotations

from typing import Any

from embodied_ssl.errors import LogError


def positive_int(value: Any, name: str) -> int:
    """Return the number that ``value`` is or says.

    Raises:
        LogError: it is no whole number above 0.
    """
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise LogError(f"option {name} is {value!r}, expected a whole number above 0")
    return number
