"""Rows as they come, arrays or tensors of any device: what a tick needs of them without moving them.

Rows stay where they are: of a tensor the host gets one bit a row (are all its values finite), and the flags, ages and
validities of the tick, a few bytes a lane, because the host decides which row is new and where it is stored.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

Rows = np.ndarray | Tensor


def as_rows(values: Any) -> Rows:
    """Return a tensor as it is, anything else as an array."""
    return values if isinstance(values, Tensor) else np.asarray(values)


def to_host(values: Any) -> np.ndarray:
    """Return an array on the host: for what is small, never for rows."""
    return values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def take_lanes(values: Rows, lanes: np.ndarray) -> Rows:
    """Return the rows of ``lanes (M,)``; of all lanes without a copy, if they are a tensor."""
    if isinstance(values, Tensor):
        return values if len(lanes) == len(values) else values[on_device(lanes, values)]
    return values[lanes]


def on_device(indices: np.ndarray, like: Tensor) -> Tensor:
    """Return host indices or flags where ``like`` is."""
    return torch.from_numpy(np.ascontiguousarray(indices)).to(like.device, non_blocking=True)


def shape_rows(values: Rows, row_shape: tuple[int, ...], dtype: str) -> Rows:
    """Return ``(M, ...)`` as ``(M, K, *row_shape)`` of numpy type ``dtype``."""
    num_rows = math.prod(values.shape[1:]) // math.prod(row_shape)
    shaped = values.reshape(len(values), num_rows, *row_shape)
    return shaped.to(getattr(torch, dtype)) if isinstance(shaped, Tensor) else shaped.astype(dtype)


def finite_rows(rows: Rows) -> np.ndarray:
    """Return ``(M, K)`` bool on the host: every value of the row is a number."""
    if isinstance(rows, Tensor):
        return to_host(rows.isfinite().flatten(2).all(2))
    return np.asarray(np.isfinite(rows).all(tuple(range(2, rows.ndim))))


def blank_unless(fresh: np.ndarray, rows: Rows) -> Rows:
    """Return an array of rows ``(M, K, ...)`` with zeros where ``fresh (M, K)`` is false; a tensor as it is.

    Rows that are not fresh are never stored; for a camera on a device, blanking them would be a copy of all its frames
    in every tick between two captures.
    """
    if isinstance(rows, Tensor):
        return rows
    return np.where(fresh.reshape(*fresh.shape, *[1] * (rows.ndim - 2)), rows, 0).astype(rows.dtype)


def finite_values(values: Any) -> tuple[Rows, int]:
    """Return values ``(N,)`` with 0 for what is not finite, arrays as float64, and how many were not."""
    if isinstance(values, Tensor):
        return values.nan_to_num(0.0, 0.0, 0.0), int((~to_host(values.isfinite())).sum())
    array = np.asarray(values, np.float64)
    finite = np.isfinite(array)
    return np.where(finite, array, 0.0), int((~finite).sum())


def keep_float(values: Rows, keep: np.ndarray) -> Rows:
    """Return ``(M, ...)`` as float32, 0 where ``keep (M,)`` is false."""
    if isinstance(values, Tensor):
        return values.float().masked_fill(on_device(~keep, values).view(-1, *[1] * (values.ndim - 1)), 0.0)
    return values.astype(np.float32) * keep.reshape(-1, *[1] * (values.ndim - 1))
