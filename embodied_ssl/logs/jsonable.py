"""Facts of foreign files as JSON: a NaN among a thousand parameters must not refuse a whole recording."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """Return a value as JSON has it: numbers that are not finite become None, bytes hexadecimal, keys text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.generic | np.ndarray):
        return jsonable(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
