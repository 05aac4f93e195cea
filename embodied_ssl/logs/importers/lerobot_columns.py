"""Columns of a LeRobot table as rows of a stream: single numbers, lists, lists of fixed size, encoded pictures."""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false
# Reason: pyarrow is optional and has no annotations.

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embodied_ssl.errors import LogError
from embodied_ssl.logs.importers.base import need
from embodied_ssl.logs.importers.encoded_image import image_size


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        name: of the column and of the stream.
        shape: of one row, ``(1,)`` for single numbers.
        dtype: numpy name of what the file holds.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    def widened(self, other: Column) -> Column:
        """Return the column with a dtype that holds both."""
        return replace(self, dtype=np.result_type(self.dtype, other.dtype).name)


def describe(name: str, kind: Any, declared: tuple[int, ...] | None) -> Column | str:
    """Say what rows a column of an arrow type holds.

    Args:
        name: the column.
        kind: its arrow type.
        declared: shape of a row in ``info.json``, None when it is not there.

    Returns:
        The column, or why it cannot be a stream.
    """
    types = need("pyarrow", "lerobot").types
    sizes = []
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        sizes.append(kind.list_size if types.is_fixed_size_list(kind) else None)
        kind = kind.value_type
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        return f"{name}: holds {kind}, no numbers; left out"
    if not sizes:
        shape = (1,)
    elif None not in sizes:
        fixed = tuple(size for size in sizes if size is not None)
        shape = declared if declared and math.prod(declared) == math.prod(fixed) else fixed
    elif declared is None:
        return f"{name}: lists of a length that info.json does not declare; left out"
    else:
        shape = declared
    return Column(name, shape, np.dtype(kind.to_pandas_dtype()).name)


def to_rows(array: Any, column: Column, path: Path) -> np.ndarray:
    """Turn an arrow array into rows ``(n, *shape)``.

    Raises:
        LogError: nulls, lists of another length than the shape has, or a type that the stream's does not hold.
    """
    types, num = need("pyarrow", "lerobot").types, len(array)
    per_row = np.ones(1, np.int64)
    while hasattr(array, "flatten") and not types.is_primitive(array.type):
        _refuse_nulls(array, column, path)
        lengths = _lengths(array, types)
        if len(lengths) and (lengths != lengths[0]).any():
            raise LogError(f"{path}: column {column.name} has lists of {lengths.min()} to {lengths.max()} values")
        per_row = per_row * (lengths[:1] if len(lengths) else 1)
        array = array.flatten()
    _refuse_nulls(array, column, path)
    if num and int(per_row[0]) != math.prod(column.shape):
        raise LogError(f"{path}: column {column.name} has {per_row[0]} values a row, expected shape {column.shape}")
    values = array.to_numpy(zero_copy_only=False)
    if not np.can_cast(values.dtype, column.dtype):
        raise LogError(f"{path}: column {column.name} is {values.dtype}, expected {column.dtype} as in the other files")
    return values.astype(column.dtype, copy=False).reshape(num, *column.shape)


def _lengths(array: Any, types: Any) -> np.ndarray:
    if types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size)
    return array.value_lengths().to_numpy(zero_copy_only=False)


def _refuse_nulls(array: Any, column: Column, path: Path) -> None:
    if array.null_count:
        raise LogError(f"{path}: column {column.name} has {array.null_count} nulls, expected numbers")


def picture_bytes(array: Any, name: str, path: Path) -> Iterator[bytes]:
    """Yield the encoded pictures of a column of structs ``{bytes, path}``.

    Raises:
        LogError: it is no such column, or a picture lies in another file.
    """
    types = need("pyarrow", "lerobot").types
    if not types.is_struct(array.type) or array.type.get_field_index("bytes") < 0:
        raise LogError(f"{path}: column {name} is {array.type}, expected pictures as a struct of bytes and path")
    for number, value in enumerate(array.field("bytes")):
        data = value.as_py()
        if not data:
            raise LogError(f"{path}: column {name}, row {number}: the picture is not in the file; embed it first")
        yield data


def first_picture_size(array: Any, name: str, path: Path) -> tuple[int, int]:
    """Return (height, width) of the first picture of a column.

    Raises:
        LogError: there is none.
    """
    size = next((image_size(data) for data in picture_bytes(array, name, path)), None)
    if size is None or min(size) < 1:
        raise LogError(f"{path}: column {name}: the first picture is no PNG or JPEG picture")
    return size
