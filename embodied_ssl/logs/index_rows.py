"""The five integer columns beside every row, from what a caller gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.schema import INDEX_COLUMNS


def index_rows(name: str, columns: tuple[Any, ...], count: int) -> np.ndarray:
    """Return the index columns ``(5, n)`` int64 of ``n`` rows."""
    index = np.empty((len(INDEX_COLUMNS), count), np.int64)
    for number, values in enumerate(columns):
        if type(values) is not int:
            values = np.asarray(values)
            if values.dtype.kind not in "iu" or values.shape not in ((), (count,)) or values.dtype == np.uint64:
                values = _checked(name, values, count)
        index[number] = values
    return index


def _checked(name: str, values: np.ndarray, count: int) -> np.ndarray:
    """Refuse what are no numbers of rows; large ones that would wrap around too."""
    if values.dtype == np.uint64 and values.shape in ((), (count,)) and (values <= np.uint64(2**63 - 1)).all():
        return values.astype(np.int64)
    raise LogError(
        f"stream {name!r}: times, numbers and lanes are integers of 64 bits, one a row ({count}); "
        f"got {values.dtype} {values.shape}"
    )
